"""Statements on published site documents. `serial` counts all publishes, so one look tells whether any is new."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, func, insert, select, text

from cloudsync.store.tables import box, config_version, site
from cloudsync.wire import Envelope


def lock(connection: Connection) -> None:
    """One publish at a time until the transaction ends: numbers must become visible in their order.

    SQLite has one writer anyway. Readers do not wait.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE config_version IN EXCLUSIVE MODE"))


def add(connection: Connection, site_id: str, envelope: Envelope, now_utc: str) -> None:
    """Insert a signed version."""
    connection.execute(
        insert(config_version).values(
            site_id=site_id,
            version=envelope.version,
            document=envelope.document,
            key_id=envelope.key_id,
            signature=envelope.signature,
            published_utc=now_utc,
        )
    )


def newest(connection: Connection, site_id: str, above: int = 0) -> Envelope | None:
    """The site's newest version when it is above `above`."""
    row = connection.execute(
        select(
            config_version.c.document,
            config_version.c.version,
            config_version.c.key_id,
            config_version.c.signature,
        )
        .where(config_version.c.site_id == site_id, config_version.c.version > above)
        .order_by(config_version.c.version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Envelope(**row._mapping)


def one(connection: Connection, site_id: str, version: int) -> Envelope | None:
    """One version of a site, or None."""
    row = connection.execute(
        select(
            config_version.c.document,
            config_version.c.version,
            config_version.c.key_id,
            config_version.c.signature,
        ).where(config_version.c.site_id == site_id, config_version.c.version == version)
    ).one_or_none()
    return None if row is None else Envelope(**row._mapping)


def names(connection: Connection, site_id: str, sha256: str) -> bool:
    """Whether any version of the site has these hexadecimal digits in it."""
    row = connection.execute(
        select(config_version.c.serial)
        .where(config_version.c.site_id == site_id, config_version.c.document.contains(sha256))
        .limit(1)
    ).first()
    return row is not None


def history(connection: Connection, site_id: str, limit: int) -> list[tuple[int, str]]:
    """Version and time of publishing, newest first."""
    rows = connection.execute(
        select(config_version.c.version, config_version.c.published_utc)
        .where(config_version.c.site_id == site_id)
        .order_by(config_version.c.version.desc())
        .limit(limit)
    )
    return [(row.version, row.published_utc) for row in rows]


def published_utc(connection: Connection, site_id: str, version: int) -> str:
    """When a version was published, "" when it is not there."""
    query = select(config_version.c.published_utc).where(
        config_version.c.site_id == site_id, config_version.c.version == version
    )
    return connection.execute(query).scalar() or ""


def newest_version(connection: Connection, site_id: str) -> int:
    """The number of the site's newest version, 0 for none."""
    query = select(func.max(config_version.c.version)).where(config_version.c.site_id == site_id)
    return connection.execute(query).scalar() or 0


def highest_seen(connection: Connection, site_id: str) -> int:
    """The highest version that the store or any box of the site knows; the next one must be above it.

    A centre restored from a backup may have forgotten versions that boxes already run.
    """
    query = select(func.max(box.c.config_version)).where(box.c.site_id == site_id)
    return max(newest_version(connection, site_id), connection.execute(query).scalar() or 0)


def last_serial(connection: Connection) -> int:
    """The serial of the last publish of any site."""
    return connection.execute(select(func.max(config_version.c.serial))).scalar() or 0


_of_site = config_version.alias("of_site")
_NEWEST_NUMBER = (
    select(func.max(_of_site.c.version))
    .where(_of_site.c.site_id == site.c.id)
    .correlate(site)
    .scalar_subquery()
)
"""Of a site: both databases find it by one step in the index, however many versions the site has."""
_SITES = site.c.id.in_(bindparam("site_ids", expanding=True))
_NEWEST_VERSIONS = select(site.c.id, _NEWEST_NUMBER).where(_SITES)
"""Made once: every heartbeat asks it."""
_NEWEST_OF = select(
    config_version.c.site_id,
    config_version.c.document,
    config_version.c.version,
    config_version.c.key_id,
    config_version.c.signature,
).where(_SITES, config_version.c.site_id == site.c.id, config_version.c.version == _NEWEST_NUMBER)
"""Made once: thousands of boxes ask it when a version goes out to all sites. For pairs of site and version, `tuple_(…).in_(…)`,
SQLite would read the whole table, documents and all."""


def versions_since(connection: Connection, serial: int) -> dict[str, int]:
    """The newest version of each site that got one after the publish `serial`; 0 is before the first one."""
    if serial == 0:
        found = connection.execute(select(site.c.id, _NEWEST_NUMBER))
        return {site_id: version for site_id, version in found if version is not None}
    since = select(config_version.c.site_id, config_version.c.version).where(config_version.c.serial > serial)
    rows = connection.execute(since.order_by(config_version.c.version))
    return {row.site_id: row.version for row in rows}  # of a site's rows the last


def newest_versions(connection: Connection, site_ids: Collection[str]) -> dict[str, int]:
    """The numbers of the newest versions of these sites; a site without any is left out."""
    found = connection.execute(_NEWEST_VERSIONS, {"site_ids": list(site_ids)})
    return {site_id: version for site_id, version in found if version is not None}


def newest_of(connection: Connection, site_ids: Collection[str]) -> dict[str, Envelope]:
    """The newest version of each of these sites that has any."""
    found = connection.execute(_NEWEST_OF, {"site_ids": list(site_ids)})
    return {site_id: Envelope(*rest) for site_id, *rest in found}


def version_before(connection: Connection, site_id: str, version: int) -> int:
    """The version that was published before `version`, 0 for none."""
    query = select(func.max(config_version.c.version)).where(
        config_version.c.site_id == site_id, config_version.c.version < version
    )
    return connection.execute(query).scalar() or 0
