"""Statements on when recordings began, where their box's clock was wrong."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select, update

from cloudsync.store.recordings import Recording
from cloudsync.store.tables import recording, recording_call
from cloudsync.store.upsert import insert_for

NAME_END = "."
"""Sorts behind "-", by which what follows a name begins."""


@dataclass(frozen=True, slots=True)
class Call:
    """The record of a call, of a boot whose clock was doubted, that names a recording: by its id or the beginning of it."""

    site_id: str
    name: str
    seq: int
    box_id: str
    boot_id: str
    created_utc: str


def keep(connection: Connection, call: Call) -> None:
    """Remember it; the same one again changes nothing."""
    connection.execute(insert_for(connection, recording_call).values(asdict(call)).on_conflict_do_nothing())


def named(connection: Connection, site_id: str, name: str) -> list[Recording]:
    """The recordings of that name: of that id, or of one that goes on after a dash."""
    own = recording.c.id
    query = select(recording).where(
        recording.c.site_id == site_id, (own == name) | ((own > f"{name}-") & (own < f"{name}{NAME_END}"))
    )
    return [Recording(**row._mapping) for row in connection.execute(query)]


def call_of(connection: Connection, known: Recording) -> Call | None:
    """The record that names a recording, the last one where several do."""
    names = [known.id, known.id.rpartition("-")[0]]
    query = (
        select(recording_call)
        .where(recording_call.c.site_id == known.site_id, recording_call.c.name.in_(names))
        .order_by(recording_call.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Call(**row._mapping)


def put(connection: Connection, known: Recording, at_utc: str | None, source: str | None) -> None:
    """Keep when it began; None: as it says itself."""
    connection.execute(
        update(recording)
        .where(recording.c.site_id == known.site_id, recording.c.id == known.id)
        .values(at_utc=at_utc, time_source=source)
    )
