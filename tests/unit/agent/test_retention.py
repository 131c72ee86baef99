"""What a box gives up. A failure means recordings deleted that should be there, or a disk that fills."""

import pytest

from agent.retention import DAY_S, MIB, Kept, Reason, counted, given_up, name_of
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
    assert given_up(KEPT, AGES, keeping, {}) == gone


@pytest.mark.parametrize(
    ("keep_days", "class_days", "gone"),
    [
        (0, {"middle": 20}, ["middle"]),
        (0, {"middle": 21}, []),
        (41, {"old": 30, "new": 2}, ["old"]),
        (20, {"old": 3650, "middle": 3650}, ["old", "middle", "parked-middle"]),
        (0, {"old": 0}, []),
    ],
)
def test_class_shortens_and_never_lengthens(
    keep_days: int, class_days: dict[str, int], gone: list[str]
) -> None:
    found = given_up(KEPT, AGES, Keeping(days=keep_days), class_days)
    assert found == [(one, Reason.AGE) for one in gone]


def test_recording_is_meant_by_its_id_or_by_the_beginning_of_it() -> None:
    assert name_of("rec-a-1", {"rec-a-1", "rec-a"}) == "rec-a-1"
    assert name_of("rec-a-1", {"rec-a"}) == "rec-a"
    assert name_of("rec-ab-1", {"rec-a"}) == ""


def test_age_is_counted_and_not_read_off_a_clock() -> None:
    ancient = [Kept("ancient", "1970-01-01T00:00:03Z", 1, False)]
    ages = counted({}, ["ancient"], 600.0)
    assert ages == {"ancient": 0.0}
    assert given_up(ancient, ages, Keeping(days=1), {}) == []
    for _ in range(144):
        ages = counted(ages, ["ancient"], 600.0)
    assert given_up(ancient, ages, Keeping(days=1), {}) == [("ancient", Reason.AGE)]


def test_what_has_left_is_counted_no_longer() -> None:
    assert counted({"gone": 5.0, "old": 5.0}, ["old"], 10.0) == {"old": 15.0}
