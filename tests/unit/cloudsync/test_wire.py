"""If one of these fails, a box and a centre of different releases no longer understand or trust each other."""

import gzip
import hashlib
import json
from dataclasses import asdict, replace

import pytest

from cloudsync import wire


def record(**changes: object) -> wire.Record:
    return replace(
        wire.chain_record(
            wire.GENESIS_HASH,
            seq=1,
            record_id="tokyo-1:1",
            kind="cdr",
            priority=1,
            created_utc="2026-11-21T00:00:00.000Z",
            boot_id="b1",
            body={"caller": "201"},
        ),
        **changes,
    )


def test_untouched_record_fits_its_hash() -> None:
    assert wire.hash_fits(record())


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 2},
        {"id": "other"},
        {"kind": "event"},
        {"priority": 0},
        {"created_utc": "2026-11-21T00:00:01.000Z"},
        {"boot_id": "b2"},
        {"body": {"caller": "202"}},
        {"prev_hash": "1" * 64},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_any_changed_field_breaks_the_hash(changes: dict[str, object]) -> None:
    assert not wire.hash_fits(record(**changes))


def test_key_order_of_the_body_does_not_change_the_hash() -> None:
    assert record(body={"a": 1, "b": 2}).body == record(body={"b": 2, "a": 1}).body
    hashes = {wire.record_hash(record(body=body)) for body in ({"a": 1, "b": 2}, {"b": 2, "a": 1})}
    assert len(hashes) == 1


def test_batch_survives_the_wire_and_is_reproducible() -> None:
    data = wire.encode_batch("tokyo-1", "tokyo-1-a", [record()])
    assert data == wire.encode_batch("tokyo-1", "tokyo-1-a", [record()])
    batch = wire.decode_batch(data)
    assert (batch.site_id, batch.box_id) == ("tokyo-1", "tokyo-1-a")
    assert [wire.record_from(raw) for raw in batch.records] == [record()]


def test_decompression_bomb_is_refused_without_inflating_it() -> None:
    bomb = gzip.compress(b"0" * (wire.BATCH_BYTES_MAX * 4))
    with pytest.raises(wire.WireError) as caught:
        wire.decode_batch(bomb)
    assert caught.value.key == "too_large"


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"<html>", "bad_gzip"),
        (wire.encode_batch("s", "b", [])[:-4], "bad_gzip"),
        (gzip.compress(b"[]"), "malformed"),
        (gzip.compress(b"{}"), "malformed"),
        (gzip.compress(b'{"site_id":"s","box_id":1,"records":[]}'), "malformed"),
        (gzip.compress(b'{"site_id":"s","box_id":"b","records":[NaN]}'), "malformed"),
        (gzip.compress(b"[" * 100_000), "malformed"),
        (
            gzip.compress(b'{"site_id":"s","box_id":"b","records":[' + b"0," * 500 + b"0]}"),
            "too_many_records",
        ),
    ],
    ids=["html", "cut off", "list", "empty", "box id", "nan", "nested", "too many"],
)
def test_what_is_no_batch_is_refused_with_a_key(data: bytes, key: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode_batch(data)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", 0),
        ("seq", True),
        ("seq", "1"),
        ("seq", 2**63),
        ("id", ""),
        ("id", "../etc"),
        ("id", "x" * 129),
        ("kind", "rumour"),
        ("priority", -1),
        ("created_utc", "yesterday"),
        ("boot_id", "\ud800"),
        ("body", []),
        ("body", {"x": float("inf")}),
        ("body", {"x": "\ud800"}),
        ("hash", "A" * 64),
        ("prev_hash", ""),
    ],
    ids=repr,
)
def test_record_with_a_bad_field_is_malformed(name: str, value: object) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.record_from({**asdict(record()), name: value})
    assert caught.value.key == wire.Refusal.MALFORMED


