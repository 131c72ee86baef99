"""The quick way through a batch against the plain one. If they differ, what becomes of a record depends on its neighbours."""

import gzip
import json
from dataclasses import asdict, replace
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudsync import ingest, wire
from cloudsync.merge import Known, judge, merge, parse_records

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


@settings(max_examples=150)
@given(st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), max_size=4), st.booleans())
def test_both_ways_say_the_same_of_any_sound_batch(bodies: list[dict[str, Any]], canonical: bool) -> None:
    records = [record(seq, body) for seq, body in enumerate(bodies, 1)]
    items = [asdict(one) for one in records]
    body = wire.canonical_json({"site_id": "s", "box_id": "b", "records": items}).encode()
    if not canonical:
        body = plain(items)
    assert ingest.read_batch(body, coding="identity") == ("s", "b", by_the_plain_way(body))


GOOD = asdict(record(1, {"a": 1}))
SAID: dict[str, Any] = {
    "kind": "cdr",
    "priority": 1,
    "created_utc": "2026-11-21T00:00:00.000Z",
    "boot_id": "b",
    "body": {},
}


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
        asdict(wire.chain_record("", seq=2, record_id="r-2", **SAID)),
        asdict(wire.chain_record("none yet", seq=2, record_id="r-2", **SAID)),
        asdict(wire.chain_record(GOOD["hash"], seq=2, record_id="r-2", **SAID)),
        asdict(wire.chain_record(GOOD["hash"], seq=2, record_id="r-2", **SAID | {"boot_id": "c"})),
        GOOD | {"later": 1},
    ],
    ids=str,
)
def test_both_ways_say_the_same_of_any_single_record(item: Any) -> None:
    body = plain([GOOD, item])
    assert ingest.read_batch(body, coding="identity") == ("s", "b", by_the_plain_way(body))


STEP = {"kind": "cloud", "target": "cloud", "reason": "", "outcome": "answered", "ms": 5, "leg": 0}
CALL = {name: f"told of {name}" for name in wire.CDR_FIELDS} | {
    "route": [STEP, STEP],
    "quality": {"mos": 4.3, "loss": 0.0, "jitter_ms": 2.5},
    "legs": [{"number": "202", "codec": "", "after_ms": 9}],
    "answer_utc": None,
    "clock_ok": True,
    "ring_ms": 0,
}


@pytest.mark.parametrize(
    "body",
    [
        CALL,
        wire.cdr_without_empty(CALL | dict(wire.CDR_EMPTY)),
        CALL | {"later": 1},
        CALL | {"route": None},
        CALL | {"route": [1]},
        CALL | {"route": [STEP | {"zone": 1}, {}]},
        CALL | {"quality": {"loss": 1e-7}},
        CALL | {"ring_ms": 2**80},
    ],
    ids=[
        "whole",
        "without empty",
        "new field",
        "no route",
        "odd route",
        "odd step",
        "float",
        "large",
    ],
)
def test_both_ways_say_the_same_of_any_call_record(body: dict[str, Any]) -> None:
    item = asdict(record(1, body))
    texts = [wire.canonical_json({"site_id": "s", "box_id": "b", "records": [item]}).encode(), plain([item])]
    twice = texts[0].replace(b'"body":{', b'"body":{"ring_ms":1,')
    for text in (*texts, twice, texts[0].replace(b"ring_ms", b"rin\\u0067_ms")):
        assert ingest.read_batch(text, coding="identity") == ("s", "b", by_the_plain_way(text))


@pytest.mark.parametrize("body", [CALL, wire.cdr_without_empty(CALL | dict(wire.CDR_EMPTY))])
def test_call_record_comes_out_of_its_places_as_it_went_in(body: dict[str, Any]) -> None:
    """Else every record would be read twice, and nobody would notice but the processor."""
    text = wire.canonical_json(body).encode()
    assert ingest._encode_body(ingest._decode_cdr(text)) == text


def test_text_that_was_not_canonical_is_stored_as_the_text_that_was_hashed() -> None:
    body = plain([GOOD]).replace(b'{"a": 1}', b'{ "a" : 1 }')
    (item,) = ingest.read_batch(body, coding="identity")[2]
    assert item == by_the_plain_way(body)[0]
    assert item.body == '{"a":1}'  # type: ignore[union-attr]


def test_sound_batch_goes_the_quick_way() -> None:
    batch = wire.encode_batch("s", "b", [record(seq, {"n": seq, "氏名": "佐藤"}) for seq in (1, 2)])
    assert ingest._quickly(wire.gunzip(batch, wire.BATCH_BYTES_MAX)) is not None


CHAIN = [record(1)]
for _seq in range(2, 40):
    CHAIN.append(wire.chain_record(CHAIN[-1].hash, seq=_seq, record_id=f"r-{_seq}", **SAID))


@settings(max_examples=200)
@given(
    st.integers(0, 30),
    st.integers(1, 9),
    st.sets(st.integers(0, 38), max_size=3),
    st.sampled_from(["", "swapped", "id twice", "number twice", "other link"]),
)
def test_batch_looked_at_as_a_whole_is_judged_as_record_by_record(
    begin: int, count: int, held: set[int], odd: str
) -> None:
    items = CHAIN[begin : begin + count]
    if odd == "swapped":
        items[0], items[-1] = items[-1], items[0]
    elif odd == "id twice":
        items[-1] = replace(items[-1], id=items[0].id)
    elif odd == "number twice":
        items[-1] = replace(items[-1], seq=items[0].seq)
    elif odd == "other link":
        items[-1] = replace(items[-1], prev_hash="f" * 64)
    known, merged = Known([CHAIN[at] for at in held]), merge(items, [CHAIN[at] for at in held])
    results = []
    for item in items:
        results.append(judge(item, known))
        if results[-1].status == "stored":
            known.add(item)
    assert merged.results == tuple(results)
    assert merged.to_store == tuple(
        item for item, result in zip(items, results, strict=True) if result.status == "stored"
    )


@pytest.mark.parametrize("coding", ["zstd", "gzip", "identity"])
def test_batch_arrives_the_same_in_each_coding(coding: str) -> None:
    body = plain([GOOD])
    coded = {"zstd": zstandard.compress, "gzip": gzip.compress, "identity": bytes}[coding](body)
    assert ingest.read_batch(coded, coding=coding) == ingest.read_batch(body, coding="identity")


def _unsized(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (zstandard.compress(plain([GOOD]))[:-3], "bad_zstd"),
        (zstandard.compress(plain([GOOD])) + b"more", "bad_zstd"),
        (_unsized(plain([GOOD]))[:-3], "bad_zstd"),
        (b"", "bad_zstd"),
        (gzip.compress(plain([GOOD])), "bad_zstd"),
        (zstandard.compress(bytes(wire.BATCH_BYTES_MAX + 1)), "too_large"),
        (_unsized(bytes(64 * wire.BATCH_BYTES_MAX)), "too_large"),
    ],
    ids=["cut", "more behind it", "cut, size unsaid", "nothing", "gzip", "bomb", "bomb that says no size"],
)
def test_zstd_that_is_none_or_too_much_is_refused(body: bytes, key: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        ingest.read_batch(body, coding="zstd")
    assert caught.value.key == key


def test_body_that_says_no_size_is_taken() -> None:
    body = plain([GOOD])
    assert ingest.read_batch(_unsized(body), coding="zstd") == ingest.read_batch(body, coding="identity")
