"""The clock is set while the box works. A failure leaves times years off, and nobody who could tell by how much."""

from agent.clock_steps import STEP_MS, ClockSteps
from agent.journal_events import Moment

YEARS_MS = 5 * 365 * 86_400_000


def looks(*walls_ms: int) -> list[int]:
    watch = ClockSteps()
    return [watch.look(Moment("boot-a", 5000 * number, wall_ms)) for number, wall_ms in enumerate(walls_ms)]


def test_a_clock_that_goes_is_no_step() -> None:
    assert looks(0, 5000, 10_000, 15_000) == [0, 0, 0, 0]


def test_a_time_server_that_corrects_slowly_is_no_step() -> None:
    assert looks(*(5002 * number for number in range(2000))) == [0] * 2000


def test_a_clock_that_was_years_behind_is_told_once_with_how_far() -> None:
    assert looks(0, 5000, YEARS_MS + 10_000, YEARS_MS + 15_000) == [0, 0, YEARS_MS, 0]


def test_a_clock_that_was_ahead_is_set_back() -> None:
    assert looks(YEARS_MS, YEARS_MS + 5000, 10_000) == [0, 0, -YEARS_MS]
    assert looks(0, 5000 - STEP_MS, 10_000) == [0, -STEP_MS, STEP_MS]
