"""What gives way as the disk fills: an order that must never put recordings before call records."""

import itertools

import pytest

from agent.disk import (
    FULL_BYTES,
    GIVES_WAY,
    LOW_BYTES,
    MIB,
    DiskState,
    Use,
    allows,
    full_below,
    low_below,
    next_state,
)

AMPLE, LOW, FULL = DiskState
DISK = 1000 * MIB
"""LOW below 100 MiB, FULL below 30 MiB, left at 150 and 45."""


@pytest.mark.parametrize(
    ("before", "free_mib", "after"),
    [
        (AMPLE, 100, AMPLE),
        (AMPLE, 99, LOW),
        (AMPLE, 29, FULL),
        (LOW, 149, LOW),
        (LOW, 150, AMPLE),
        (LOW, 30, LOW),
        (LOW, 29, FULL),
        (FULL, 44, FULL),
        (FULL, 45, LOW),
        (FULL, 149, LOW),
        (FULL, 150, AMPLE),
        (FULL, 0, FULL),
    ],
)
def test_a_state_falls_at_its_threshold_and_rises_with_relief(
    before: DiskState, free_mib: int, after: DiskState
) -> None:
    assert next_state(before, free_mib * MIB, DISK) is after


def test_a_disk_whose_room_wavers_about_a_threshold_does_not_switch_to_and_fro() -> None:
    state, changes = AMPLE, 0
    for free_mib in itertools.islice(itertools.cycle((99, 101, 120)), 60):
        after = next_state(state, free_mib * MIB, DISK)
        changes += after is not state
        state = after
    assert (state, changes) == (LOW, 1)


def test_a_big_disk_is_judged_by_bytes_and_a_small_one_by_its_share() -> None:
    assert (low_below(4_000_000 * MIB), full_below(4_000_000 * MIB)) == (LOW_BYTES, FULL_BYTES)
    assert (low_below(64 * MIB), full_below(64 * MIB)) == (int(6.4 * MIB), int(1.92 * MIB))


def test_call_records_never_give_way_and_what_has_given_way_stays_so_as_it_gets_worse() -> None:
    assert all(allows(state, Use.CALL_RECORD) for state in DiskState)
    assert set() == GIVES_WAY[AMPLE] < GIVES_WAY[LOW] < GIVES_WAY[FULL]
    assert GIVES_WAY[LOW] == {Use.NEW_RECORDING}
