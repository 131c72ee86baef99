"""The work on clocks reads what it needs of a large site, and no more. A failure means that one box with a wrong clock keeps the
whole centre busy: each slice would read all records of its site."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from cloudsync.merge import Sound
from cloudsync.service.centre import Centre
from cloudsync.store import clocks, months
from cloudsync.store import records as store
from tests.helpers.centre_box import opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared

SITE, BOX, BOOT = "tokyo-1", "tokyo-1-a", "boot-1"
RECORDS = 40_000
NOW_UTC = "2026-11-21T09:00:00.000Z"
STEPS_A_ROW = 60
"""Of SQLite's machine, for a row of the ledger with its record."""
MARGIN = 3
"""Rows read for each row that is asked for: one of the ledger, one of the records, and some to spare."""


@pytest.fixture(scope="module", params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with opened(prepared(tmp_path_factory.mktemp("centre") / "data", request.param)) as found:
        prepare_site(found)
        made = [
            Sound(n, f"r-{n}", "cdr", 1, NOW_UTC, BOOT, "{}", f"{n - 1:064x}", f"{n:064x}")
            for n in range(1, RECORDS + 1)
        ]
        months.ensure(found.database, NOW_UTC[:7])
        with found.database.write() as connection:
            assert store.add(connection, SITE, BOX, made, NOW_UTC)
        yield found


@pytest.mark.parametrize("analysed", [False, True], ids=["as it grew", "analysed"])
@pytest.mark.parametrize(
    ("read", "rows"),
    [
        (lambda connection: clocks.of_boot(connection, SITE, BOX, BOOT, RECORDS // 2)[0], clocks.BATCH_ROWS),
        (lambda connection: clocks.before(connection, SITE, BOX, BOOT, RECORDS // 2), clocks.BEFORE_ROWS),
    ],
    ids=["a slice of a boot", "what stands before a step"],
)
def test_a_slice_of_a_large_site_reads_no_more_than_a_slice(
    centre: Centre, read: Callable[[Connection], list[Any]], rows: int, analysed: bool
) -> None:
    if analysed:
        with centre.database.write() as connection:
            connection.execute(text("ANALYZE"))
    with centre.database.read() as connection:
        on_postgresql = connection.dialect.name == "postgresql"
        count = _rows_read(connection, read) if on_postgresql else _steps(connection, read) / STEPS_A_ROW
        assert len(read(connection)) == rows
    assert count <= MARGIN * rows


def _steps(connection: Connection, read: Callable[[Connection], object]) -> int:
    """What SQLite's machine did for it."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    raw.set_progress_handler(count, 100)
    try:
        read(connection)
    finally:
        raw.set_progress_handler(None, 100)
    return steps


def _rows_read(connection: Connection, read: Callable[[Connection], object]) -> int:
    """What PostgreSQL's scans touched for it."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        read(connection)
    finally:
        event.remove(connection, "before_cursor_execute", note)
    touched = 0
    for statement, parameters in asked:
        found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar()
        (plan,) = json.loads(found) if isinstance(found, str) else found or []
        touched += sum(_touched(plan["Plan"]))
    return touched


def _touched(node: dict[str, Any]) -> Iterator[int]:
    if "Relation Name" in node:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield rows * node["Actual Loops"]
    for below in node.get("Plans", []):
        yield from _touched(below)
