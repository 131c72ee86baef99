"""Statements on retention classes of recordings: what records of calls told, what has run out, holds, deletion."""

from sqlalchemy import Connection, or_, select, update

from cloudsync.store.recording_times import NAME_END
from cloudsync.store.recordings import DELETED, Recording
from cloudsync.store.tables import recording, recording_class
from cloudsync.store.upsert import insert_for
from cloudsync.wire import RecordingState


def tell(connection: Connection, site_id: str, name: str, retention: str) -> None:
    """A record of a call gave a class to recordings: to those of that id, or that go on after a dash, here or still to come."""
    values = {"site_id": site_id, "name": name, "retention": retention}
    connection.execute(
        insert_for(connection, recording_class)
        .values(values)
        .on_conflict_do_update(index_elements=["site_id", "name"], set_={"retention": retention})
    )
    own = recording.c.id
    connection.execute(
        update(recording)
        .where(
            recording.c.site_id == site_id, (own == name) | ((own > f"{name}-") & (own < f"{name}{NAME_END}"))
        )
        .values(retention=retention)
    )


def class_of(connection: Connection, site_id: str, recording_id: str) -> str | None:
    """The class of a recording that is offered just now, None where no record has told one (yet)."""
    query = select(recording_class.c.name, recording_class.c.retention).where(
        recording_class.c.site_id == site_id,
        recording_class.c.name.in_([recording_id, recording_id.rpartition("-")[0]]),
    )
    told = {row.name: str(row.retention) for row in connection.execute(query)}
    return told.get(recording_id) or next(iter(told.values()), None)


def run_out(
    connection: Connection, site_id: str, retention: str, stored_until_utc: str, now_utc: str, limit: int
) -> list[Recording]:
    """Recordings of a class that were stored at that time or before and are not held, the oldest first. See
    `cloudsync.retention.begins_utc`."""
    query = (
        select(recording)
        .where(
            recording.c.site_id == site_id,
            recording.c.retention == retention,
            recording.c.state == RecordingState.STORED,
            recording.c.stored_utc <= stored_until_utc,
            or_(recording.c.started_utc <= stored_until_utc, recording.c.started_utc > now_utc),
            recording.c.held_utc.is_(None),
        )
        .order_by(recording.c.stored_utc, recording.c.id)
        .limit(limit)
    )
    return [Recording(**row._mapping) for row in connection.execute(query)]


def deleted(connection: Connection, known: Recording, now_utc: str) -> bool:
    """Mark a stored recording as deleted; False when it is held, or not stored, by now."""
    result = connection.execute(
        update(recording)
        .where(
            recording.c.site_id == known.site_id,
            recording.c.id == known.id,
            recording.c.state == RecordingState.STORED,
            recording.c.held_utc.is_(None),
        )
        .values(state=DELETED, deleted_utc=now_utc)
    )
    return result.rowcount == 1


def hold(connection: Connection, known: Recording, held_utc: str | None) -> bool:
    """Hold a recording from deletion, None: no longer; False when it is deleted by now."""
    result = connection.execute(
        update(recording)
        .where(
            recording.c.site_id == known.site_id,
            recording.c.id == known.id,
            recording.c.state != DELETED,
        )
        .values(held_utc=held_utc)
    )
    return result.rowcount == 1
