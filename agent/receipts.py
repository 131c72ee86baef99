"""The centre's signed word on how many of this site's records it holds: asked for when the spool is empty, checked, kept.

A receipt binds the centre: by the hash chain it speaks for every record up to its number. Anybody who has the centre's public
key can check one (`problem`), and with the records at hand that they are the ones meant (`chain_problem`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudError
from agent.identity import signed_by, write_private
from agent.spool import Spool
from agent.spool_chain import Chain
from cloudsync.wire import (
    EVENT_GIVEN_UP,
    GENESIS_HASH,
    ConfigKey,
    GivenUpRun,
    LedgerReceipt,
    Record,
    RecordKind,
    WireError,
    as_json,
    given_up_runs,
    hash_fits,
    ledger_receipt_from,
    ledger_signing_bytes,
    parse_json,
)

EVERY_S = 10.0
"""A receipt is asked for at most this often while records come and go."""
AGAIN_S = 3600.0
"""Without new records, a receipt is renewed this often: it says that the centre still holds everything."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The latest receipt and what is wrong with it: "" when it speaks for all that this box ever acknowledged."""

    receipt: LedgerReceipt | None = None
    problem: str = ""


def problem(receipt: LedgerReceipt, keys: Iterable[ConfigKey], site_id: str = "") -> str:
    """Why this receipt proves nothing: "unsigned", "other_site"; "" when it does."""
    if not signed_by(keys, receipt.key_id, ledger_signing_bytes(as_json(receipt)), receipt.signature):
        return "unsigned"
    return "other_site" if site_id and receipt.site_id != site_id else ""


def chain_problem(receipt: LedgerReceipt, records: Iterable[Record]) -> str:
    """Why `records` (all of 1..seq, in order) are not those of the receipt, with the number; "" when they are.

    Numbers that an event of theirs names as given up may be missing: their hashes are in it, and so in the chain."""
    held = list(records)
    given_up = _given_up(held)
    before, seq, gone = GENESIS_HASH, 0, 0
    for record in held:
        while seq < receipt.seq and record.seq != seq + 1 and given_up.get(seq + 1, ("",))[0] == before:
            seq, before, gone = seq + 1, given_up[seq + 1][1], gone + 1
        if seq == receipt.seq:
            break
        seq += 1
        if record.seq != seq or record.prev_hash != before or not hash_fits(record):
            return f"record {seq} is missing, altered or out of place"
        before = record.hash
    if seq < receipt.seq:
        return f"there are {seq} records, the receipt speaks for {receipt.seq}"
    if before != receipt.hash:
        return f"record {seq} is another one than the receipt's"
    return "" if gone <= receipt.given_up else f"{gone} records are not there, of {receipt.given_up} given up"


def _given_up(records: Iterable[Record]) -> dict[int, tuple[str, str]]:
    """What events among `records` tell of records that were given up: the hash before, and the hash, by number."""
    return {
        seq: (prev_hash, digest)
        for record in records
        for run in _runs(record)
        for seq, prev_hash, digest in run.links()
        if seq < record.seq
    }


def _runs(record: Record) -> list[GivenUpRun]:
    """The records that this one says its box gave up."""
    if record.kind != RecordKind.EVENT or record.body.get("event") != EVENT_GIVEN_UP or not hash_fits(record):
        return []
    try:
        return given_up_runs(record.body)
    except WireError:
        return []


def against(receipt: LedgerReceipt, chain: Chain) -> str:
    """What this box's own sequence says to the receipt: "missing", "other_chain", or ""."""
    if not receipt.complete:
        return "missing"
    own_seq = chain.next_seq - 1
    if receipt.seq > own_seq or (receipt.seq == own_seq and receipt.hash != chain.last_hash):
        return "other_chain"
    return ""


def load(path: Path) -> LedgerReceipt | None:
    """The receipt kept at `path`; None when there is none, or none that can be read."""
    try:
        return ledger_receipt_from(parse_json(path.read_bytes()))
    except (OSError, WireError):
        return None


class Receipts:
    """Keeps the latest receipt at `path`. keys: the centre's signing keys now. now_s: a monotonic clock. received: called with
    each good receipt and where this box's own sequence stood."""

    def __init__(
        self,
        spool: Spool,
        cloud: CloudClient,
        site_id: str,
        keys: Callable[[], tuple[ConfigKey, ...]],
        path: Path,
        now_s: Callable[[], float],
        *,
        received: Callable[[LedgerReceipt, Chain], Awaitable[None]] | None = None,
    ) -> None:
        self._spool = spool
        self._cloud = cloud
        self._site_id = site_id
        self._keys = keys
        self._path = path
        self._now_s = now_s
        self._received = received
        self._asked_s = -AGAIN_S
        self._for_seq = -1
        self.standing = Standing(load(path))

    async def drained(self) -> None:
        """To be called when nothing waits. Asks if there is news to confirm; a centre that cannot answer is asked later.

        Raises SpoolError."""
        chain = await asyncio.to_thread(self._spool.chain)
        now_s = self._now_s()
        pause_s = AGAIN_S if self._for_seq == chain.next_seq else EVERY_S
        if chain.unsure_from or now_s < self._asked_s + pause_s:
            return
        self._asked_s = now_s
        try:
            receipt = await self._cloud.ledger()
            wrong = await self._problem(receipt)
        except CloudError:  # older than this request, or away; records do not wait for it
            return
        self._for_seq = chain.next_seq
        if wrong:
            self.standing = Standing(self.standing.receipt, wrong)
            return
        self.standing = Standing(receipt, against(receipt, chain))
        data = json.dumps(as_json(receipt), ensure_ascii=False, indent=1).encode()
        with suppress(OSError):  # no room: the one before stays, and records do not wait for it
            await asyncio.to_thread(write_private, self._path, data)
        if self._received is not None:
            with suppress(CloudError):
                await self._received(receipt, chain)

    async def _problem(self, receipt: LedgerReceipt) -> str:
        """`problem` with the keys known here, then with those of now: keys rotate."""
        wrong = problem(receipt, self._keys(), self._site_id)
        if wrong == "unsigned":
            wrong = problem(receipt, (await self._cloud.enrolment()).config_keys, self._site_id)
        return wrong
