"""Sends recordings to the centre, in pieces over several connections. Deletes only for the centre's signed receipt.

Each `upload` is one attempt that raises a CloudError when the line or the centre is at fault; repeating, backing off and
stopping are `senders`' business. Which pieces are there is the centre's account and asked for with each attempt, so whatever
was cut off goes on with the pieces that are missing. A centre of an older release takes one stream, from an offset on.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from agent import recording_spool
from agent.cloud_client import UNPACED, CloudClient
from agent.cloud_errors import CloudBusy, CloudConfused, CloudError, CloudRefused, confused
from agent.identity import signed_by
from agent.pieces import Span, held_bytes, missing
from agent.recording_spool import Recording
from agent.recording_table import RecordingTable
from agent.slices import Pace
from cloudsync.wire import (
    PIECE_BYTES,
    ConfigKey,
    ErrorKey,
    Receipt,
    RecordingOffer,
    RecordingState,
    as_json,
    receipt_signing_bytes,
)

CONNECTIONS = 8
"""Pieces on their way at once, of all recordings together. Measured at 20 Mbit/s, 50 ms and 1 % loss: with Linux' usual
congestion control (CUBIC) one connection fills 12 % of the line, four 45 %, eight 75 %; with BBR four and eight fill it."""
NOTE_EVERY_S = 2.0
"""How often the spool notes, for people, how far an upload is: each note is a synced write."""
LATER_MAX = 100
"""Recordings passed over at most: where the centre answers none as it should, their order is of no matter."""
CORRUPT_TRIES_MAX = 3
"""Whole uploads whose hash came out wrong at the centre before the recording is parked for a person."""
_UNFIT_STATUS = (400, 413, 422)
"""The recording itself displeases the centre."""
_AGAIN = (ErrorKey.PIECE_DAMAGED, ErrorKey.OTHER_UPLOAD)
"""Said of one piece: the next attempt begins with a new offer."""
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)
"""Not the file's fault."""
_UNKNOWN_STATUS = 404
"""The centre was never offered this recording."""


@dataclass(slots=True)
class Counters:
    """What was sent since the agent started, for metrics."""

    parked: int = 0
    recordings_stored: int = 0
    recording_bytes: int = 0


