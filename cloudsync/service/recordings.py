"""Recordings: offered, received in pieces, verified, receipted. A box may delete only what has a receipt.

Two ways lead to the same end. PATCH appends: the acknowledged offset lives in the store and never exceeds what is fsynced
in the file. PUT brings pieces in any order over several connections: their names are the account of them, and whoever asks
for the state once all are there has them put together. Either way the hash of the whole is checked before the receipt, and
every step may be cut off by a crash and repeated: an offer, a piece, the move to the final name.
"""

import contextlib
from dataclasses import replace

from cloudsync.refusals import Refused
from cloudsync.service import recording_times
from cloudsync.service import retention as classes
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.spans import Span, covers
from cloudsync.storage import Upload
from cloudsync.store import audit, jobs, recordings, retention
from cloudsync.store.recordings import Recording
from cloudsync.wire import (
    PIECE_BYTES_MIN,
    PIECE_DIGEST_HEADER,
    ErrorKey,
    Receipt,
    RecordingOffer,
    RecordingState,
    as_json,
    canonical_json,
    piece_digest,
)

SETTLE = "recording.settle"
"""Kind of the work that completes an upload if its box does not, see `cloudsync.service.settling`."""
FIRST_LOOK_S = 300.0
"""So long after its offer an upload is looked at."""
SOON_S = 120.0
"""So long after the piece at its end: the others are there by then, and its box has asked for the receipt."""
LET_GO_MAX = 10
"""With one offer, so that none takes long."""
OPEN_UPLOADS_MAX = 1000
"""Offered and not complete, per site. A box uploads a few at a time; this bounds the folder. Those whose box gave them up, or
burnt down, stay open: for one more than so many, the one that was offered first is let go of."""


def offer(centre: Centre, who: BoxIdentity, new: RecordingOffer) -> tuple[Recording, bool]:
    """Begin or resume an upload; the recording as it stands, and whether it is new.

    The same audio under the same id goes on where it was; encrypted anew (other `cipher_sha256`) it starts over;
    once stored it is only confirmed. Raises Refused `recording.conflict`.
    """
    _make_room(centre, who, new)
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        known = recordings.find(connection, who.site_id, new.id, lock=True)
        if known is not None and known.receipt is not None:
            if known.sha256 == new.sha256:
                return known, False
            audit.add(
                connection, now_utc, f"box:{who.box_id}", "recording.conflict", new.id, site=who.site_id
            )
        elif known is not None and _same_upload(known, new):
            return known, False
        if known is None or known.receipt is None:
            told = retention.class_of(connection, who.site_id, new.id) or new.retention or None
            fresh = Recording(
                site_id=who.site_id,
                box_id=who.box_id,
                state=RecordingState.RECEIVING,
                offset_bytes=0,
                offered_utc=now_utc,
                held_utc=known.held_utc if known is not None else None,
                **(as_json(new) | {"retention": told}),
            )
            if recordings.put(connection, fresh):
                jobs.renew(connection, SETTLE, who.site_id, new.id, centre.clock().timestamp() + FIRST_LOOK_S)
                recording_times.correct_one(connection, fresh)
                if told:
                    classes.let_look(connection, centre, who.site_id)
                return fresh, True
    raise Refused(
        409,
        ErrorKey.RECORDING_CONFLICT,
        f"recording {new.id!r} is stored with other audio",
        "The box keeps its copy; look at both before deleting either.",
        id=new.id,
    )


def _same_upload(known: Recording, new: RecordingOffer) -> bool:
    return (known.sha256, known.cipher_sha256, known.bytes) == (new.sha256, new.cipher_sha256, new.bytes)


def _make_room(centre: Centre, who: BoxIdentity, new: RecordingOffer) -> None:
    """Let go of the uploads that were offered first, while there are too many for a new one. Whose box still has it is offered
    again, and starts over."""
    with centre.database.read() as connection:
        if recordings.find(connection, who.site_id, new.id) is not None:
            return
        most = max(recordings.receiving_count(connection, who.site_id) - OPEN_UPLOADS_MAX + 1, 0)
        oldest = recordings.open_longest(connection, who.site_id, min(most, LET_GO_MAX))
    for known in oldest:
        with contextlib.suppress(OSError):  # one that the disk does not give back goes all the same
            if settled(centre, known):
                continue
            centre.blobs.drop_part(known.site_id, known.id)
        with centre.database.write() as connection:
            if recordings.forget_open(connection, known):
                jobs.forget(connection, SETTLE, known.site_id, known.id)
                audit.add(
                    connection,
                    centre.now_utc(),
                    "centre",
                    "recording.upload_dropped",
                    known.id,
                    site=known.site_id,
                    offered_utc=known.offered_utc,
                )


