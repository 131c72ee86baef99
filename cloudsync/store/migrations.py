"""The store's schema, step by step. Each step commits together with the row that records it.

A step is a list of statements that never changes once released; a new need is a new step. Both SQLite and
PostgreSQL run DDL within transactions, so a crash leaves a step wholly done or not begun.
"""

from collections.abc import Callable

from sqlalchemy import Column, Connection, Integer, MetaData, Table, func, insert, inspect, select

from appliance.errors import KyusaiError
from cloudsync.store.steps import (
    attempts,
    changes,
    first_tables,
    fleet,
    given_up,
    jobs,
    months,
    refused,
    retention,
    seals,
)
from cloudsync.store.types import TEXT

_own = MetaData()
schema_step = Table(
    "schema_step",
    _own,
    Column("number", Integer, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("applied_utc", TEXT, nullable=False),
)


STEPS: tuple[tuple[str, Callable[[Connection], None]], ...] = (
    ("first tables", first_tables.apply),
    ("attempts", attempts.apply),
    ("months", months.apply),
    ("jobs", jobs.apply),
    ("fleet", fleet.apply),
    ("changes", changes.apply),
    ("seals", seals.apply),
    ("given up", given_up.apply),
    ("retention", retention.apply),
    ("refused", refused.apply),
)


def current_step(connection: Connection) -> int:
    """The number of the last step that was applied, 0 for an empty store."""
    if not inspect(connection).has_table(schema_step.name):
        return 0
    return connection.execute(select(func.max(schema_step.c.number))).scalar() or 0


def apply_next(connection: Connection, now_utc: str) -> bool:
    """Apply the next step within the caller's transaction; False when there is none left.

    Raises KyusaiError `store.too_new` when a newer release has been here: going back needs a backup.
    """
    done = current_step(connection)
    if done > len(STEPS):
        raise KyusaiError(
            "store.too_new",
            f"the store has schema step {done}, this release knows {len(STEPS)}",
            "Start the newer release again, or restore the backup made before the upgrade.",
        )
    if done == len(STEPS):
        return False
    name, step = STEPS[done]
    schema_step.create(connection, checkfirst=True)
    step(connection)
    connection.execute(insert(schema_step).values(number=done + 1, name=name, applied_utc=now_utc))
    return True
