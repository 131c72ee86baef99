"""The bytes that are hashed and signed, as literals. A change here locks out every box and voids every receipt."""

import json

import pytest

from cloudsync import wire
from cloudsync.signing import signature_fits

PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="

BATCH = """{
  "site_id": "tokyo-1",
  "box_id": "tokyo-1-a",
  "records": [
    {"seq": 1, "id": "tokyo-1.0001", "kind": "cdr", "priority": 1, "created_utc": "2026-11-21T00:00:00.000Z",
     "boot_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
     "body": {"caller": "201", "氏名": "佐藤", "billsec_ms": 1500, "mos": 4.1, "quality": null},
     "prev_hash": "0000000000000000000000000000000000000000000000000000000000000000",
     "hash": "3c34605f92abe0fea3295e61f0774f983823e69f3ce8d0ca8fa2d213710f0550"},
    {"seq": 2, "id": "tokyo-1.0002", "kind": "event", "priority": 0, "created_utc": "2026-11-21T00:00:01.000Z",
     "boot_id": "", "body": {},
     "prev_hash": "3c34605f92abe0fea3295e61f0774f983823e69f3ce8d0ca8fa2d213710f0550",
     "hash": "1ad99a206f6cbf314ad377edd68b65184e2807722b54594097ca2179b28a2b53"}
  ]
}"""


def test_literal_batch_is_read_and_its_hashes_fit() -> None:
    batch = wire.decode_batch(BATCH.encode(), gzipped=False)
    records = [wire.record_from(raw) for raw in batch.records]
    assert [wire.hash_fits(record) for record in records] == [True, True]
    assert (batch.site_id, batch.box_id, records[0].prev_hash) == ("tokyo-1", "tokyo-1-a", wire.GENESIS_HASH)
    assert json.loads(wire.gunzip(wire.encode_batch("tokyo-1", "tokyo-1-a", records), 10_000)) == json.loads(
        BATCH
    )


def test_newer_box_may_send_fields_that_this_release_does_not_know() -> None:
    raw = {**json.loads(BATCH)["records"][1], "colour": "blue"}
    assert wire.hash_fits(wire.record_from(raw))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (wire.token_signing_bytes("tokyo-1-a", "bm9uY2U="), b"kyusai-token-v1\0tokyo-1-a\0bm9uY2U="),
        (wire.envelope_signing_bytes('{"a":"東"}'), b'kyusai-site-v1\0{"a":"\xe6\x9d\xb1"}'),
        (wire.receipt_signing_bytes({"b": 1, "a": 2, "signature": "x"}), b'kyusai-receipt-v1\0{"a":2,"b":1}'),
    ],
    ids=["token", "site document", "receipt"],
)
def test_signed_bytes_stay_as_they_are(data: bytes, expected: bytes) -> None:
    assert data == expected


def test_signatures_of_an_earlier_release_still_verify() -> None:
    receipt = {
        "site_id": "tokyo-1",
        "id": "rec-1",
        "sha256": "a" * 64,
        "cipher_sha256": "b" * 64,
        "bytes": 5,
        "stored_utc": "2026-11-21T00:00:00.000Z",
        "key_id": "56475aa75463474c",
        "signature": "xB9hcQkGw94Ka7WxCvct2maXJmcA4p5TyBWcHRacY+N8F3HamQHFB2OhtEKt8aw58S4LZIM9djNmPmbzxiU2DA==",
    }
    for data, signature in (
        (
            wire.token_signing_bytes("tokyo-1-a", "bm9uY2U="),
            "IZWld7q6QeIrvQwJaEwT2DwITAWGal4BZK21bM+ryc5Hj5yoyvqELPz/hBLw1z6Z4NGmRkdkE+rdFyfCOdodCg==",
        ),
        (
            wire.envelope_signing_bytes('{"format":1,"name":"東京"}'),
            "ncBxhz+j/r43VL4QorZKNFCRVJ4s5SbElyB9OqL0XT0nBWGZ2Ktui0JYTmyKROBM5LJ9tEgyLmUt+gx7if5oAg==",
        ),
        (wire.receipt_signing_bytes(receipt), receipt["signature"]),
    ):
        assert signature_fits(PUBLIC_KEY, str(signature), data)
        assert not signature_fits(PUBLIC_KEY, str(signature), data + b"x")
    assert wire.key_id(wire.from_base64(PUBLIC_KEY)) == receipt["key_id"]
    assert wire.as_json(wire.receipt_from(receipt)) == receipt


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (wire.envelope_from, {"document": "{}", "version": "1", "key_id": "k", "signature": "s"}),
        (wire.envelope_from, {"document": "{}", "version": True, "key_id": "k", "signature": "s"}),
        (wire.envelope_from, None),
        (wire.receipt_from, {"id": "x"}),
        (wire.enrolment_from, {"site_id": "x"}),
        (wire.enrolment_from, []),
    ],
    ids=["version as text", "version as truth", "null", "short receipt", "short enrolment", "list"],
)
def test_centre_that_answers_nonsense_is_noticed(read: object, value: object) -> None:
    with pytest.raises(wire.WireError) as caught:
        read(value)  # type: ignore[operator]
    assert caught.value.key == "malformed"


def test_words_stay_as_they_are() -> None:
    assert [str(word) for word in wire.ItemStatus] == ["stored", "duplicate", "refused"]
    assert [str(word) for word in wire.RecordKind] == ["cdr", "event", "stat"]
    assert [str(word) for word in wire.ConfigState] == ["applied", "refused", "rolled_back"]
    assert [str(word) for word in wire.RecordingState] == ["receiving", "stored"]
    assert [str(word) for word in wire.Refusal] == [
        "conflict",
        "seq_conflict",
        "bad_hash",
        "broken_chain",
        "malformed",
        "too_large",
    ]
