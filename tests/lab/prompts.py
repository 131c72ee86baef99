"""Recognises a prompt by its own audio: how much of a file was heard, and in its order. Pure but for reading the file.

The file is cut into pieces; each is looked for in what arrived by normalised cross-correlation, which a line's codec and
level change little. A piece counts when it is found, and found after the one before it.
"""

from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from tests.lab.tones import Samples

RATE_HZ = 8_000
PIECE_S = 0.25
PIECE_LIKENESS = 0.6
"""The same speech through G.711 reaches 0.95 and more, other speech of the same voice 0.4."""

HEARD = 0.65
"""Of a prompt's pieces: a telephone's jitter buffer drops some on a busy machine, and each drop spoils a piece."""

PAUSE_RMS = 0.01
LOOK_S = 0.25


def likeness(heard: Samples, rate_hz: int, path: Path) -> float:
    """Share of the prompt's pieces that were heard in order, 0 to 1."""
    line = _at_line_rate(heard, rate_hz)
    pieces = _pieces(path)
    size = int(PIECE_S * RATE_HZ)
    if len(line) < size or not pieces:
        return 0.0
    found, after = 0, 0
    for piece in pieces:
        score, at = _best(line[after:], piece)
        if score >= PIECE_LIKENESS:
            found += 1
            after += at + size // 2
    return found / len(pieces)


def _best(line: Samples, piece: Samples) -> tuple[float, int]:
    """Highest normalised correlation of ``piece`` in ``line``, and where."""
    size = len(piece)
    if len(line) < size:
        return 0.0, 0
    count = 1 << (len(line) + size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(line, count) * np.conj(np.fft.rfft(piece, count)), count)
    matched = product[: len(line) - size + 1]
    power = np.concatenate([[0.0], np.cumsum(line**2)])
    energy = np.sqrt(np.maximum(power[size:] - power[:-size], 1e-9) * float(np.sum(piece**2)))
    scores = matched / np.maximum(energy, 1e-6)
    at = int(np.argmax(scores))
    return float(scores[at]), at


@cache
def _pieces(path: Path) -> tuple[Samples, ...]:
    samples, rate_hz = soundfile.read(path)
    whole = _at_line_rate(np.asarray(samples, dtype=np.float64), rate_hz)
    size = int(PIECE_S * RATE_HZ)
    cut = (whole[start : start + size] for start in range(0, len(whole) - size + 1, size))
    return tuple(piece for piece in cut if np.sqrt(np.mean(piece**2)) > PAUSE_RMS)


def _at_line_rate(samples: Samples, rate_hz: int) -> Samples:
    if rate_hz == RATE_HZ or not len(samples):
        return samples
    count = int(len(samples) * RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    return np.fft.irfft(spectrum, count) * (count / len(samples))
