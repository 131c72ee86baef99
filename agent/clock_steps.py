"""CORE. Sees that the wall clock was set: after a boot with a wrong clock, the first word of a time server.

What was told before in the same boot is off by as much as the clock then jumped. Slow corrections are no steps.
"""

from agent.journal_events import Moment

LOOK_S = 1.0
"""The clock is looked at this often: two system calls. What is told between a step and the look is sorted out at the centre."""

STEP_MS = 1000
"""A jump from here on is told; a time server that corrects slowly moves half a millisecond in between (500 ppm, adjtimex)."""


class ClockSteps:
    """The wall clock beside the one that only goes forward."""

    def __init__(self) -> None:
        self._offset_ms: int | None = None

    def look(self, now: Moment) -> int:
        """By how many milliseconds the wall clock was set since the last look, 0 for not at all; ahead is positive."""
        offset_ms = now.wall_ms - now.mono_ms
        before_ms, self._offset_ms = self._offset_ms, offset_ms
        moved_ms = 0 if before_ms is None else offset_ms - before_ms
        return moved_ms if abs(moved_ms) >= STEP_MS else 0
