"""What a recording holds: when each side's tone is heard. Pure (numpy only) but for `load`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.lab.tones import AMPLITUDE, Samples

SMOOTHED_S = 0.03
"""A tone is told from others, and its edges are found to half of this."""

HEARD = AMPLITUDE / 4
"""Half of the amplitude that demodulation gives for a telephone's tone."""

BREATH_S = 0.12
"""A shorter pause is a late packet, not silence."""

LEAST_S = 0.1
"""A shorter sound is a click."""

QUIET = AMPLITUDE / 15
"""Louder than this outside a tone's time is somebody else, or a remainder."""


@dataclass(frozen=True)
class Recorded:
    """A recording: its length in seconds, and the samples of both sides."""

    rate_hz: int
    left: Samples
    right: Samples

    @property
    def length_s(self) -> float:
        """Seconds."""
        return len(self.left) / self.rate_hz


def load(path: Path) -> Recorded:
    """Read a file; one of a single channel has the same on both sides."""
    samples, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
    return Recorded(rate_hz, samples[:, 0], samples[:, -1])


def strength(channel: Samples, rate_hz: int, hz: float) -> Samples:
    """How strong a tone is at every sample."""
    turned = channel * np.exp(-2j * np.pi * hz * np.arange(len(channel)) / rate_hz)
    size = int(SMOOTHED_S * rate_hz)
    smooth: Samples = np.abs(np.convolve(turned, np.ones(size) / size, "same"))
    return smooth


def spans(channel: Samples, rate_hz: int, hz: float) -> list[tuple[float, float]]:
    """When the tone is heard: (from, to) in seconds from the recording's beginning."""
    on = np.concatenate([[False], strength(channel, rate_hz, hz) > HEARD, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(on)) / rate_hz
    found: list[tuple[float, float]] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if found and start - found[-1][1] < BREATH_S:
            found[-1] = (found[-1][0], float(end))
        else:
            found.append((float(start), float(end)))
    return [(start, end) for start, end in found if end - start >= LEAST_S]


def noise_outside(channel: Samples, rate_hz: int, heard: list[tuple[float, float]]) -> float:
    """The loudest sample more than a tenth of a second away from the spans."""
    rest = np.ones(len(channel), bool)
    for start, end in heard:
        rest[max(0, int((start - 0.1) * rate_hz)) : int((end + 0.1) * rate_hz)] = False
    return float(np.abs(channel[rest]).max()) if rest.any() else 0.0
