"""A call that is lost cannot be taken for one that went on."""

import pytest

from tests.bench.hearing import Hearing, outcome


def heard(*at_s: float) -> Hearing:
    found = Hearing(10.0)
    for one in at_s:
        found.sound(one)
    return found


@pytest.mark.parametrize(
    ("at_s", "until_s", "gap_s"),
    [
        ((10.1, 10.2), 10.3, 0.1),
        ((), 12.0, 2.0),
        ((11.5,), 11.6, 1.5),
        ((10.1,), 11.6, 1.5),
        ((10.1, 10.8), 10.9, 0.7),
    ],
    ids=["throughout", "never", "silent at first", "silent at last", "silent between"],
)
def test_the_longest_silence_counts_wherever_it_lies(
    at_s: tuple[float, ...], until_s: float, gap_s: float
) -> None:
    assert heard(*at_s).longest_s(until_s) == pytest.approx(gap_s)


def test_of_calls_that_were_followed_each_is_up_silent_or_ended() -> None:
    followed = {"up": heard(10.2, 10.4), "silent": heard(10.1), "ended": None}
    assert outcome(followed, 10.7) == {"calls": 3, "ended": 1, "silent": 1, "gap_ms": [300, 600]}
