"""CORE. When a record was made, on a box whose clock was wrong: by the box's own word on how far its clock was set.

A record carries the wall time that its box believed, and a call's record those of the call. When the clock is set, the box
tells by how much; what it told in the same boot by the old clock is off by so much. By which clock a time was told shows
in the time itself: old and new clock have no moment in common once they differ by more than the box has been up. Where
they do, the records' order decides, and that no call ends after its record was made. A boot that never learnt the time
leaves only this: its records were made before they came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

SLACK_MS = 1_000
"""Clock and uptime are read one after the other; and a smaller error is not told of, see `agent.clock_steps.STEP_MS`."""

NEW_CLOCK_MS = 40 * 86_400_000
"""By the clock as it is now, records are made for so long until somebody asks; a time beyond it was told by the old one."""

LOOK_MS = 6_000
"""A step is told at most this long after it was made: `agent.clock_steps.LOOK_S`, and time for a busy machine."""


class Source(StrEnum):
    """How a corrected time is known. SET: by the box's word. ARRIVAL: not at all; it is that of the arrival."""

    SET = "set"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Step:
    """A clock that was set. seq: number of the event; wall_ms: the clock then, set already; by_ms: ahead is positive;
    uptime_ms: since the boot, None where the box did not tell. since_seq: the first record by the clock as it then was,
    see `placed`; 0 stands for `seq`."""

    seq: int
    wall_ms: int
    by_ms: int
    uptime_ms: int | None
    since_seq: int = 0

    def placed(self, before: Sequence[tuple[int, int]]) -> "Step":
        """The same with `since_seq`. before: number and time of the boot's last records before it, the latest first: those
        that directly precede it and fall into its last seconds were told by the new clock already."""
        since = self.seq
        for seq, wall_ms in before:
            if not self.wall_ms - LOOK_MS <= wall_ms <= self.wall_ms + SLACK_MS:
                break
            since = seq
        return replace(self, since_seq=since)

    def may_be_old(self, wall_ms: int) -> bool:
        """Whether the clock as it was before ever showed that time in this boot."""
        old_now_ms = self.wall_ms - self.by_ms
        begin_ms = float("-inf") if self.uptime_ms is None else old_now_ms - self.uptime_ms - SLACK_MS
        return begin_ms <= wall_ms <= old_now_ms + SLACK_MS

    def may_be_new(self, wall_ms: int) -> bool:
        """Whether the clock as it is since may have shown that time."""
        return self.wall_ms - LOOK_MS <= wall_ms <= self.wall_ms + NEW_CLOCK_MS

    def made_by_old(self, seq: int, wall_ms: int) -> bool:
        """Whether a record was made by the clock as it was before."""
        if not self.may_be_old(wall_ms):
            return False
        return not self.may_be_new(wall_ms) or seq < (self.since_seq or self.seq)


def corrected_ms(seq: int, made_ms: int, steps: Iterable[Step], told_ms: Sequence[int] = ()) -> list[int]:
    """The true times of a record: when it was made, and those that it tells of what was before. seq: its number; made_ms,
    told_ms: as it says; steps: all of its boot. A difference of less than a second is none."""
    own = [made_ms, *told_ms]
    times = list(own)
    for step in sorted(steps, key=lambda one: one.seq):
        made = times[0]
        by_old = step.made_by_old(seq, made)
        times = [
            one + step.by_ms if _is_old(step, one, made, by_old=by_old, first=index == 0) else one
            for index, one in enumerate(times)
        ]
    return [
        before if abs(after - before) < SLACK_MS else after for before, after in zip(own, times, strict=True)
    ]


def _is_old(step: Step, wall_ms: int, made_ms: int, *, by_old: bool, first: bool) -> bool:
    """Whether a time of a record was told by the clock as it was before. made_ms: when the record was made; by_old: by
    which clock that was told; first: it is that time itself."""
    if first:
        return by_old
    if not step.may_be_old(wall_ms):
        return False
    return by_old or not step.may_be_new(wall_ms) or wall_ms > made_ms + SLACK_MS