class _Unreadable(Exception):
    """The disk does not give back what is in the file. Parked, so that it holds up nobody; a person may try it again."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the file cannot be read: {error.strerror}")


class _NotStored(CloudConfused):
    """The centre has taken everything and does not say that it is stored."""

    @classmethod
    def of(cls, url: str, recording_id: str) -> "_NotStored":
        """For one recording."""
        told = confused(url, f"all of {recording_id} was sent and it is not stored")
        return cls(told.key, told.message, told.hint, **told.values)


class RecordingSender:
    """Uploads recordings, one per call of `upload`; several may run at once.

    keys: the centre's signing keys at this moment, asked for each receipt. connections: pieces on their way at once."""

    def __init__(
        self,
        table: RecordingTable,
        cloud: CloudClient,
        site_id: str,
        keys: Callable[[], tuple[ConfigKey, ...]],
        *,
        pace: Pace = UNPACED,
        piece_bytes: int = PIECE_BYTES,
        connections: int = CONNECTIONS,
    ) -> None:
        self._table = table
        self._cloud = cloud
        self._site_id = site_id
        self._keys = keys
        self._pace = pace
        self._piece_bytes = piece_bytes
        self._connections = connections
        self._free = asyncio.Semaphore(connections)
        self._busy: set[str] = set()
        self._corrupt: dict[str, int] = {}
        self._later: set[str] = set()
        """Ids that the centre answered of late, and not as it should: those behind them do not wait for what is wrong there."""
        self.counters = Counters()

    @property
    def busy(self) -> frozenset[str]:
        """Recordings on their way just now."""
        return frozenset(self._busy)

    async def upload(self) -> bool:
        """Bring one waiting recording to the centre, prove it, delete it here. False when none waits.

        Raises CloudError (the recording stays) and SpoolError.
        """
        recording = await self._next()
        if recording is None or recording.offer.id in self._busy:
            return False
        id_ = recording.offer.id
        self._busy.add(id_)
        try:
            await self._upload(recording)
        except (CloudBusy, CloudConfused, CloudRefused):
            self._later.add(id_)
            raise
        finally:
            self._busy.discard(id_)
        self._later.discard(id_)
        return True

    async def _next(self) -> Recording | None:
        """The oldest that waits; those that failed at the centre when all others have had their turn. After a cut of the line the
        same one goes on: otherwise many would be half there."""
        for later in (tuple(self._later)[:LATER_MAX], ()):
            waiting = await asyncio.to_thread(self._table.waiting, 1, but=(*self._busy, *later))
            if waiting:
                return waiting[0]
            self._later.clear()
        return None

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
                retention = await asyncio.to_thread(self._table.class_of, offer.id)
                stands = await self._cloud.offer(replace(offer, retention=retention))
                if stands.pieces is None or (stands.offset and not stands.pieces):
                    await self._in_one_stream(recording, stands.offset)
                else:
                    await self._in_pieces(recording, stands.pieces)
                await self._receipt(offer)
        except _Unreadable as error:
            await self._park(offer.id, str(error))
            return
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

    async def _in_pieces(self, recording: Recording, held: tuple[Span, ...]) -> None:
        """Send what the centre lacks, as many pieces at once as connections are free. After a failure no more are begun, and
        those on their way are let arrive: a piece that came counts for the next attempt."""
        size_bytes = recording.offer.bytes
        left = deque(missing(held, size_bytes, self._piece_bytes))
        progress = _Progress(held_bytes(held, size_bytes))

        failed: list[CloudError | _Unreadable] = []

        async def lane() -> None:
            while left and not failed:
                async with self._free, self._pace.piece():
                    if left and not failed:
                        try:
                            await self._piece(recording, left.popleft(), progress)
                        except (CloudError, _Unreadable) as error:
                            failed.append(error)

        await asyncio.gather(*(lane() for _ in range(min(len(left), self._connections))))
        if failed:
            raise failed[0]

    async def _piece(self, recording: Recording, span: Span, progress: "_Progress") -> None:
        begin, end = span
        data = await asyncio.to_thread(_read, recording, begin, end - begin)
        if len(data) != end - begin:
            raise confused(self._cloud.url, f"the file of {recording.offer.id} became shorter meanwhile")
        await self._cloud.put_piece(recording.offer, begin, data, self._pace)
        self.counters.recording_bytes += len(data)
        progress.bytes += len(data)
        now_s = asyncio.get_running_loop().time()
        if now_s >= progress.note_at_s:
            progress.note_at_s = now_s + NOTE_EVERY_S
            await asyncio.to_thread(self._table.uploaded, recording.offer.id, progress.bytes)

    async def _in_one_stream(self, recording: Recording, offset: int) -> None:
        """The way of a centre that knows no pieces, and of an upload that was begun that way."""
        while offset < recording.offer.bytes:
            data = await asyncio.to_thread(_read, recording, offset, self._piece_bytes)
            await self._pace(len(data))
            offset = await self._append(recording, offset, data)
            await asyncio.to_thread(self._table.uploaded, recording.offer.id, offset)

    async def _append(self, recording: Recording, offset: int, data: bytes) -> int:
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
        if error.key in _AGAIN:
            raise confused(self._cloud.url, error.message) from error
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
        try:
            here = await asyncio.to_thread(_own_sha256, recording)
        except _Unreadable as error:
            await self._park(id_, str(error))
            return
        if here != recording.offer.cipher_sha256:
            await self._park(id_, "damaged on the box's disk")
        elif self._corrupt[id_] >= CORRUPT_TRIES_MAX:
            await self._park(id_, f"arrived damaged {CORRUPT_TRIES_MAX} times")

    async def _park(self, recording_id: str, reason: str) -> None:
        await asyncio.to_thread(self._table.park, recording_id, reason)
        self.counters.parked += 1


@dataclass(slots=True)
class _Progress:
    """Of one attempt. bytes: at the centre; note_at_s: when the spool is told next, on the loop's clock."""

    bytes: int
    note_at_s: float = 0.0


def _problem(recording: Recording) -> str:
    """Why the file cannot be uploaded at all, "" when it can."""
    try:
        size_bytes = recording.path.stat().st_size
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    if not recording_spool.is_handed_over(recording):
        return "its sidecar does not name it"
    if size_bytes != recording.offer.bytes:
        return f"the file has {size_bytes} bytes instead of {recording.offer.bytes}"
    return ""


def _read(recording: Recording, offset: int, count: int) -> bytes:
    with _reading(), recording.path.open("rb") as audio:
        audio.seek(offset)
        return audio.read(count)


def _own_sha256(recording: Recording) -> str:
    with _reading():
        return recording_spool.cipher_sha256(recording.path)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _PASSING:
            raise
        raise _Unreadable(error) from error
