"""CORE. When a record was made, on a box whose clock was wrong: by the box's own word on how far its clock was set.

A record carries the wall time that its box believed. When the clock is set, the box tells by how much; whatever it told in
the same boot by the old clock is off by so much. Which clock a record was told by shows in its time: old and new clock
have no moment in common once they differ by more than the time in question, and where they do (a small step), the
record's number decides. A boot that never learnt the time leaves only this: its records were made before they came.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SLACK_MS = 1_000
"""Clock and uptime are read one after the other."""

NEW_CLOCK_MS = 40 * 86_400_000
"""By the clock as it is now, records are made for so long until somebody asks; a time beyond it was told by the old one."""

LOOK_MS = 6_000
"""A step is told at most this long after it was made (`agent.clock_steps.LOOK_S`, and a second)."""


class Source(StrEnum):
    """How a corrected time is known. SET: by the box's word. ARRIVAL: not at all; it is that of the arrival."""

    SET = "set"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Step:
    """A clock that was set. seq: number of the event; wall_ms: the clock then, set already; by_ms: ahead is positive;
    uptime_ms: since the boot, None where the box did not tell."""

    seq: int
    wall_ms: int
    by_ms: int
    uptime_ms: int | None

    def by_old_clock(self, seq: int, wall_ms: int) -> bool:
        """Whether a time of this boot was told by the clock as it was before. seq: number of its record."""
        old_now_ms = self.wall_ms - self.by_ms
        begin_ms = float("-inf") if self.uptime_ms is None else old_now_ms - self.uptime_ms - SLACK_MS
        if not begin_ms <= wall_ms <= old_now_ms + SLACK_MS:
            return False
        by_new_clock = self.wall_ms - LOOK_MS <= wall_ms <= self.wall_ms + NEW_CLOCK_MS
        return seq < self.seq if abs(self.by_ms) <= LOOK_MS or by_new_clock else True


def corrected_ms(seq: int, wall_ms: int, steps: Iterable[Step]) -> int:
    """The time of a record by its box's latest clock. steps: all of its boot."""
    for step in sorted(steps, key=lambda one: one.seq):
        if step.by_old_clock(seq, wall_ms):
            wall_ms += step.by_ms
    return wall_ms
