"""What somebody reads who waits for a campaign. A failure means that it looks hung, or sound while it is not."""

import pytest

from tests.crash.progress import line


@pytest.mark.parametrize(
    ("tally", "passed_s", "told"),
    [
        (b"", 10, "0 of 1,000 runs, 0 at fault, 10 s so far"),
        (b"." * 500, 40, "500 of 1,000 runs, 0 at fault, about 40 s left"),
        (b"." * 98 + b"!!", 60, "100 of 1,000 runs, 2 at fault, about 9 min left"),
        (b"." * 990 + b"sssss", 99, "990 of 1,000 runs, 0 at fault, about 1 s left"),
        (b"." * 999 + b"!" + b"s" * 7, 99, "1,000 of 1,000 runs, 1 at fault; 7 of the spoilt variants"),
    ],
    ids=("beginning", "half", "faults", "another worker is further", "end"),
)
def test_progress_says_how_many_are_done_at_fault_and_how_long_is_left(
    tally: bytes, passed_s: float, told: str
) -> None:
    assert line(tally, 1_000, passed_s) == told
