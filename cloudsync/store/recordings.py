"""Statements on recordings. `offset_bytes` is what the centre has acknowledged: never more than is fsynced."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Update, delete, func, select, update

from cloudsync.store.tables import recording
from cloudsync.store.upsert import insert_for
from cloudsync.wire import RecordingState

DELETED = "deleted"
"""State of a recording that was stored until its retention class had run out. Boxes are told that it is stored: they may, and
must, not bring it again."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording on its way, stored or deleted. `receipt` is JSON text, set together with the state STORED; one that was found
    (`cloudsync.service.strays`) has none, and `sha256` is "" until its box says it.

    at_utc: when it began, None where `started_utc` holds; time_source: how that is known (`cloudsync.clocks.Source`).
    retention: its class; held_utc: since when it must not be deleted; deleted_utc: when it was."""

    site_id: str
    id: str
    box_id: str
    call: str
    sha256: str
    cipher_sha256: str
    bytes: int
    started_utc: str
    duration_s: float
    format: str
    state: str
    offset_bytes: int
    offered_utc: str
    stored_utc: str | None = None
    receipt: str | None = None
    at_utc: str | None = None
    time_source: str | None = None
    retention: str | None = None
    held_utc: str | None = None
    deleted_utc: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the centre has given its receipt: its box need not bring anything of it again."""
        return self.state in (RecordingState.STORED, DELETED)


def find(connection: Connection, site_id: str, recording_id: str, *, lock: bool = False) -> Recording | None:
    """The recording, or None. `lock`: nobody else changes it until the transaction ends."""
    query = select(recording).where(recording.c.site_id == site_id, recording.c.id == recording_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else Recording(**row._mapping)


def find_any_site(connection: Connection, recording_id: str) -> list[Recording]:
    """Recordings of that id at any site, for an administrator."""
    rows = connection.execute(select(recording).where(recording.c.id == recording_id))
    return [Recording(**row._mapping) for row in rows]


def put(connection: Connection, new: Recording) -> bool:
    """Insert an offer, or replace one of the same id for which no receipt was given; False when one was."""
    values = asdict(new)
    result = connection.execute(
        insert_for(connection, recording)
        .values(values)
        .on_conflict_do_update(
            index_elements=["site_id", "id"],
            set_=values,
            where=recording.c.receipt.is_(None),
        )
    )
    return result.rowcount == 1


def moved(connection: Connection, upload: Recording, offset_bytes: int) -> None:
    """Acknowledge bytes that are fsynced. What is acknowledged already stays so."""
    connection.execute(
        _open(upload).where(recording.c.offset_bytes < offset_bytes).values(offset_bytes=offset_bytes)
    )


def rewound(connection: Connection, upload: Recording, offset_bytes: int) -> None:
    """Take an acknowledgement back: bytes behind `offset_bytes` are gone or wrong."""
    connection.execute(_open(upload).values(offset_bytes=offset_bytes))


def stored(connection: Connection, upload: Recording, receipt: str, stored_utc: str) -> bool:
    """Mark as verified and on disk; False when the upload is another by now, or stored already."""
    result = connection.execute(
        _open(upload).values(state=RecordingState.STORED, receipt=receipt, stored_utc=stored_utc)
    )
    return result.rowcount == 1


def _open(upload: Recording) -> Update:
    """An update of exactly this upload, while it is open: not of a later one under the same id."""
    return update(recording).where(
        recording.c.site_id == upload.site_id,
        recording.c.id == upload.id,
        recording.c.cipher_sha256 == upload.cipher_sha256,
        recording.c.state == RecordingState.RECEIVING,
    )


def receiving_count(connection: Connection, site_id: str) -> int:
    """Uploads of the site that are open."""
    query = select(func.count()).where(
        recording.c.site_id == site_id, recording.c.state == RecordingState.RECEIVING
    )
    return connection.execute(query).scalar_one()


def open_longest(connection: Connection, site_id: str, most: int) -> list[Recording]:
    """Uploads of the site that are open, those that were offered first."""
    if not most:
        return []
    query = select(recording).where(
        recording.c.site_id == site_id, recording.c.state == RecordingState.RECEIVING
    )
    rows = connection.execute(query.order_by(recording.c.offered_utc, recording.c.id).limit(most))
    return [Recording(**row._mapping) for row in rows]


def forget_open(connection: Connection, upload: Recording) -> bool:
    """Forget exactly this upload; False when it is not open any more."""
    where = (
        recording.c.site_id == upload.site_id,
        recording.c.id == upload.id,
        recording.c.cipher_sha256 == upload.cipher_sha256,
        recording.c.state == RecordingState.RECEIVING,
    )
    return connection.execute(delete(recording).where(*where)).rowcount == 1


def receiving_ones(connection: Connection) -> list[Recording]:
    """Every upload that is open, of all sites."""
    query = select(recording).where(recording.c.state == RecordingState.RECEIVING)
    rows = connection.execute(query.order_by(recording.c.site_id, recording.c.id))
    return [Recording(**row._mapping) for row in rows]


def stored_ones(connection: Connection) -> Iterator[Recording]:
    """Every stored recording."""
    query = select(recording).where(recording.c.state == RecordingState.STORED)
    for row in connection.execute(query.order_by(recording.c.site_id, recording.c.id)):
        yield Recording(**row._mapping)


def deleted_since(connection: Connection, since_utc: str) -> list[Recording]:
    """Every recording that was deleted at that time or later."""
    rows = connection.execute(select(recording).where(recording.c.deleted_utc >= since_utc))
    return [Recording(**row._mapping) for row in rows]


def newest(connection: Connection, *, site_id: str = "", limit: int) -> list[Recording]:
    """Recordings, the latest start first, where that was corrected by the corrected one."""
    found: list[Recording] = []
    for column, which in (
        (recording.c.started_utc, recording.c.at_utc.is_(None)),
        (recording.c.at_utc, recording.c.at_utc.is_not(None)),
    ):
        query = select(recording).where(which).order_by(column.desc(), recording.c.id).limit(limit)
        if site_id:
            query = query.where(recording.c.site_id == site_id)
        found += [Recording(**row._mapping) for row in connection.execute(query)]
    found.sort(key=lambda one: one.id)
    found.sort(key=lambda one: one.at_utc or one.started_utc, reverse=True)
    return found[:limit]