def find(centre: Centre, who: BoxIdentity, recording_id: str) -> Recording:
    """The recording with the offset that really holds. Raises Refused `recording.unknown` (404)."""
    known = _offered(centre, who, recording_id)
    if known.complete:
        return replace(known, offset_bytes=known.bytes)
    on_disk = centre.blobs.part_bytes(who.site_id, recording_id, known.cipher_sha256)
    return replace(known, offset_bytes=min(known.offset_bytes, on_disk))


def _offered(centre: Centre, who: BoxIdentity, recording_id: str) -> Recording:
    with centre.database.read() as connection:
        known = recordings.find(connection, who.site_id, recording_id)
    if known is None:
        raise Refused(
            404,
            ErrorKey.RECORDING_UNKNOWN,
            f"recording {recording_id[:128]!r} was not offered",
            "Offer it first.",
        )
    return known


def open_part(
    centre: Centre, who: BoxIdentity, recording_id: str, offset_bytes: int
) -> tuple[Upload, Recording]:
    """The part, locked and ready to go on at `offset_bytes`, and what it belongs to. The caller closes it.

    Raises Refused `recording.unknown` (404), `recording.busy` (423), or `recording.offset_wrong` (409), which
    also answers a write to a recording that is stored.
    """
    offered = _offered(centre, who, recording_id)  # nothing is opened for what was not offered
    part = centre.blobs.open_part(who.site_id, recording_id, offered.cipher_sha256)
    try:
        known = _offered(centre, who, recording_id)
        stored = known.complete
        stands_at = known.bytes if stored else part.resume(known.offset_bytes)
        if not stored and stands_at < known.offset_bytes:
            with centre.database.write() as connection:
                recordings.rewound(connection, known, stands_at)
        if stored:
            centre.blobs.drop_part(who.site_id, recording_id)
        if stored or stands_at != offset_bytes:
            raise Refused(
                409,
                ErrorKey.OFFSET_WRONG,
                f"the upload stands at {stands_at}, not at {offset_bytes}",
                "Go on from the offset in the Upload-Offset header.",
                headers={"Upload-Offset": str(stands_at)},
                offset=stands_at,
            )
    except BaseException:
        part.close()
        raise
    return part, known


def append(part: Upload, known: Recording, data: bytes) -> None:
    """Write a piece. Raises Refused `recording.too_long` (400) beyond the size that was offered."""
    if part.offset + len(data) > known.bytes:
        raise Refused(
            400, "recording.too_long", f"more than the {known.bytes} bytes that were offered", id=known.id
        )
    part.write(data)


def acknowledge(centre: Centre, part: Upload, known: Recording) -> int:
    """Make what was written durable, then remember it; gives the offset that now holds for ever."""
    offset_bytes = part.sync()
    with centre.database.write() as connection:
        recordings.moved(connection, known, offset_bytes)
    return offset_bytes


def take_piece(
    centre: Centre,
    who: BoxIdentity,
    recording_id: str,
    begin: int,
    data: bytes,
    digest: str,
    cipher_sha256: str,
) -> Recording:
    """Store one piece of an upload, whichever others are there; it is durable afterwards. Blocks.

    digest: what PIECE_DIGEST_HEADER said; cipher_sha256: of which encryption it is a piece. A recording that is stored
    needs none. Raises Refused `recording.unknown` (404), `recording.other_upload` (412), `recording.piece_damaged` (409),
    `recording.too_long`, `recording.piece_short` (400).
    """
    known = _offered(centre, who, recording_id)
    if known.cipher_sha256 != cipher_sha256:
        raise Refused(
            412,
            ErrorKey.OTHER_UPLOAD,
            "the piece belongs to another encryption of this recording",
            "Offer the recording again.",
            id=recording_id,
        )
    if known.complete:
        return known
    _check_span(known, begin, len(data))
    if piece_digest(data) != digest:
        raise Refused(
            409,
            ErrorKey.PIECE_DAMAGED,
            f"the {len(data)} bytes from {begin} on do not have the hash of the {PIECE_DIGEST_HEADER} header",
            "Send the piece again.",
            id=recording_id,
        )
    centre.blobs.put_piece(known.site_id, known.id, known.cipher_sha256, begin, data)
    if begin + len(data) == known.bytes:
        with centre.database.write() as connection:
            jobs.renew(connection, SETTLE, known.site_id, known.id, centre.clock().timestamp() + SOON_S)
    return known


