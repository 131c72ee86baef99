"""Whole tables out of one store and into another, in the order of their keys, so that any part may be repeated.

What lives for an hour at most (tokens, challenges, attempts) is left behind: a box gets a new token by its key.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, text, tuple_

from cloudsync.store import months
from cloudsync.store.database import Database
from cloudsync.store.tables import access_token, attempt, challenge, ledger, metadata, record, sequence
from cloudsync.store.types import SERIAL
from cloudsync.store.upsert import insert_for

BATCH_ROWS = 2000
"""One transaction: some 2 MB of records."""

TRANSIENT = frozenset({access_token.name, challenge.name, attempt.name})
GROWING = (ledger, record)
"""Rows of these never change and may be many; they are compared site by site."""

Row = dict[str, Any]


def tables() -> list[Table]:
    """Every table worth keeping; what others refer to comes first."""
    return [table for table in metadata.sorted_tables if table.name not in TRANSIENT]


def small_tables() -> list[Table]:
    """All but those that grow with every record."""
    return [table for table in tables() if table not in GROWING]


def batches(connection: Connection, table: Table, site_id: str = "") -> Iterator[list[Row]]:
    """The table's rows, or those of one site, in the order of its key."""
    key = list(table.primary_key.columns)
    query = select(table).order_by(*key).limit(BATCH_ROWS)
    if site_id:
        query = query.where(table.c.site_id == site_id)
    after: tuple[Any, ...] | None = None
    while True:
        found = query if after is None else query.where(tuple_(*key) > tuple_(*after))
        rows = [dict(row._mapping) for row in connection.execute(found)]
        if rows:
            yield rows
        if len(rows) < BATCH_ROWS:
            return
        after = tuple(rows[-1][column.name] for column in key)


def make_months(database: Database, rows: Sequence[Row]) -> None:
    """Make sure that records from another store have a place."""
    for month, _ in groupby(rows, key=lambda row: str(row["month"])):
        months.ensure(database, month)


def put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows; those whose key is there stay as they are."""
    if rows:
        connection.execute(insert_for(connection, table).on_conflict_do_nothing(), list(rows))


def empty(connection: Connection, names: Sequence[Table]) -> None:
    """Remove the rows of tables, what refers to others first."""
    for table in reversed(names):
        connection.execute(delete(table))


def count_on(connection: Connection) -> None:
    """Let numbers that the database gives go on behind those that were copied."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables():
        for column in table.primary_key.columns:
            if column.type is SERIAL:
                highest = connection.execute(select(func.max(column))).scalar()
                if highest is not None:
                    name = text("SELECT setval(pg_get_serial_sequence(:t, :c), :n)")
                    connection.execute(name, {"t": table.name, "c": column.name, "n": highest})


def count(connection: Connection, table: Table, site_id: str = "") -> int:
    """Rows of a table, or of one site in it."""
    query = select(func.count()).select_from(table)
    if site_id:
        query = query.where(table.c.site_id == site_id)
    return connection.execute(query).scalar_one()


def sites_with_records(connection: Connection) -> list[str]:
    """Sites of which any record was ever taken."""
    return list(connection.execute(select(sequence.c.site_id).order_by(sequence.c.site_id)).scalars())
