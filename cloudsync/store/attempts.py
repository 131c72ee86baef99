"""Statements on failed enrolments. When a source has to wait is decided in `cloudsync.attempts`, not here."""

import json

from sqlalchemy import Connection, delete, func, select, update

from cloudsync.store.tables import attempt
from cloudsync.store.upsert import insert_for


def failures(connection: Connection, source: str) -> tuple[float, ...]:
    """When the source failed (seconds since 1970), oldest first."""
    found = connection.execute(select(attempt.c.failures).where(attempt.c.source == source)).scalar()
    return tuple(json.loads(found)) if found else ()


def locked_failures(connection: Connection, source: str, now_s: float) -> tuple[float, ...]:
    """The same, with the source's row made and locked until the transaction ends."""
    connection.execute(
        insert_for(connection, attempt)
        .values(source=source, failures="[]", last_s=now_s)
        .on_conflict_do_nothing()
    )
    query = select(attempt.c.failures).where(attempt.c.source == source).with_for_update()
    return tuple(json.loads(connection.execute(query).scalar_one()))


def put(connection: Connection, source: str, failed: tuple[float, ...]) -> None:
    """Remember a source's failures."""
    connection.execute(
        update(attempt)
        .where(attempt.c.source == source)
        .values(failures=json.dumps(failed), last_s=failed[-1])
    )


def forget(connection: Connection, before_s: float, sources_max: int) -> None:
    """Forget sources whose last failure is older than `before_s`, and the oldest ones beyond `sources_max`."""
    connection.execute(delete(attempt).where(attempt.c.last_s < before_s))
    count = connection.execute(select(func.count()).select_from(attempt)).scalar_one()
    if count > sources_max:
        oldest = select(attempt.c.source).order_by(attempt.c.last_s).limit(count - sources_max)
        connection.execute(delete(attempt).where(attempt.c.source.in_(oldest)))
