"""If this fails, an attack or a long outage fills the disk with log lines, or hides what happened."""

from cloudsync.throttle import Throttle


def test_first_lines_are_written_and_the_rest_counted() -> None:
    throttle = Throttle(lines_max=2, interval_s=10)
    assert [throttle.admit("k", now_s) for now_s in (0.0, 1.0, 2.0, 3.0)] == [0, 0, None, None]
    assert throttle.admit("other", 3.0) == 0
    assert throttle.admit("k", 10.0) == 2
    assert throttle.admit("k", 11.0) == 0
    assert throttle.admit("k", 12.0) is None
