"""Statements on tenants and sites. Each takes the transaction it belongs to."""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from cloudsync.store.tables import site, tenant, tenant_recipient
from cloudsync.store.upsert import insert_for


@dataclass(frozen=True, slots=True)
class Site:
    """A site as the centre knows it."""

    id: str
    tenant_id: str
    name: str
    created_utc: str


def add_tenant(connection: Connection, tenant_id: str, now_utc: str) -> None:
    """Make sure that the tenant exists."""
    connection.execute(
        insert_for(connection, tenant).values(id=tenant_id, created_utc=now_utc).on_conflict_do_nothing()
    )


def add_recipient(connection: Connection, tenant_id: str, recipient: str, now_utc: str) -> None:
    """Add an age recipient to which the tenant's recordings get encrypted."""
    connection.execute(
        insert_for(connection, tenant_recipient)
        .values(tenant_id=tenant_id, recipient=recipient, created_utc=now_utc)
        .on_conflict_do_nothing()
    )


def recipients(connection: Connection, tenant_id: str) -> tuple[str, ...]:
    """The age recipients that the tenant's recordings are encrypted to now, oldest first."""
    rows = connection.execute(
        select(tenant_recipient.c.recipient)
        .where(tenant_recipient.c.tenant_id == tenant_id, tenant_recipient.c.retired_utc.is_(None))
        .order_by(tenant_recipient.c.created_utc, tenant_recipient.c.recipient)
    )
    return tuple(rows.scalars())


def retired_recipients(connection: Connection, tenant_id: str) -> frozenset[str]:
    """Recipients that new recordings are no longer encrypted to."""
    rows = connection.execute(
        select(tenant_recipient.c.recipient).where(
            tenant_recipient.c.tenant_id == tenant_id, tenant_recipient.c.retired_utc.is_not(None)
        )
    )
    return frozenset(rows.scalars())


def retire_recipients(connection: Connection, tenant_id: str, keep: str, now_utc: str) -> None:
    """Retire all recipients of the tenant but `keep`, which is none of the retired from now on."""
    mine = tenant_recipient.c.tenant_id == tenant_id
    kept = tenant_recipient.c.recipient == keep
    connection.execute(
        update(tenant_recipient)
        .where(mine, ~kept, tenant_recipient.c.retired_utc.is_(None))
        .values(retired_utc=now_utc)
    )
    connection.execute(update(tenant_recipient).where(mine, kept).values(retired_utc=None))


def tenant_exists(connection: Connection, tenant_id: str) -> bool:
    """Whether there is such a tenant."""
    return connection.execute(select(tenant.c.id).where(tenant.c.id == tenant_id)).scalar() is not None


def add(connection: Connection, new: Site) -> bool:
    """Insert a site, whose tenant is there; False when the id is taken."""
    result = connection.execute(
        insert_for(connection, site)
        .values(id=new.id, tenant_id=new.tenant_id, name=new.name, created_utc=new.created_utc)
        .on_conflict_do_nothing()
    )
    return result.rowcount == 1


def find(connection: Connection, site_id: str) -> Site | None:
    """The site, or None."""
    row = connection.execute(select(site).where(site.c.id == site_id)).one_or_none()
    return None if row is None else Site(**row._mapping)


def every(connection: Connection) -> list[Site]:
    """All sites by id."""
    return [Site(**row._mapping) for row in connection.execute(select(site).order_by(site.c.id))]
