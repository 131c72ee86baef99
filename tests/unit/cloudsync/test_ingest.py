"""The quick way through a batch against the plain one. If they differ, what becomes of a record depends on its neighbours."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudsync import ingest, wire
from cloudsync.merge import parse_records

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def record(seq: int = 1, body: dict[str, Any] | None = None, **changes: Any) -> wire.Record:
    fields = {
        "record_id": f"r-{seq}",
        "kind": "cdr",
        "priority": 1,
        "created_utc": "2026-11-21T00:00:00.000Z",
        "boot_id": "b",
    }
    return wire.chain_record(wire.GENESIS_HASH, seq=seq, body=body or {}, **(fields | changes))


def plain(items: list[Any]) -> bytes:
    return json.dumps({"site_id": "s", "box_id": "b", "records": items}, ensure_ascii=False).encode()


def by_the_plain_way(body: bytes) -> list[Any]:
    return parse_records(wire.decode_batch(body, gzipped=False).records)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), max_size=4), st.booleans())
def test_both_ways_say_the_same_of_any_sound_batch(bodies: list[dict[str, Any]], canonical: bool) -> None:
    records = [record(seq, body) for seq, body in enumerate(bodies, 1)]
    items = [asdict(one) for one in records]
    body = wire.canonical_json({"site_id": "s", "box_id": "b", "records": items}).encode()
    if not canonical:
        body = plain(items)
    assert ingest.read_batch(body, gzipped=False) == ("s", "b", by_the_plain_way(body))


GOOD = asdict(record(1, {"a": 1}))


@pytest.mark.parametrize(
    "item",
    [
        None,
        {},
        GOOD | {"seq": 0},
        GOOD | {"seq": True},
        GOOD | {"seq": 1.0},
        GOOD | {"seq": 2**63},
        GOOD | {"id": "r-1\n"},
        GOOD | {"id": ".r"},
        GOOD | {"kind": "CDR"},
        GOOD | {"priority": 10},
        GOOD | {"created_utc": "2026-11-21"},
        GOOD | {"boot_id": "x" * 65},
        GOOD | {"boot_id": 'a"b'},
        GOOD | {"prev_hash": "0" * 63},
        GOOD | {"hash": GOOD["hash"].upper()},
        GOOD | {"body": []},
        GOOD | {"body": {"a": 2}},
        asdict(record(1, {"a": "x" * wire.RECORD_BYTES_MAX})),
        asdict(record(1, {"a": 1e-7})),
        asdict(record(1, {"a": 2**80})),
        asdict(record(1, boot_id='a"b')),
        asdict(replace(record(1), prev_hash="x")),
        GOOD | {"later": 1},
    ],
    ids=str,
)
def test_both_ways_say_the_same_of_any_single_record(item: Any) -> None:
    body = plain([GOOD, item])
    assert ingest.read_batch(body, gzipped=False) == ("s", "b", by_the_plain_way(body))


def test_text_that_was_not_canonical_is_stored_as_the_text_that_was_hashed() -> None:
    body = plain([GOOD]).replace(b'{"a": 1}', b'{ "a" : 1 }')
    (item,) = ingest.read_batch(body, gzipped=False)[2]
    assert item == by_the_plain_way(body)[0]
    assert item.body == '{"a":1}'  # type: ignore[union-attr]


def test_sound_batch_goes_the_quick_way() -> None:
    batch = wire.encode_batch("s", "b", [record(seq, {"n": seq, "氏名": "佐藤"}) for seq in (1, 2)])
    assert ingest._quickly(wire.gunzip(batch, wire.BATCH_BYTES_MAX)) is not None
