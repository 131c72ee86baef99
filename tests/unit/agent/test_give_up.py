"""What the centre is told of parked records that a person gives up: a place in the chain that fits is the only one believed."""

from typing import Any

import pytest

from agent.give_up import TOLD_MAX, Row, places, told, word
from cloudsync.wire import RECORD_BYTES_MAX, canonical_json, given_up_ids, given_up_runs


def hash_of(seq: int) -> str:
    return f"{seq:064x}"


def row(seq: int, **spoilt: Any) -> Row:
    made = Row(
        *(seq, f"cdr-{seq}", "cdr", 1, f"2026-11-21T09:30:{seq % 60:02}.000Z", "boot-a", '{"n":1}'),
        *(hash_of(seq - 1), hash_of(seq), "parked", "damaged on the box's disk"),
    )
    return made._replace(**spoilt)


SPOILT = "f" * 64


@pytest.mark.parametrize(
    ("rows", "certain"),
    [
        ([row(3)], {}),
        ([row(3, text=b"\xff", created_utc=7)], {}),
        ([row(3, hash=SPOILT)], {3: hash_of(3)}),
        ([row(3, prev_hash=SPOILT)], {2: hash_of(2)}),
        ([row(3, hash="no hash"), row(4)], {}),
        ([row(3), row(4, prev_hash=None)], {}),
        ([row(3, prev_hash="x", hash=5)], {2: hash_of(2), 3: hash_of(3)}),
    ],
    ids=["text", "bytes", "hash", "before", "hash, neighbour", "before, neighbour", "both"],
)
def test_place_is_that_of_the_neighbours_that_are_whole_then_the_rows_own(
    rows: list[Row], certain: dict[int, str]
) -> None:
    wanted = {one.seq: (one.seq, hash_of(one.seq - 1), hash_of(one.seq)) for one in rows}
    assert places(rows, certain) == wanted


def test_record_that_was_kept_out_of_the_sequence_or_has_no_hash_has_no_place() -> None:
    assert places([row(-1), row(0), row(3, hash="gone"), row(5)], {}) == {5: (5, hash_of(4), hash_of(5))}


def test_event_names_each_record_who_gave_it_up_and_why() -> None:
    rows = [row(-1), row(3), row(4), row(9)]
    body = told(rows, places(rows, {}), "Sato", "bad disk")
    runs = body.pop("runs")
    assert body == {
        "event": "records_given_up",
        "reason": "by_hand",
        "sort": "parked",
        "count": 4,
        "first_seq": -1,
        "last_seq": 9,
        "from_utc": "2026-11-21T09:30:03.000Z",
        "to_utc": "2026-11-21T09:30:59.000Z",
        "by": "Sato",
        "why": "bad disk",
        "records": [
            {"seq": seq, "id": f"cdr-{seq}", "kind": "cdr", "was": "damaged on the box's disk"}
            for seq in (-1, 3, 4, 9)
        ],
    }
    assert [run.first_seq for run in given_up_runs({"runs": runs})] == [3, 9]
    assert given_up_ids(body) == ["cdr--1", "cdr-3", "cdr-4", "cdr-9"]


def test_event_of_the_most_and_longest_fits_a_record() -> None:
    for worst in ("\x01" * 999, "\U0001f4de" * 999, '"' * 999):
        rows = [row(2 * n, id=worst, kind=worst, reason=worst) for n in range(1, TOLD_MAX + 1)]
        body = told(rows, places(rows, {}), "b" * 64, "w" * 200)
        assert len(canonical_json(body).encode()) < RECORD_BYTES_MAX


def test_text_that_is_none_becomes_one() -> None:
    assert [word(one) for one in ("a\udcff", None, 7, "x" * 200)] == ["a?", "None", "7", "x" * 128]


@pytest.mark.parametrize("body", [{}, {"records": 7}, {"records": [7, {"id": 7}, {"seq": 1}]}])
def test_event_that_names_nobody_names_nobody(body: dict[str, object]) -> None:
    assert given_up_ids(body) == []
