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
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from appliance.errors import KyusaiError
from appliance.freeswitch.loudness import EDGE_S, PIECE_EDGE_S, RATE_HZ, Samples, levelled
from appliance.freeswitch.prompt_texts import Spoken

ESPEAK_WORDS_PER_MINUTE = 150
ESPEAK_TIMEOUT_S = 20
UNFINISHED = ".new"
"""Ends the name of a file that is being written, by one process."""

LEFT_S = 600.0
"""One that was not touched for so long was left by a process that was killed."""

VOICES = {"en": "en-us", "ja": "ja"}


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


def clear_up(folder: Path) -> None:
    """Remove what killed processes left unfinished. Blocks on disk."""
    for path in folder.glob(f"*/*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_S:
                path.unlink()


def missing(spoken: Sequence[Spoken], folder: Path) -> list[Spoken]:
    """Prompts to be made that have no audio yet; a link in its place is a stand-in. Recordings are nobody's to make."""
    paths = {one: folder / one.file for one in spoken if not one.audio}
    return [one for one, path in paths.items() if path.is_symlink() or not path.is_file()]


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
    fresh = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
    soundfile.write(fresh, samples, RATE_HZ, subtype="PCM_16", format="WAV")
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
