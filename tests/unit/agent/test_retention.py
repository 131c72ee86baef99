"""What a box gives up. A failure means recordings deleted that should be there, or a disk that fills."""

import pytest

from agent.retention import DAY_S, MIB, Kept, Reason, counted, given_up
from appliance.site_model import Keeping

OLD, MIDDLE, NEW = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z"
KEPT = [
    Kept("new", NEW, 10 * MIB, False),
    Kept("old", OLD, 10 * MIB, False),
    Kept("middle", MIDDLE, 10 * MIB, False),
    Kept("parked-new", NEW, 10 * MIB, True),
    Kept("parked-middle", MIDDLE, 10 * MIB, True),
]
AGES = {
    "old": 40 * DAY_S,
    "middle": 20 * DAY_S,
    "parked-middle": 20 * DAY_S,
    "new": DAY_S,
    "parked-new": DAY_S,
}


@pytest.mark.parametrize(
    ("keeping", "gone"),
    [
        (Keeping(), []),
        (Keeping(days=41), []),
        (Keeping(days=40), [("old", Reason.AGE)]),
        (
            Keeping(days=20),
            [("old", Reason.AGE), ("middle", Reason.AGE), ("parked-middle", Reason.AGE)],
        ),
        (Keeping(mebibytes=50), []),
        (Keeping(mebibytes=49), [("parked-middle", Reason.SIZE)]),
        (
            Keeping(mebibytes=25),
            [("parked-middle", Reason.SIZE), ("parked-new", Reason.SIZE), ("old", Reason.SIZE)],
        ),
        (Keeping(days=40, mebibytes=40), [("old", Reason.AGE)]),
        (Keeping(days=40, mebibytes=39), [("old", Reason.AGE), ("parked-middle", Reason.SIZE)]),
    ],
)
def test_by_age_first_then_parked_then_the_oldest_until_the_rest_fits(
    keeping: Keeping, gone: list[tuple[str, Reason]]
) -> None:
    assert given_up(KEPT, AGES, keeping) == gone


def test_age_is_counted_and_not_read_off_a_clock() -> None:
    ancient = [Kept("ancient", "1970-01-01T00:00:03Z", 1, False)]
    ages = counted({}, ancient, 600.0)
    assert ages == {"ancient": 0.0}
    assert given_up(ancient, ages, Keeping(days=1)) == []
    for _ in range(144):
        ages = counted(ages, ancient, 600.0)
    assert given_up(ancient, ages, Keeping(days=1)) == [("ancient", Reason.AGE)]


def test_what_has_left_is_counted_no_longer() -> None:
    assert counted({"gone": 5.0, "old": 5.0}, [Kept("old", OLD, 1, False)], 10.0) == {"old": 15.0}
