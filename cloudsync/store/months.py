"""Months of arrival. On PostgreSQL each is a partition of `record`, made when its first record comes.

Only the centre's clock makes months: a box whose clock says 1970 or 9999 makes none.
"""

import re
from contextlib import suppress

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import ProgrammingError

from cloudsync.store.database import Database

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
