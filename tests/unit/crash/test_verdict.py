"""What the crash harness calls lost, corrupt or merely stuck. A failure is a broken promise that passes for a delay."""

import pytest

from tests.crash.verdict import Parked, Verdict


def test_what_the_centre_refused_is_still_at_the_box_and_what_the_box_cannot_read_is_not() -> None:
    rows = [
        ["cdr-1", "cdr", "conflict"],
        ["event-1-0", "event", "seq_conflict"],
        ["cdr-2", "cdr", "damaged on the box's disk"],
        ["rec-1", "recording.conflict"],
        ["rec-2", "the file is gone"],
    ]
    parked = Parked.of(rows)
    assert parked.ids == {"cdr-1", "event-1-0", "cdr-2", "rec-1", "rec-2"}
    assert parked.spoilt == {"cdr-2": "damaged on the box's disk", "rec-2": "the file is gone"}
    assert (parked.calls, parked.records) == (1, 2)


@pytest.mark.parametrize(
    ("verdict", "sound", "caught"),
    [
        (Verdict(), True, False),
        (Verdict(stuck=["parked: x"]), False, False),
        (Verdict(lost=["x"]), False, True),
        (Verdict(doubled=["x"]), False, True),
        (Verdict(corrupt=["x"], stuck=["y"]), False, True),
    ],
)
def test_stuck_alone_is_a_fault_and_no_broken_promise(verdict: Verdict, *, sound: bool, caught: bool) -> None:
    assert (verdict.sound, verdict.caught) == (sound, caught)
