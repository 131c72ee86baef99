"""If one of these fails, a call record is lost, doubled or altered at the centre, or stands in the way of others."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsync import wire
from cloudsync.merge import Held, merge, parse_records
from cloudsync.wire import Record, RecordResult


def chain(count: int, salt: str = "") -> list[Record]:
    records: list[Record] = []
    for seq in range(1, count + 1):
        records.append(
            wire.chain_record(
                records[-1].hash if records else wire.GENESIS_HASH,
                seq=seq,
                record_id=f"r{seq}{salt}",
                kind="cdr",
                priority=1,
                created_utc="2026-11-21T00:00:00.000Z",
                boot_id="b",
                body={"n": seq},
            )
        )
    return records


def held(records: list[Record]) -> list[Held]:
    return [Held(r.seq, r.id, r.prev_hash, r.hash) for r in records]


def judged(records: list[Record], store: list[Record]) -> list[str]:
    raw = [asdict(record) for record in records]
    return [r.reason or str(r.status) for r in merge(parse_records(raw), held(store)).results]


def rehashed(record: Record, **changes: object) -> Record:
    changed = replace(record, **changes)
    return replace(changed, hash=wire.record_hash(changed))


R1, R2, R3, R4 = chain(4)


@pytest.mark.parametrize(
    ("batch", "store", "expected"),
    [
        ([R1, R2], [], ["stored", "stored"]),
        ([R1, R2], [R1], ["duplicate", "stored"]),
        ([R1, R1], [], ["stored", "duplicate"]),
        ([R3], [R1], ["stored"]),
        ([R4, R2, R3], [R1], ["stored", "stored", "stored"]),
        ([rehashed(R1, body={"n": 9})], [R1], ["conflict"]),
        ([rehashed(R1, id="other")], [R1], ["seq_conflict"]),
        ([replace(R1, body={"n": 9})], [], ["bad_hash"]),
        ([replace(R1, body={"n": 9})], [R1], ["bad_hash"]),
        ([rehashed(R1, prev_hash="1" * 64)], [], ["broken_chain"]),
        ([rehashed(R2, prev_hash="1" * 64)], [R1], ["broken_chain"]),
        ([rehashed(R2, body={"n": 9})], [R1, R3], ["broken_chain"]),
        ([rehashed(R2, body={"n": 9}), R3], [R1, R2], ["conflict", "stored"]),
    ],
    ids=[
        "new",
        "lost acknowledgement",
        "twice in one batch",
        "gap is allowed",
        "any order",
        "same id other content",
        "same number other id",
        "altered on the way",
        "altered duplicate",
        "first record without genesis",
        "predecessor disagrees",
        "successor disagrees",
        "refused one does not stop the next",
    ],
)
def test_each_situation_has_its_word(batch: list[Record], store: list[Record], expected: list[str]) -> None:
    assert judged(batch, store) == expected


@pytest.mark.parametrize("raw", [None, 7, "x", [], {}, {"id": 5}, {"id": "r1"}], ids=repr)
def test_unreadable_item_is_refused_alone(raw: object) -> None:
    merged = merge(parse_records([raw, asdict(R1)]), [])
    assert [str(r.status) for r in merged.results] == ["refused", "stored"]
    assert merged.results[0].reason == "malformed"
    assert [item.hash for item in merged.to_store] == [R1.hash]
    assert not merged.refused


def test_refusal_echoes_the_id_that_came() -> None:
    assert parse_records([{"id": "\ud800x"}]) == [RecordResult("\ud800x", "refused", "malformed")]


@given(st.lists(st.lists(st.integers(0, 19), max_size=12), max_size=12))
def test_any_sequence_of_batches_stores_each_record_once(batches: list[list[int]]) -> None:
    records = chain(20)
    store: list[Record] = []
    for batch in batches:
        store.extend(merge([records[index] for index in batch], held(store)).to_store)
    wanted = {records[index].id for batch in batches for index in batch}
    assert sorted(record.id for record in store) == sorted(wanted)
