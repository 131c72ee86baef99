"""Statements on the chain over the audit trail. Lines are sealed shortly after they are written, by one process at a time:
so a request never waits for the chain, and no two of them for each other."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, insert, select, text

from cloudsync.audit_chain import FIELDS, Head, Sealed, line_hash
from cloudsync.store.tables import audit, audit_seal

BATCH_ROWS = 2000
LATE_SERIALS = 10_000
"""On PostgreSQL a line with a lower number may become visible after a higher one; it is looked for so far back."""


def lock(connection: Connection) -> None:
    """One at a time seals until the transaction ends. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE audit_seal IN EXCLUSIVE MODE"))


def is_behind(connection: Connection) -> bool:
    """Whether there are lines younger than the youngest sealed one."""
    last = connection.execute(select(func.max(audit.c.serial))).scalar() or 0
    return last > (connection.execute(select(func.max(audit_seal.c.serial))).scalar() or 0)


def head(connection: Connection) -> Head:
    """The end of the chain."""
    query = select(audit_seal.c.position, audit_seal.c.hash).order_by(audit_seal.c.position.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return Head() if row is None else Head(row.position, row.hash)


def seal_next(connection: Connection) -> int:
    """Seal the next lines; gives how many. The caller holds `lock`."""
    last = connection.execute(select(func.max(audit_seal.c.serial))).scalar() or 0
    lines = connection.execute(
        select(audit)
        .outerjoin(audit_seal, audit_seal.c.serial == audit.c.serial)
        .where(audit_seal.c.serial.is_(None), audit.c.serial > last - LATE_SERIALS)
        .order_by(audit.c.serial)
        .limit(BATCH_ROWS)
    ).all()
    end, rows = head(connection), []
    for line in lines:
        end = Head(end.count + 1, line_hash(end.hash, dict(line._mapping)))
        rows.append({"position": end.count, "serial": line.serial, "hash": end.hash})
    if rows:
        connection.execute(insert(audit_seal), rows)
    return len(rows)


def chain(connection: Connection) -> Iterator[list[Sealed]]:
    """The whole chain from its beginning, in pieces."""
    after = 0
    while True:
        rows = connection.execute(
            select(
                audit_seal.c.position,
                audit_seal.c.serial.label("sealed_serial"),
                audit_seal.c.hash,
                *(audit.c[name] for name in FIELDS),
            )
            .outerjoin(audit, audit.c.serial == audit_seal.c.serial)
            .where(audit_seal.c.position > after)
            .order_by(audit_seal.c.position)
            .limit(BATCH_ROWS)
        ).all()
        if rows:
            yield [
                Sealed(
                    row.position,
                    row.sealed_serial,
                    row.hash,
                    None if row.serial is None else dict(row._mapping),
                )
                for row in rows
            ]
        if len(rows) < BATCH_ROWS:
            return
        after = rows[-1].position


def unsealed(connection: Connection) -> int:
    """Lines without a seal."""
    query = (
        select(func.count())
        .select_from(audit)
        .outerjoin(audit_seal, audit_seal.c.serial == audit.c.serial)
        .where(audit_seal.c.serial.is_(None))
    )
    return connection.execute(query).scalar_one()
