"""How loud a prompt is: speech of any rate and level brought to one level, peak and silence around it. Computes, no more.

Loudness is the RMS over what is spoken, pauses left out, as ITU-T P.56 measures active speech. EBU R128 weighs frequencies
for music on loudspeakers; a telephone passes too few of them for that to matter.
"""

import numpy as np
import numpy.typing as npt

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

SILENT_DBFS = -55.0
"""Nothing above this in all of a recording is silence with noise: no word on a telephone is so low."""

Samples = npt.NDArray[np.float64]


def levelled(samples: Samples, rate_hz: int, edge_s: float = EDGE_S) -> Samples:
    """Speech of any rate and level as a prompt: `RATE_HZ`, `LOUDNESS_DBFS`, its outer silence of `edge_s`. Full scale is 1.

    Raises ValueError for silence."""
    wide = resampled(samples, rate_hz)
    size = int(PIECE_S * RATE_HZ)
    power = _power(wide, size)
    if not len(power) or power.max() < 10 ** (SILENT_DBFS / 10):
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


def loudness_dbfs(samples: Samples) -> float:
    """The level of what is spoken in audio of `RATE_HZ`. Raises ValueError for nothing."""
    power = _power(samples, int(PIECE_S * RATE_HZ))
    if not len(power) or not power.max():
        raise ValueError("nothing can be heard in it")
    return float(10 * np.log10(np.mean(power[power > power.max() / 10 ** (SPEECH_FLOOR_DB / 10)])))


def _power(samples: Samples, size: int) -> Samples:
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    power: Samples = np.mean(pieces**2, axis=1) if len(pieces) else np.zeros(0)
    return power
