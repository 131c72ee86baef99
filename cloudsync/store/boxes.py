"""Statements on boxes: identity, what they last said, what became of their configuration."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

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


def find_all(connection: Connection, box_ids: Collection[str]) -> dict[str, Box]:
    """Those of these boxes that are known, by id."""
    query = select(box).where(box.c.id.in_(box_ids))
    return {row.id: Box(**row._mapping) for row in connection.execute(query)}


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


@dataclass(slots=True)
class Standing:
    """What a heartbeat is judged by."""

    id: str
    site_id: str
    enrolled_utc: str
    key_utc: str | None
    key_wanted_utc: str | None
    lease: str | None
    lease_before: str | None
    lease_utc: str | None
    seen_at: str | None
    cloned_utc: str | None


def standings(connection: Connection, box_ids: Collection[str]) -> dict[str, Standing]:
    """These boxes by id, without what is long; unknown ones are left out."""
    query = select(*(box.c[name] for name in Standing.__slots__)).where(box.c.id.in_(box_ids))
    return {row[0]: Standing(*row) for row in connection.execute(query)}


def saw_all(connection: Connection, telemetry: Mapping[str, str], now_utc: str) -> None:
    """Keep the newest heartbeats (JSON), by box id. Locks the rows in the order of the ids: batches of two processes
    must not wait for each other."""
    connection.execute(
        update(box)
        .where(box.c.id == bindparam("of_id"))
        .values(last_seen_utc=bindparam("seen"), telemetry=bindparam("told")),
        [{"of_id": box_id, "seen": now_utc, "told": text} for box_id, text in sorted(telemetry.items())],
    )


def lease_all(connection: Connection, changed: Collection[Standing]) -> None:
    """Keep the leases of boxes whose rows are locked already."""
    columns = ("lease", "lease_before", "lease_utc", "seen_at", "cloned_utc")
    connection.execute(
        update(box)
        .where(box.c.id == bindparam("of_id"))
        .values({name: bindparam(f"new_{name}") for name in columns}),
        [{"of_id": one.id} | {f"new_{name}": getattr(one, name) for name in columns} for one in changed],
    )


def change(connection: Connection, box_id: str, values: Mapping[str, object]) -> None:
    """Set columns of a box."""
    connection.execute(update(box).where(box.c.id == box_id).values(**values))


@dataclass(frozen=True, slots=True)
class Configured:
    """What became of a configuration version on a box. problems: JSON, as `wire.reasons_kept`."""

    box_id: str
    version: int
    state: str
    problems: str


def configured_all(connection: Connection, told: Collection[Configured], now_utc: str) -> None:
    """Keep what boxes told, of each the last."""
    last = {one.box_id: one for one in told}
    connection.execute(
        update(box)
        .where(box.c.id == bindparam("of_id"))
        .values(
            config_version=bindparam("version"),
            config_state=bindparam("state"),
            config_problems=bindparam("problems"),
            config_reported_utc=bindparam("now"),
        ),
        [
            {
                "of_id": box_id,
                "version": one.version,
                "state": one.state,
                "problems": one.problems,
                "now": now_utc,
            }
            for box_id, one in sorted(last.items())
        ],
    )