def _check_span(known: Recording, begin: int, count: int) -> None:
    if begin + count > known.bytes:
        raise Refused(
            400, "recording.too_long", f"more than the {known.bytes} bytes that were offered", id=known.id
        )
    if count < min(PIECE_BYTES_MIN, known.bytes - begin) or not count:
        raise Refused(
            400,
            "recording.piece_short",
            f"a piece of {count} bytes; every piece but the last one has {PIECE_BYTES_MIN} or more",
            id=known.id,
        )


def pieces(centre: Centre, known: Recording) -> list[Span]:
    """The spans that came in pieces and are durable; none for a recording that is stored."""
    if known.complete:
        return []
    return centre.blobs.held(known.site_id, known.id, known.cipher_sha256, known.bytes)


def settle(centre: Centre, known: Recording) -> Recording:
    """Complete a recording of which all bytes are here and no receipt yet: its last piece came, or a crash in between."""
    if known.state == RecordingState.RECEIVING and (
        known.offset_bytes == known.bytes or covers(pieces(centre, known), known.bytes)
    ):
        return complete(centre, known)
    return known


def settle_all(centre: Centre) -> int:
    """`settle` for every open upload; gives how many are complete now. Blocks for as long as they take to read.

    For the start after a crash: the box that sent the last byte may never ask again.
    """
    with centre.database.read() as connection:
        receiving = recordings.receiving_ones(connection)
    open_ones = [known for known in receiving if not settled(centre, known)]
    now_s = centre.clock().timestamp()
    with centre.database.write() as connection:
        for known in open_ones:  # those of an older release do not wait yet
            jobs.add(connection, SETTLE, known.site_id, [known.id], now_s + FIRST_LOOK_S)
    return len(receiving) - len(open_ones)


def settled(centre: Centre, known: Recording) -> bool:
    """`settle` by what is on disk; whether it is complete now. What turns out to be damaged is not."""
    on_disk = centre.blobs.part_bytes(known.site_id, known.id, known.cipher_sha256)
    with contextlib.suppress(Refused):
        now = settle(centre, replace(known, offset_bytes=min(known.offset_bytes, on_disk)))
        return now.complete
    return False


def complete(centre: Centre, known: Recording) -> Recording:
    """Verify, store and receipt an upload of which all bytes are there; one that is stored stays as it is.

    Raises Refused `recording.corrupt` (422): the hash is wrong, the upload is back at 0.
    """
    if known.complete:
        return known
    fits = centre.blobs.finish(known.site_id, known.id, known.cipher_sha256, known.bytes)
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        current = recordings.find(connection, known.site_id, known.id, lock=True)
        if current is not None and current.complete:
            return current
        if fits:
            receipt = canonical_json(as_json(_receipt(centre, known, now_utc)))
            jobs.forget(connection, SETTLE, known.site_id, known.id)
            if recordings.stored(connection, known, receipt, now_utc):
                return replace(known, state=RecordingState.STORED, receipt=receipt, stored_utc=now_utc)
        recordings.rewound(connection, known, 0)
        audit.add(connection, now_utc, f"box:{known.box_id}", "recording.corrupt", known.id)
    raise Refused(
        422,
        ErrorKey.RECORDING_CORRUPT,
        f"the {known.bytes} bytes received do not have the hash that was offered",
        "Upload it again from the beginning.",
        headers={"Upload-Offset": "0"},
        bytes=known.bytes,
    )


def _receipt(centre: Centre, known: Recording, now_utc: str) -> Receipt:
    return centre.keys.sign_receipt(
        Receipt(
            site_id=known.site_id,
            id=known.id,
            sha256=known.sha256,
            cipher_sha256=known.cipher_sha256,
            bytes=known.bytes,
            stored_utc=now_utc,
            key_id="",
        )
    )