def test_record_body_above_the_limit_is_too_large() -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.record_from({**asdict(record()), "body": {"x": "y" * wire.RECORD_BYTES_MAX}})
    assert caught.value.key == wire.Refusal.TOO_LARGE


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>It works!</html>",
        b'{"results": []}',
        b'{"results": [{"id": "b", "status": "stored"}]}',
        b'{"results": [{"id": "a", "status": "fine"}]}',
        b'{"results": [{"id": "a"}]}',
        b'{"results": [{"id": "a", "status": "stored"}, {"id": "b", "status": "stored"}]}',
        b'{"results": [{"id": "a", "status": "sto',
    ],
    ids=["proxy page", "none", "other id", "unknown word", "no word", "too many", "cut off"],
)
def test_uncertain_answer_never_acknowledges_a_record(answer: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode_results(answer, ["a"])


def test_certain_answer_is_read_in_order() -> None:
    answer = json.dumps(
        {
            "results": [
                {"id": "a", "status": "stored", "reason": ""},
                {"id": "b", "status": "refused", "reason": "conflict"},
            ]
        }
    )
    assert wire.decode_results(answer.encode(), ["a", "b"]) == [
        wire.RecordResult("a", "stored"),
        wire.RecordResult("b", "refused", "conflict"),
    ]


def short(**changes: object) -> bytes:
    found = wire.short_answer([wire.RecordResult("a", "stored"), wire.RecordResult("b", "stored")])
    assert found is not None
    return json.dumps(found | changes).encode()


def test_one_word_for_a_whole_batch_is_read_as_a_word_for_each() -> None:
    assert wire.decode_results(short(), ["a", "b"]) == [
        wire.RecordResult("a", "stored"),
        wire.RecordResult("b", "stored"),
    ]
    assert wire.decode_results(short(status="duplicate"), ["a", "b"])[1].status == "duplicate"


@pytest.mark.parametrize(
    ("answer", "batch"),
    [
        (short(), ["a"]),
        (short(), ["b", "a"]),
        (short(), ["a", "c"]),
        (short(count=1), ["a", "b"]),
        (short(ids_sha256=None), ["a", "b"]),
        (short(status="refused"), ["a", "b"]),
        (short(status="fine"), ["a", "b"]),
        (short(status=["stored"]), ["a", "b"]),
        (short(results=[]), ["a", "b"]),
        (short(), []),
    ],
    ids=repr,
)
def test_one_word_counts_for_no_other_batch(answer: bytes, batch: list[str]) -> None:
    with pytest.raises(wire.WireError):
        wire.decode_results(answer, batch)


@pytest.mark.parametrize(
    "results",
    [
        [],
        [wire.RecordResult("a", "stored"), wire.RecordResult("b", "duplicate")],
        [wire.RecordResult("a", "refused", "conflict")],
    ],
    ids=["nothing", "two words", "refused"],
)
def test_batch_without_one_good_word_is_answered_record_by_record(results: list[wire.RecordResult]) -> None:
    assert wire.short_answer(results) is None


def test_enrolment_text_survives_being_retyped() -> None:
    code = wire.code_from_bytes(bytes(range(16)))
    text = wire.format_enrolment(code, "ab" * 32)
    expected = wire.EnrolmentText(code, "ab" * 16)
    assert wire.parse_enrolment(text) == expected
    assert wire.parse_enrolment(f"  {text.lower()}\n") == expected
    assert wire.parse_enrolment(text.replace("1", "l", 1).replace("0", "O", 1)) == expected


@pytest.mark.parametrize(
    "text", ["", "KYU", "KYU-123-abc", "ABC-0123456789ABCDEF-" + "a" * 32, "KYU-" + "U" * 16 + "-" + "a" * 32]
)
def test_wrong_enrolment_text_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.parse_enrolment(text)
    assert caught.value.key == "bad_enrolment_text"
    assert "site code" in caught.value.hint


def test_fingerprint_is_that_of_the_first_certificate() -> None:
    pem = "key\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
    assert wire.ca_fingerprint(pem) == hashlib.sha256(b"\0\1\2").hexdigest()
    with pytest.raises(wire.WireError):
        wire.ca_fingerprint("<html>")


def test_times_sort_as_text_and_come_back() -> None:
    texts = ["1970-01-01T00:00:00.000Z", "2026-11-21T09:30:00.123Z"]
    assert [wire.format_utc(wire.parse_utc(text)) for text in texts] == texts == sorted(texts)
    for bad in ("2026-11-21", "2026-13-21T00:00:00Z", "2026-11-21T00:00:00+09:00"):
        with pytest.raises(wire.WireError):
            wire.parse_utc(bad)


def test_missing_numbers_travel_as_runs() -> None:
    found = wire.Missing(12, ((1, 2), (4, 4), (8, 12)))
    assert wire.missing_from(json.loads(json.dumps(asdict(found)))) == found
    assert wire.missing_from({"seq": 0, "runs": []}) == wire.Missing(0, ())


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        {"seq": 5},
        {"seq": "5", "runs": []},
        {"seq": True, "runs": []},
        {"seq": 5, "runs": 7},
        {"seq": 5, "runs": [[1]]},
        {"seq": 5, "runs": [["1", "2"]]},
        {"seq": 5, "runs": ["12"]},
        {"seq": 5, "runs": [[0, 1]]},
        {"seq": 5, "runs": [[2, 1]]},
        {"seq": 5, "runs": [[1, 2], [3, 4]]},
        {"seq": 5, "runs": [[3, 4], [1, 1]]},
        {"seq": 5, "runs": [[4, 6]]},
        {"seq": 5, "runs": [[1, None]]},
        {"seq": 9**9, "runs": [[2 * n + 1, 2 * n + 1] for n in range(1001)]},
    ],
)
def test_missing_numbers_that_make_no_sense_are_none(value: object) -> None:
    with pytest.raises(wire.WireError):
        wire.missing_from(value)
