"""Months of arrival. On PostgreSQL each is a partition of `record`, made when its first record comes.

Only the centre's clock makes months: a box whose clock says 1970 or 9999 makes none.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, func, inspect, select, text, tuple_
from sqlalchemy.exc import ProgrammingError

from cloudsync.store import clocks
from cloudsync.store.database import Database
from cloudsync.store.tables import ledger, record, record_time
from cloudsync.store.tables import month as month_table
from cloudsync.store.upsert import insert_for

BATCH_ROWS = 2000
"""Rows read at a time for an export, some 2 MB."""
DELETE_ROWS = 20_000
"""Rows removed in one transaction of SQLite, so that a box waits for a fraction of a second."""

MONTH_PATTERN = r"\d{4}-(0[1-9]|1[0-2])"


def is_month(value: str) -> bool:
    """Whether `value` reads like 2026-11."""
    return re.fullmatch(MONTH_PATTERN, value) is not None


def ensure(database: Database, month: str) -> None:
    """Make sure that records which arrive in `month` have a place. Remembered, so it costs nothing twice."""
    if month in database.months_made:
        return
    if database.dialect == "postgresql":
        with suppress(ProgrammingError), database.write() as connection:  # another process was faster
            _make(connection, month)
    database.months_made.add(month)


def _make(connection: Connection, month: str) -> None:
    name = partition(month)
    if not inspect(connection).has_table(name):
        connection.execute(text(f"CREATE TABLE {name} PARTITION OF record FOR VALUES IN ('{month}')"))


def partition(month: str) -> str:
    """The name of a month's partition. Raises ValueError for what is no month: it becomes part of a statement."""
    if not is_month(month):
        raise ValueError(f"not a month: {month!r}")
    return f"record_{month.replace('-', '_')}"


@dataclass(frozen=True, slots=True)
class Month:
    """A month of arrival: what is there, and what became of it."""

    month: str
    records: int
    exported_utc: str | None
    exported_sha256: str | None
    exported_records: int | None
    dropped_utc: str | None


def every(connection: Connection) -> list[Month]:
    """All months in which records arrived, the latest first. Counts rows: takes a while on large stores."""
    counted = select(record.c.month, func.count()).group_by(record.c.month)
    counts = {row[0]: int(row[1]) for row in connection.execute(counted)}
    known = {row.month: row for row in connection.execute(select(month_table))}
    return [
        Month(
            name,
            counts.get(name, 0),
            *(getattr(known.get(name), column, None) for column in Month.__slots__[2:]),
        )
        for name in sorted({*counts, *known}, reverse=True)
    ]


def rows(connection: Connection, month: str) -> Iterator[list[dict[str, object]]]:
    """The month's records with their hashes, by site and number, and the true time of those whose own is wrong."""
    same = (ledger.c.site_id == record.c.site_id) & (ledger.c.seq == record.c.seq)
    timed = (record_time.c.site_id == record.c.site_id) & (record_time.c.seq == record.c.seq)
    times = record_time.c.at_utc, record_time.c.source.label("time_source"), record_time.c.times
    query = (
        select(*record.c, ledger.c.id, ledger.c.prev_hash, ledger.c.hash, *times)
        .join(ledger, same)
        .outerjoin(record_time, timed)
        .where(record.c.month == month)
        .order_by(record.c.site_id, record.c.seq)
        .limit(BATCH_ROWS)
    )
    after: tuple[object, object] | None = None
    while True:
        later = (
            query if after is None else query.where(tuple_(record.c.site_id, record.c.seq) > tuple_(*after))
        )
        found = [dict(row._mapping) for row in connection.execute(later)]
        if found:
            yield found
        if len(found) < BATCH_ROWS:
            return
        after = (found[-1]["site_id"], found[-1]["seq"])


def note(connection: Connection, month: str, **values: object) -> None:
    """Write down what became of the month."""
    connection.execute(
        insert_for(connection, month_table)
        .values(month=month, **values)
        .on_conflict_do_update(index_elements=["month"], set_=values)
    )


def drop(database: Database, month: str) -> None:
    """Remove the month's records; the ledger keeps knowing them. On SQLite in slices, each on disk by itself."""
    with database.write() as connection:
        clocks.forget_month(connection, month)
    if database.dialect == "postgresql":
        with database.write() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {partition(month)}"))
        database.months_made.discard(month)
        return
    slice_ = "SELECT rowid FROM record WHERE month = :month LIMIT :rows"
    removed = 1
    while removed:
        with database.write() as connection:
            statement = text(f"DELETE FROM record WHERE rowid IN ({slice_})")  # noqa: S608
            removed = connection.execute(statement, {"month": month, "rows": DELETE_ROWS}).rowcount
