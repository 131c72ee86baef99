"""Logs in a long outage: one line a minute, nothing uncounted."""

from agent.repeats import KINDS_MAX, Repeats


def test_the_first_line_passes_and_the_next_after_the_interval_tells_how_many_were_held_back() -> None:
    repeats = Repeats(60.0)
    assert [repeats.let_through("x", float(second)) for second in (0, 1, 30, 59, 60, 61, 121)] == [
        0, None, None, None, 3, None, 1,
    ]  # fmt: skip


def test_different_lines_do_not_hold_each_other_back() -> None:
    repeats = Repeats()
    assert (repeats.let_through("x", 0.0), repeats.let_through("y", 0.0)) == (0, 0)


def test_endless_different_lines_take_no_endless_memory() -> None:
    repeats = Repeats()
    for number in range(KINDS_MAX + 1):
        assert repeats.let_through(number, 0.0) == 0
    assert repeats.let_through(0, 0.0) == 0, "forgotten, and let through once more"
