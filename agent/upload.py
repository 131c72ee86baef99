"""Sends what the spool holds: batches of records, and recordings piece by piece. Deletes only for the centre's word.

Each `send`/`upload` is one attempt that raises a CloudError when the line or the centre is at fault; repeating, backing
off and stopping are `senders`' business. Whatever is cut off in the middle can be done again: the centre knows a record
by its id and hash, and a recording by its id and offset.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent import recording_spool, records
from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudConfused, CloudRefused, confused
from agent.identity import signed_by
from agent.recording_spool import Recording
from agent.recording_table import RecordingTable
from agent.records import Settlement
from agent.spool import Spool
from cloudsync.wire import (
    BATCH_RECORDS_MAX,
    UPLOAD_PIECE_BYTES,
    ConfigKey,
    ErrorKey,
    Receipt,
    Record,
    RecordingOffer,
    RecordingState,
    as_json,
    receipt_signing_bytes,
)

CORRUPT_TRIES_MAX = 3
"""Whole uploads whose hash came out wrong at the centre before the recording is parked for a person."""
_UNFIT_STATUS = (400, 413, 422)
"""The batch itself displeases the centre: smaller ones find the record that is to blame."""

_UNKNOWN_STATUS = 404
"""The centre was never offered this recording."""


class _NotStored(CloudConfused):
    """The centre has taken everything and does not say that it is stored."""

    @classmethod
    def of(cls, url: str, recording_id: str) -> "_NotStored":
        """For one recording."""
        told = confused(url, f"all of {recording_id} was sent and it is not stored")
        return cls(told.key, told.message, told.hint, **told.values)


Pace = Callable[[int], Awaitable[None]]
"""Called with the number of bytes before they are sent; waits as long as the limit of the hour and calls demand."""


async def no_limit(_bytes: int) -> None:
    """The Pace of a line without a limit."""


@dataclass(slots=True)
class Counters:
    """What was sent since the agent started, for metrics."""

    acknowledged: int = 0
    duplicates: int = 0
    parked: int = 0
    recordings_stored: int = 0
    recording_bytes: int = 0


class RecordSender:
    """Empties the record table into the centre. site_id: as enrolled. drained: called whenever nothing is left to send."""

    def __init__(
        self,
        spool: Spool,
        cloud: CloudClient,
        site_id: str,
        *,
        pace: Pace = no_limit,
        drained: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._spool = spool
        self._cloud = cloud
        self._site_id = site_id
        self._pace = pace
        self._drained = drained
        self._limit = BATCH_RECORDS_MAX
        self.counters = Counters()

    async def send(self) -> int:
        """Try one batch; gives how many records were in it, 0 when nothing waits. Afterwards they are gone, parked, or
        (when the centre took offence at the batch as a whole) the next batch is a smaller one.

        Raises CloudError (nothing was deleted) and SpoolError.
        """
        batch = records.choose(await asyncio.to_thread(self._spool.waiting, self._limit), self._limit)
        if not batch:
            found = await self._find_place()
            if not found and self._drained is not None:
                await self._drained()
            return found
        await self._pace(sum(len(str(record.body)) for record in batch) // 4)
        try:
            results = await self._cloud.send_records(self._site_id, batch)
        except CloudRefused as error:
            await self._unfit(batch, error)
            return len(batch)
        settlement = records.settle(results)
        await asyncio.to_thread(self._spool.settle, settlement)
        self._limit = records.larger(self._limit)
        self.counters.acknowledged += len(settlement.delete)
        self.counters.duplicates += sum(result.status == "duplicate" for result in results)
        self.counters.parked += len(settlement.park)
        return len(batch)

    async def _find_place(self) -> int:
        """A new or repaired spool learns from the centre where the site's sequence goes on."""
        chain = await asyncio.to_thread(self._spool.chain)
        if not chain.unsure_from:
            return 0
        known = await self._cloud.enrolment()
        await asyncio.to_thread(self._spool.rechain, known.next_seq, known.last_hash)
        return chain.next_seq - chain.unsure_from

    async def _unfit(self, batch: list[Record], error: CloudRefused) -> None:
        """Narrow down to the record that the centre cannot take, and park that one."""
        if error.status not in _UNFIT_STATUS:
            raise error
        if len(batch) > 1:
            self._limit = records.smaller(len(batch))
            return
        await asyncio.to_thread(self._spool.settle, Settlement((), {batch[0].id: error.key}))
        self.counters.parked += 1
        self._limit = BATCH_RECORDS_MAX


