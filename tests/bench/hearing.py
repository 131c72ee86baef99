"""Whether calls that were up go on: ended by the other side, silent for too long, or heard throughout. Pure.

A call counts from the moment at which it is followed to the moment at which it is asked for: silence at either end of that
time is silence, and one whose other side hung up is not forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SILENCE_MAX_MS = 500
"""What a caller takes for a breath; longer, and he asks whether somebody is still there."""


@dataclass(slots=True)
class Hearing:
    """The sound of one call. Times are monotonic seconds. gap_s: the longest silence before `last_s`."""

    last_s: float
    gap_s: float = 0.0

    def sound(self, at_s: float) -> None:
        """Something was heard."""
        self.gap_s = self.longest_s(at_s)
        self.last_s = at_s

    def longest_s(self, until_s: float) -> float:
        """The longest silence, the one that still lasts included."""
        return max(self.gap_s, until_s - self.last_s)


def outcome(followed: Mapping[str, Hearing | None], until_s: float) -> dict[str, Any]:
    """What became of calls. followed: None for one that the other side has ended.

    calls: how many there were; ended, silent: how many of them are lost; gap_ms: the longest silence of each that is up.
    """
    gaps = [round(one.longest_s(until_s) * 1000) for one in followed.values() if one is not None]
    return {
        "calls": len(followed),
        "ended": len(followed) - len(gaps),
        "silent": sum(gap > SILENCE_MAX_MS for gap in gaps),
        "gap_ms": gaps,
    }
