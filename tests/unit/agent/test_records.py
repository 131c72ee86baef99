"""Which records go first, how many, and what the centre's words do to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.records import BATCH_BYTES_TARGET, choose, fitting, settle, smaller
from cloudsync.wire import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    RecordResult,
    RecordText,
    canonical_json,
    encode_batch,
    gunzip,
)


def record(seq: int, priority: int = 1, size_bytes: int = 10) -> RecordText:
    text = canonical_json({"x": "y" * size_bytes})
    return RecordText(seq, f"r{seq}", "cdr", priority, "2026-11-21T09:30:00Z", "b", text, "", "")


def test_emergency_goes_first_then_cdrs_then_the_rest_each_in_sequence() -> None:
    waiting = [record(1, 2), record(2), record(3, 0), record(4), record(5, 0)]
    assert [r.seq for r in choose(waiting)] == [3, 5, 2, 4, 1]


def test_batch_holds_no_more_than_the_limit() -> None:
    assert [r.seq for r in choose([record(n) for n in range(1, 9)], 3)] == [1, 2, 3]


def test_batch_stops_before_it_gets_too_many_bytes() -> None:
    waiting = [record(n, size_bytes=60_000) for n in range(1, 500)]
    batch = choose(waiting)
    assert 1 < len(batch) < 100
    assert len(gunzip(encode_batch("s", "b", batch), BATCH_BYTES_MAX)) <= BATCH_BYTES_TARGET


def test_record_that_fills_a_batch_alone_goes_alone() -> None:
    waiting = [record(1, size_bytes=BATCH_BYTES_TARGET), record(2)]
    assert [r.seq for r in choose(waiting)] == [1]


def test_nothing_waiting_gives_no_batch() -> None:
    assert choose([]) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 90_000)), max_size=60), st.integers(1, 50))
def test_batches_one_after_the_other_send_every_record_once_and_urgent_ones_first(
    shapes: list[tuple[int, int]], limit: int
) -> None:
    waiting = [record(seq, priority, size) for seq, (priority, size) in enumerate(shapes, 1)]
    sent: list[RecordText] = []
    while waiting:
        batch = choose(waiting, limit)
        assert 1 <= len(batch) <= limit
        sent += batch
        waiting = [r for r in waiting if r not in batch]
    assert sent == sorted(sent, key=lambda r: (r.priority, r.seq))
    assert len(sent) == len(shapes)


def test_only_stored_and_duplicate_records_are_deleted() -> None:
    results = [
        RecordResult("a", "stored"),
        RecordResult("b", "duplicate"),
        RecordResult("c", "refused", "conflict"),
        RecordResult("d", "refused"),
    ]
    settlement = settle(results)
    assert settlement.delete == ("a", "b")
    assert settlement.park == {"c": "conflict", "d": "refused"}


@pytest.mark.parametrize(("limit", "less"), [(1, 1), (500, 125), (300, 75), (3, 1)])
def test_batch_that_is_called_too_large_shrinks_fast(limit: int, less: int) -> None:
    assert smaller(limit) == less


@pytest.mark.parametrize(
    ("limit", "sent", "took_s", "then"),
    [
        (500, 500, 0.02, 500),
        (100, 100, 0.02, 200),
        (300, 300, 0.9, 500),
        (500, 500, 1.5, 500),
        (500, 500, 8.0, 125),
        (500, 20, 8.0, 5),
        (2, 1, 60.0, 1),
        (100, 400, 4.0, 100),
    ],
    ids=[
        "at the most",
        "grows",
        "grows to the most",
        "fits",
        "too slow",
        "few were slow",
        "one",
        "never grows when slow",
    ],
)
def test_batch_is_sized_by_what_the_line_bears(limit: int, sent: int, took_s: float, then: int) -> None:
    assert fitting(limit, sent, took_s) == then


@given(st.integers(1, 500), st.floats(1, 1000))
def test_batch_size_settles_at_what_a_slow_line_carries_in_time(limit: int, records_per_s: float) -> None:
    for _ in range(40):
        took_s = limit / records_per_s
        limit = fitting(limit, limit, took_s)
    assert 1 <= limit <= BATCH_RECORDS_MAX
    assert limit in (1, BATCH_RECORDS_MAX) or 0.4 <= limit / records_per_s <= 2.0