class RecordingSender:
    """Uploads recordings, one per call of `upload`; several may run at once.

    keys: the centre's signing keys at this moment, asked for each receipt."""

    def __init__(
        self,
        table: RecordingTable,
        cloud: CloudClient,
        site_id: str,
        keys: Callable[[], tuple[ConfigKey, ...]],
        *,
        pace: Pace = no_limit,
        piece_bytes: int = UPLOAD_PIECE_BYTES,
    ) -> None:
        self._table = table
        self._cloud = cloud
        self._site_id = site_id
        self._keys = keys
        self._pace = pace
        self._piece_bytes = piece_bytes
        self._busy: set[str] = set()
        self._corrupt: dict[str, int] = {}
        self.counters = Counters()

    async def upload(self) -> bool:
        """Bring one waiting recording to the centre, prove it, delete it here. False when none waits.

        Raises CloudError (the recording stays) and SpoolError.
        """
        waiting = await asyncio.to_thread(self._table.waiting, 1, but=tuple(self._busy))
        if not waiting or waiting[0].offer.id in self._busy:
            return False
        recording = waiting[0]
        self._busy.add(recording.offer.id)
        try:
            await self._upload(recording)
        finally:
            self._busy.discard(recording.offer.id)
        return True

    async def _upload(self, listed: Recording) -> None:
        recording = await asyncio.to_thread(recording_spool.as_handed_over, listed)
        if recording != listed:
            await asyncio.to_thread(self._table.renew, recording)
        offer = recording.offer
        problem = await asyncio.to_thread(_problem, recording)
        if problem and not await self._held(offer):
            await self._park(offer.id, problem)
            return
        try:
            if not problem:
                offset = await self._cloud.offer(offer)
                while offset < offer.bytes:
                    offset = await self._piece(recording, offset)
                    await asyncio.to_thread(self._table.uploaded, offer.id, offset)
                await self._receipt(offer)
        except CloudRefused as error:
            await self._refused(recording, error)
            return
        await asyncio.to_thread(recording_spool.remove, recording)
        await asyncio.to_thread(self._table.forget, offer.id)
        self._corrupt.pop(offer.id, None)
        self.counters.recordings_stored += 1

    async def _held(self, offer: RecordingOffer) -> bool:
        """Whether the centre proves that it has a recording of which the file here is gone or spoilt: a crash between the
        deletions that follow a receipt leaves a sidecar alone."""
        try:
            await self._receipt(offer)
        except CloudRefused as error:
            if error.status != _UNKNOWN_STATUS:
                raise
            return False
        except _NotStored:
            return False
        return True

    async def _piece(self, recording: Recording, offset: int) -> int:
        data = await asyncio.to_thread(_read, recording, offset, self._piece_bytes)
        await self._pace(len(data))
        try:
            reached = await self._cloud.piece(recording.offer.id, offset, data)
        except CloudRefused as error:
            if error.key == ErrorKey.OFFSET_WRONG and 0 <= error.offset <= recording.offer.bytes:
                return error.offset
            raise
        self.counters.recording_bytes += max(reached - offset, 0)
        if reached <= offset:
            raise confused(self._cloud.url, f"the upload of {recording.offer.id} does not advance")
        return reached

    async def _receipt(self, offer: RecordingOffer) -> Receipt:
        """The receipt, its signature checked and for this very audio. Raises CloudConfused otherwise.

        It may name another `cipher_sha256`: the centre keeps what it stored first when the same audio is encrypted
        anew."""
        state = await self._cloud.recording(offer.id)
        receipt = state.receipt
        if state.state is not RecordingState.STORED or receipt is None:
            raise _NotStored.of(self._cloud.url, offer.id)
        if (receipt.site_id, receipt.id, receipt.sha256) != (self._site_id, offer.id, offer.sha256):
            raise confused(self._cloud.url, f"a receipt for something else than {offer.id}")
        if not await self._signed(receipt):
            raise confused(self._cloud.url, f"the receipt for {offer.id} is not signed by a known key")
        return receipt

    async def _signed(self, receipt: Receipt) -> bool:
        """Whether a known key signed it. Keys rotate: one that is not known here is asked for, over the pinned line."""
        keys = self._keys()
        if receipt.key_id not in {known.key_id for known in keys}:
            keys = (await self._cloud.enrolment()).config_keys
        return signed_by(keys, receipt.key_id, receipt_signing_bytes(as_json(receipt)), receipt.signature)

    async def _refused(self, recording: Recording, error: CloudRefused) -> None:
        if error.key == ErrorKey.RECORDING_CONFLICT:
            await self._park(recording.offer.id, error.key)
        elif error.key == ErrorKey.RECORDING_CORRUPT:
            await self._corrupted(recording)
        elif error.status in _UNFIT_STATUS:
            await self._park(recording.offer.id, f"{error.key}: {error.message}")
        else:
            raise error

    async def _corrupted(self, recording: Recording) -> None:
        """The hash came out wrong over there: is it the disk here, or was it the way?"""
        id_ = recording.offer.id
        self._corrupt[id_] = self._corrupt.get(id_, 0) + 1
        here = await asyncio.to_thread(recording_spool.cipher_sha256, recording.path)
        if here != recording.offer.cipher_sha256:
            await self._park(id_, "damaged on the box's disk")
        elif self._corrupt[id_] >= CORRUPT_TRIES_MAX:
            await self._park(id_, f"arrived damaged {CORRUPT_TRIES_MAX} times")

    async def _park(self, recording_id: str, reason: str) -> None:
        await asyncio.to_thread(self._table.park, recording_id, reason)
        self.counters.parked += 1


def _problem(recording: Recording) -> str:
    """Why the file cannot be uploaded at all, "" when it can."""
    try:
        size_bytes = recording.path.stat().st_size
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    if size_bytes != recording.offer.bytes:
        return f"the file has {size_bytes} bytes instead of {recording.offer.bytes}"
    return ""


def _read(recording: Recording, offset: int, count: int) -> bytes:
    with recording.path.open("rb") as audio:
        audio.seek(offset)
        return audio.read(count)
