"""Receipts for a site's records: what makes one worthless, and which records one speaks for."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.receipts import against, chain_problem, problem
from agent.spool_chain import Chain
from cloudsync.wire import (
    GENESIS_HASH,
    ConfigKey,
    LedgerReceipt,
    Record,
    WireError,
    as_json,
    chain_record,
    given_up_json,
    key_id,
    ledger_receipt_from,
    ledger_signing_bytes,
    to_base64,
)

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key().public_bytes_raw()
KEYS = (ConfigKey(key_id(PUBLIC), to_base64(PUBLIC)),)


def records(count: int) -> list[Record]:
    made: list[Record] = []
    for seq in range(1, count + 1):
        made.append(
            chain_record(
                made[-1].hash if made else GENESIS_HASH,
                seq=seq,
                record_id=f"r{seq}",
                kind="cdr",
                priority=1,
                created_utc="2026-11-21T00:00:00.000Z",
                boot_id="boot",
                body={"n": seq},
            )
        )
    return made


RECORDS = records(5)


def a_receipt(**changes: object) -> LedgerReceipt:
    plain = LedgerReceipt("tokyo-1", 5, 5, RECORDS[-1].hash, "2026-11-21T01:00:00.000Z", KEYS[0].key_id)
    plain = replace(plain, **changes)  # type: ignore[arg-type]
    return replace(plain, signature=to_base64(SIGNER.sign(ledger_signing_bytes(as_json(plain)))))


def test_signed_receipt_of_this_site_has_no_problem() -> None:
    assert problem(a_receipt(), KEYS, "tokyo-1") == ""


@pytest.mark.parametrize(
    "change",
    [{"count": 4}, {"seq": 6}, {"hash": "0" * 64}, {"utc": "2027-01-01T00:00:00.000Z"}, {"site_id": "x"}],
)
def test_receipt_altered_after_it_was_signed_proves_nothing(change: dict[str, object]) -> None:
    assert problem(replace(a_receipt(), **change), KEYS) == "unsigned"  # type: ignore[arg-type]


def test_receipt_of_another_site_or_by_another_key_proves_nothing() -> None:
    assert problem(a_receipt(), KEYS, "osaka-1") == "other_site"
    assert problem(a_receipt(), (ConfigKey(KEYS[0].key_id, to_base64(b"\1" * 32)),)) == "unsigned"
    assert problem(a_receipt(), ()) == "unsigned"


def test_receipt_speaks_for_exactly_the_records_that_were_chained() -> None:
    assert chain_problem(a_receipt(), RECORDS) == ""
    assert chain_problem(a_receipt(), records(7)) == "", "later ones do not matter"
    assert chain_problem(LedgerReceipt("tokyo-1", 0, 0, GENESIS_HASH, "", ""), []) == ""


@pytest.mark.parametrize(
    ("held", "number"),
    [
        pytest.param(RECORDS[:4], "there are 4 records", id="one is missing at the end"),
        pytest.param(RECORDS[1:], "record 1 ", id="one is missing at the beginning"),
        pytest.param([*RECORDS[:2], *RECORDS[3:]], "record 3 ", id="one is missing in the middle"),
        pytest.param(
            [*RECORDS[:2], replace(RECORDS[2], body={"n": 9}), *RECORDS[3:]], "record 3 ", id="altered"
        ),
        pytest.param([RECORDS[0], RECORDS[2], RECORDS[1], *RECORDS[3:]], "record 2 ", id="out of order"),
    ],
)
def test_records_that_are_not_the_receipts_are_named(held: list[Record], number: str) -> None:
    assert chain_problem(a_receipt(), held).startswith(number)


@pytest.mark.parametrize(
    ("receipt", "chain", "wrong"),
    [
        pytest.param(a_receipt(), Chain(6, RECORDS[-1].hash, 0), "", id="all of it"),
        pytest.param(a_receipt(), Chain(8, "f" * 64, 0), "", id="more was made since"),
        pytest.param(a_receipt(count=4), Chain(6, RECORDS[-1].hash, 0), "missing", id="a hole"),
        pytest.param(
            a_receipt(), Chain(6, "f" * 64, 0), "other_chain", id="other records under these numbers"
        ),
        pytest.param(
            a_receipt(), Chain(3, "f" * 64, 0), "other_chain", id="numbers that this box never gave"
        ),
    ],
)
def test_receipt_is_held_against_the_boxs_own_sequence(
    receipt: LedgerReceipt, chain: Chain, wrong: str
) -> None:
    assert against(receipt, chain) == wrong


@pytest.mark.parametrize("change", [{"seq": -1}, {"count": 6}, {"seq": True}, {"hash": 5}, {"seq": "5"}])
def test_receipt_that_cannot_be_one_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WireError):
        ledger_receipt_from(as_json(a_receipt()) | change)


def test_records_that_the_box_gave_up_may_be_missing_if_the_chain_itself_says_so() -> None:
    gone = RECORDS[1:3]
    body = {
        "event": "records_given_up",
        "runs": given_up_json((one.seq, one.prev_hash, one.hash) for one in gone),
    }
    event = chain_record(
        RECORDS[-1].hash,
        seq=6,
        record_id="e",
        kind="event",
        priority=1,
        created_utc="2026-11-21T09:00:00.000Z",
        boot_id="b",
        body=body,
    )
    receipt = a_receipt(seq=6, count=4, given_up=2, hash=event.hash)
    held = [RECORDS[0], *RECORDS[3:], event]
    assert (receipt.complete, problem(receipt, KEYS), chain_problem(receipt, held)) == (True, "", "")
    assert chain_problem(replace(receipt, given_up=1), held) == "2 records are not there, of 1 given up"
    assert chain_problem(receipt, [RECORDS[0], *RECORDS[4:], event]).startswith("record 4 "), "one more"
    forged = replace(event, body={**body, "runs": [[2, GENESIS_HASH, gone[0].hash, gone[1].hash]]})
    assert chain_problem(receipt, [*held[:-1], forged]).startswith("record 2 ")


def test_receipt_that_hides_what_was_given_up_is_not_the_signed_one() -> None:
    receipt = a_receipt(count=3, given_up=2)
    assert problem(receipt, KEYS) == ""
    assert problem(replace(receipt, given_up=1), KEYS) == "unsigned"
    plain = {name: value for name, value in as_json(a_receipt()).items() if name != "given_up"}
    assert problem(ledger_receipt_from(plain), KEYS) == "", "as centres signed before"
