"""ADAPTER. The store in one SQLite file: WAL with `synchronous=FULL`. Readers never wait, writers take turns."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event

from appliance.sqlite_sync import sync_found
from cloudsync.store.database import BUSY_TIMEOUT_S, WRITES, Database

POOL_CONNECTIONS = 40
"""As many as the HTTP server has worker threads, so none of them waits for a connection."""

PAGE_BYTES = 8192
"""Of a new store; one that is there keeps its own. A record has 1.2 KB, and each page written costs two system calls."""
CHECKPOINT_PAGES = 2000
"""16 MB of log before it goes into the file: twenty batches share the pages that they all touch."""


def open_sqlite(path: Path) -> Database:
    """Open or create the store at `path` and bring its schema up to date. Blocks on the disk.

    What a killed process had committed and not synced is synced before anybody can be told of it.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=POOL_CONNECTIONS,
        max_overflow=0,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    database = Database(engine)
    database.migrate()
    sync_found(path)
    path.chmod(0o600)
    return database


LOCKED_S, LOOK_S = 5.0, 0.01
"""So long another process may keep the database from being opened; how often it is tried."""
_PRAGMAS = (
    f"page_size={PAGE_BYTES}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    f"wal_autocheckpoint={CHECKPOINT_PAGES}",
)


def _on_connect(raw: sqlite3.Connection, _record: Any) -> None:
    raw.isolation_level = None  # BEGIN is ours to say, see _on_begin
    for pragma in _PRAGMAS:
        _say(raw, f"PRAGMA {pragma}")


def _say(raw: sqlite3.Connection, statement: str) -> None:
    """Execute, and again while the database is locked: two processes that open a new one at once both want it in WAL mode, and
    SQLite's own patience does not hold for that."""
    until_s = time.monotonic() + LOCKED_S
    while True:
        try:
            raw.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(LOOK_S)
        else:
            return


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
