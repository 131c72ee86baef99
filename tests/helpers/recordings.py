"""Sounds as people hand them in: speech-like audio in every format that is taken, and files that are none."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

RATE_HZ = 48_000


def speech(seconds: float = 3.0, level: float = 0.05, rate_hz: int = RATE_HZ) -> npt.NDArray[np.float64]:
    """A tone with harmonics in syllables: loud for a quarter of a second, then quiet. level: of its peaks, full scale is 1."""
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    tone = sum(np.sin(2 * np.pi * 180 * number * at) / number for number in range(1, 8))
    sound: npt.NDArray[np.float64] = level * tone / 2.5 * (np.sin(2 * np.pi * 2 * at) > 0)
    return sound


def write(
    path: Path, samples: npt.NDArray[np.float64], rate_hz: int = RATE_HZ, subtype: str | None = None
) -> Path:
    """WAV, FLAC, MP3, OGG, AIFF or AU by the file's ending."""
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def write_aac(path: Path, samples: npt.NDArray[np.float64], kind: str) -> Path:
    """AAC in "ipod" (M4A) or "adts". RATE_HZ."""
    with av.open(str(path), "w", format=kind) as opened:
        stream = opened.add_stream("aac", rate=RATE_HZ, layout="mono")
        whole = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None, :], format="fltp", layout="mono")
        whole.sample_rate = RATE_HZ
        queue = av.AudioFifo()
        queue.write(whole)
        for frame in (*queue.read_many(1024), None):
            for packet in stream.encode(frame):
                opened.mux(packet)
    return path
