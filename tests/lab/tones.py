"""Tones that tell who hears whom: each phone sends its own frequency and lists those it receives. Pure, but for `write`."""

import math
import os
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
"""Mono audio, full scale is -1 to 1."""

AMPLITUDE = 0.3
"""-10.5 dBFS: well above the noise of a companding codec, with room for several in a mix."""

WINDOW_S = 0.2
"""Listening window: 5 Hz per bin, so tones 30 Hz apart are told from each other."""

FLOOR_DB = -35.0
"""Quieter than this counts as not heard: G.711's noise lies below, an attenuated tone above."""

BELOW_LOUDEST_DB = 25.0
"""A peak this much below the loudest is distortion, not somebody speaking."""

LOWEST_HZ = 200.0
SAME_HZ = 12.0
"""Two frequencies closer than this are the same tone."""

FIRST_HZ, STEP_HZ, TONES = 500, 30, 34

SILENT_RMS, SILENCE_STEP_S = 0.003, 0.02
"""50 dB below full scale: what a line without a sound has left."""


@dataclass(frozen=True)
class Tone:
    """One frequency that is heard, and how loud (0 dBFS is a full-scale sine)."""

    hz: float
    level_db: float


def assigned(index: int) -> int:
    """The frequency (Hz) of lab phone ``index``, counted from 0. Raises ``ValueError`` from ``TONES`` on."""
    if not 0 <= index < TONES:
        raise ValueError(f"tone {index}: must be 0 to {TONES - 1}")
    return FIRST_HZ + STEP_HZ * index


def sine(hz: float, rate_hz: int, start: int, count: int) -> Samples:
    """``count`` samples of the tone from sample number ``start`` on, so that pieces join without a click."""
    return AMPLITUDE * np.sin(2 * np.pi * hz * np.arange(start, start + count) / rate_hz)


def pcm16(samples: Samples, channels: int = 1) -> bytes:
    """Interleaved little-endian 16-bit PCM, the same in every channel."""
    mono = (samples * 32767).astype("<i2")
    return np.repeat(mono, channels).tobytes()


def from_pcm16(data: bytes, channels: int = 1) -> Samples:
    """The first channel of interleaved 16-bit PCM."""
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2")[::channels] / 32768.0


def heard(samples: Samples, rate_hz: int) -> list[Tone]:
    """The tones in ``samples``, loudest first; empty when it is quiet or too short to tell."""
    count = len(samples)
    if count < rate_hz * WINDOW_S * 0.6:
        return []
    window = np.hanning(count)
    spectrum = np.abs(np.fft.rfft(samples * window)) * 2 / window.sum()
    level = 20 * np.log10(np.maximum(spectrum, 1e-9))
    bin_hz = rate_hz / count
    floor = max(FLOOR_DB, float(level.max()) - BELOW_LOUDEST_DB)
    tones: list[Tone] = []
    for index in range(max(2, math.ceil(LOWEST_HZ / bin_hz)), len(level) - 2):
        here = float(level[index])
        if here < floor or here < level[index - 1] or here < level[index + 1]:
            continue
        left, right = float(level[index - 1]), float(level[index + 1])
        bend = left - 2 * here + right
        offset = 0.5 * (left - right) / bend if bend else 0.0
        tones.append(Tone(round((index + offset) * bin_hz, 1), round(here, 1)))
    tones.sort(key=lambda tone: -tone.level_db)
    return _without_sidelobes(tones)


def longest_silence_s(samples: Samples, rate_hz: int, lasted_s: float) -> float:
    """The longest silence in ``samples``, in steps of 20 ms. What is missing of the ``lasted_s`` seconds was silence as well."""
    size = int(SILENCE_STEP_S * rate_hz)
    steps = samples[: len(samples) // size * size].reshape(-1, size)
    longest = now = 0
    for level in np.sqrt(np.mean(steps**2, axis=1)):
        now = now + 1 if level < SILENT_RMS else 0
        longest = max(longest, now)
    return longest * SILENCE_STEP_S + max(0.0, lasted_s - len(samples) / rate_hz)


def write(path: Path, hz: float, seconds: float, rate_hz: int = 8_000) -> None:
    """A WAV file of one tone, in place of whatever is there; what listens to the old one goes on with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with wave.open(str(fresh), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm16(sine(hz, rate_hz, 0, int(seconds * rate_hz))))
    fresh.replace(path)


def hears(tones: Sequence[Tone], hz: float) -> bool:
    """Whether ``hz`` is among the tones."""
    return any(abs(tone.hz - hz) <= SAME_HZ for tone in tones)


def only(tones: Sequence[Tone], expected_hz: Sequence[float]) -> bool:
    """Whether exactly the expected frequencies are heard, nothing else."""
    return all(hears(tones, hz) for hz in expected_hz) and all(
        any(abs(tone.hz - hz) <= SAME_HZ for hz in expected_hz) for tone in tones
    )


def _without_sidelobes(tones: list[Tone]) -> list[Tone]:
    kept: list[Tone] = []
    for tone in tones:
        if not any(abs(tone.hz - louder.hz) <= SAME_HZ for louder in kept):
            kept.append(tone)
    return kept
