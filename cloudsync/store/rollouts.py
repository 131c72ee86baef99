"""Statements on staged rollouts and the sites in them."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from cloudsync.store.tables import rollout, rollout_site


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout as it is stored. change: JSON text. ring: the one under way, from 0."""

    id: int
    change: str
    state: str
    ring: int
    errors_max: int
    accepted: int
    soak_s: int
    patience_s: int
    reason: str
    actor: str
    started_utc: str
    ring_utc: str
    changed_utc: str


@dataclass(frozen=True, slots=True)
class RolloutSite:
    """A site in a rollout. version: None while its ring waits. version_before: what was newest then."""

    rollout_id: int
    site_id: str
    ring: int
    version: int | None
    version_before: int | None


def add(connection: Connection, values: dict[str, object], rings: list[list[str]]) -> int:
    """Insert a rollout and its sites; gives its number."""
    number = connection.execute(insert(rollout).values(**values).returning(rollout.c.id)).scalar_one()
    connection.execute(
        insert(rollout_site),
        [
            {"rollout_id": number, "site_id": site_id, "ring": ring}
            for ring, site_ids in enumerate(rings)
            for site_id in site_ids
        ],
    )
    return int(number)


def newest(connection: Connection) -> Rollout | None:
    """The rollout that was begun last, or None."""
    row = connection.execute(select(rollout).order_by(rollout.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Rollout(**row._mapping)


def sites(connection: Connection, number: int) -> list[RolloutSite]:
    """Its sites, by ring and id."""
    query = (
        select(rollout_site)
        .where(rollout_site.c.rollout_id == number)
        .order_by(rollout_site.c.ring, rollout_site.c.site_id)
    )
    return [RolloutSite(**row._mapping) for row in connection.execute(query)]


def change(connection: Connection, number: int, now_utc: str, **values: object) -> None:
    """Set columns of a rollout."""
    connection.execute(update(rollout).where(rollout.c.id == number).values(changed_utc=now_utc, **values))


def published(connection: Connection, number: int, site_id: str, version: int, before: int) -> None:
    """Keep the version that a site got."""
    connection.execute(
        update(rollout_site)
        .where(rollout_site.c.rollout_id == number, rollout_site.c.site_id == site_id)
        .values(version=version, version_before=before)
    )
