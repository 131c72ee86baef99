"""Makes the audio of prompts with synthesisers that are packaged for the machine. Adapter: programs, packages, disk.

English: espeak-ng (Debian; its licence, GPL-3, does not reach what it says). Japanese: Open JTalk with the voice "Mei"
(MMDAgent project, Nagoya Institute of Technology, CC BY 3.0) from the package pyopenjtalk-plus, or espeak-ng where that
is not installed. Nothing is fetched. Every prompt comes out equally loud, at 16 kHz, mono.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from appliance.errors import KyusaiError
from appliance.freeswitch.prompt_texts import Spoken

RATE_HZ = 16_000
"""Wideband telephones hear the difference; for others FreeSWITCH takes half of it."""

LOUDNESS_DBFS = -21.0
"""RMS over what is spoken: the level of ordinary speech on a telephone line (ITU-T P.56, -19 dBm0 or so)."""

PEAK_DBFS = -3.0
SPEECH_FLOOR_DB = 30.0
"""Pieces this much below the loudest are pauses and do not count for the loudness."""

PIECE_S = 0.02
EDGE_S = 0.15
"""Silence kept before and after: what begins at once is cut off by a telephone that has just opened its ear."""

PIECE_EDGE_S = 0.03
"""The same for a piece of a number: with more it would be said word by word."""

ESPEAK_WORDS_PER_MINUTE = 150
ESPEAK_TIMEOUT_S = 20
VOICES = {"en": "en-us", "ja": "ja"}

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Made:
    """What `ensure` did. made: files written. failed: "id/language: reason" of each prompt that could not be made."""

    made: tuple[Path, ...]
    failed: tuple[str, ...]


def ensure(
    spoken: Sequence[Spoken], folder: Path, tell: Callable[[Spoken, str], None] = lambda _one, _why: None
) -> Made:
    """Synthesise every prompt whose file is not there yet. Takes a fraction of a second for each; never raises for one
    prompt that cannot be made. Killed, it is begun again and makes the rest. tell: called after each with why it could not
    be made, "" if it was."""
    made: list[Path] = []
    failed: list[str] = []
    for one in missing(spoken, folder):
        path, why = folder / one.file, ""
        try:
            edge_s = PIECE_EDGE_S if one.piece else EDGE_S
            _write(path, levelled(*_synthesiser(one.language)(one.text, one.language), edge_s=edge_s))
        except (KyusaiError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            why = f"{one.prompt}/{one.language}: {error}"
            failed.append(why)
        else:
            made.append(path)
        tell(one, why)
    return Made(tuple(made), tuple(failed))


def missing(spoken: Sequence[Spoken], folder: Path) -> list[Spoken]:
    """Prompts that have no audio yet; a link in its place is a stand-in."""
    there = {one.file: folder / one.file for one in spoken}
    return [one for one in spoken if there[one.file].is_symlink() or not there[one.file].is_file()]


def levelled(samples: Samples, rate_hz: int, edge_s: float = EDGE_S) -> Samples:
    """Speech of any rate and level as a prompt: `RATE_HZ`, `LOUDNESS_DBFS`, its outer silence of `edge_s`. Full scale is 1.

    Raises ValueError for silence."""
    wide = resampled(samples, rate_hz)
    size = int(PIECE_S * RATE_HZ)
    pieces = wide[: len(wide) // size * size].reshape(-1, size)
    power = np.mean(pieces**2, axis=1) if len(pieces) else np.zeros(0)
    if not len(power) or power.max() < 1e-8:
        raise ValueError("nothing can be heard in it")
    speaking = np.nonzero(power > power.max() / 10 ** (SPEECH_FLOOR_DB / 10))[0]
    first, last = speaking[0] * size, (speaking[-1] + 1) * size
    gain = 10 ** (LOUDNESS_DBFS / 20) / float(np.sqrt(np.mean(power[speaking])))
    gain = min(gain, 10 ** (PEAK_DBFS / 20) / float(np.abs(wide).max()))
    edge = np.zeros(int(edge_s * RATE_HZ))
    return np.concatenate([edge, wide[first:last] * gain, edge])


def resampled(samples: Samples, rate_hz: int) -> Samples:
    """`samples` at `RATE_HZ`, by way of the spectrum: for prompts, which are short."""
    if rate_hz == RATE_HZ:
        return samples
    count = round(len(samples) * RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)
    kept = count // 2 + 1
    fitted = np.zeros(kept, dtype=complex)
    fitted[: min(kept, len(spectrum))] = spectrum[:kept]
    return np.fft.irfft(fitted, count) * (count / len(samples))


def _synthesiser(language: str) -> Callable[[str, str], tuple[Samples, int]]:
    if language == "ja":
        return _open_jtalk if importlib.util.find_spec("pyopenjtalk") else _espeak
    return _espeak


def _open_jtalk(text: str, language: str) -> tuple[Samples, int]:
    # The package speaks of itself on standard output, and uses what its own dictionary calls deprecated.
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        import pyopenjtalk

        samples, rate_hz = pyopenjtalk.tts(text)
    return np.asarray(samples, dtype=np.float64) / 32768.0, int(rate_hz)


def _espeak(text: str, language: str) -> tuple[Samples, int]:
    with tempfile.TemporaryDirectory(prefix="kyusai-speech-") as folder:
        path = Path(folder, "said.wav")
        words = [
            "espeak-ng",
            "-v",
            VOICES[language],
            "-s",
            str(ESPEAK_WORDS_PER_MINUTE),
            "-w",
            str(path),
            "--stdin",
        ]
        try:
            subprocess.run(
                words, input=text.encode(), check=True, timeout=ESPEAK_TIMEOUT_S, capture_output=True
            )
        except FileNotFoundError as error:
            raise KyusaiError(
                "freeswitch.no_speech",
                "espeak-ng is not installed: this machine cannot speak prompts",
                "Install the package espeak-ng.",
            ) from error
        samples, rate_hz = soundfile.read(path)
    return np.asarray(samples, dtype=np.float64), int(rate_hz)


def _write(path: Path, samples: Samples) -> None:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    soundfile.write(fresh, samples, RATE_HZ, subtype="PCM_16", format="WAV")
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
