"""Statements on boxes: identity, what they last said, what became of their configuration."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from cloudsync.store.tables import box
from cloudsync.store.upsert import insert_for


@dataclass(frozen=True, slots=True)
class Box:
    """A box as the centre knows it. JSON columns are text; None means that nothing came yet."""

    id: str
    site_id: str
    public_key: str
    enrolled_utc: str
    revoked_utc: str | None
    versions: str
    last_seen_utc: str | None
    telemetry: str | None
    config_version: int | None
    config_state: str | None
    config_problems: str | None
    config_reported_utc: str | None
    key_utc: str | None = None
    next_public_key: str | None = None
    key_wanted_utc: str | None = None
    lease: str | None = None
    lease_before: str | None = None
    lease_utc: str | None = None
    seen_at: str | None = None
    cloned_utc: str | None = None


def find(connection: Connection, box_id: str) -> Box | None:
    """The box, or None."""
    row = connection.execute(select(box).where(box.c.id == box_id)).one_or_none()
    return None if row is None else Box(**row._mapping)


def every(connection: Connection, site_id: str = "") -> list[Box]:
    """All boxes by id, or those of one site."""
    query = select(box).order_by(box.c.id)
    if site_id:
        query = query.where(box.c.site_id == site_id)
    return [Box(**row._mapping) for row in connection.execute(query)]


def enrol(
    connection: Connection, box_id: str, site_id: str, public_key: str, versions: str, now_utc: str
) -> bool:
    """Give the box its key. An enrolled or revoked one of the same site gets the new key instead of the old.

    False when the id is another site's.
    """
    identity = {
        "public_key": public_key,
        "enrolled_utc": now_utc,
        "revoked_utc": None,
        "versions": versions,
        "key_utc": now_utc,
        "next_public_key": None,
        "key_wanted_utc": None,
        "lease": None,
        "lease_before": None,
        "lease_utc": None,
        "seen_at": None,
        "cloned_utc": None,
    }
    result = connection.execute(
        insert_for(connection, box)
        .values(id=box_id, site_id=site_id, **identity)
        .on_conflict_do_update(index_elements=["id"], set_=identity, where=box.c.site_id == site_id)
    )
    return result.rowcount == 1


def revoke(connection: Connection, box_id: str, now_utc: str) -> None:
    """Mark the box revoked; the first moment stays."""
    connection.execute(
        update(box).where(box.c.id == box_id, box.c.revoked_utc.is_(None)).values(revoked_utc=now_utc)
    )


def saw(connection: Connection, box_id: str, telemetry: str, now_utc: str) -> None:
    """Keep the newest heartbeat."""
    connection.execute(
        update(box).where(box.c.id == box_id).values(last_seen_utc=now_utc, telemetry=telemetry)
    )


def change(connection: Connection, box_id: str, values: Mapping[str, object]) -> None:
    """Set columns of a box."""
    connection.execute(update(box).where(box.c.id == box_id).values(**values))


def configured(
    connection: Connection, box_id: str, version: int, state: str, problems: str, now_utc: str
) -> None:
    """Keep what became of a configuration version."""
    connection.execute(
        update(box)
        .where(box.c.id == box_id)
        .values(
            config_version=version,
            config_state=state,
            config_problems=problems,
            config_reported_utc=now_utc,
        )
    )
