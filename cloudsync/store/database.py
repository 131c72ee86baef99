"""Connections and transactions. SQLite runs in WAL with `synchronous=FULL`: what was committed survives a power cut.

A `write` takes the write lock at once (BEGIN IMMEDIATE), so that nothing read inside it can be stale and no
transaction dies halfway with SQLITE_BUSY. Readers never wait.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from cloudsync.store import migrations
from cloudsync.wire import format_utc

BUSY_TIMEOUT_S = 10.0
"""How long a write waits for another process's transaction; a batch commits in milliseconds, a backup in seconds."""
POOL_CONNECTIONS = 40
"""As many as the HTTP server has worker threads, so none of them waits for a connection."""

_WRITES = "kyusai_writes"


class Database:
    """One store. Thread-safe; several processes may open the same one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._write_lock = threading.Lock() if engine.dialect.name == "sqlite" else contextlib.nullcontext()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view. Blocks on the disk only."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed and on disk when the block ends, rolled back when it raises.

        Raises sqlalchemy.exc.OperationalError after BUSY_TIMEOUT_S, or when the disk is full.
        """
        with self._write_lock, self._engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()


def open_sqlite(path: Path) -> Database:
    """Open or create the store at `path` and bring its schema up to date. Blocks on the disk."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=POOL_CONNECTIONS,
        max_overflow=0,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    database = Database(engine)
    pending = True
    while pending:
        with database.write() as connection:
            pending = migrations.apply_next(connection, format_utc(datetime.now(UTC)))
    path.chmod(0o600)
    return database


def _on_connect(raw: sqlite3.Connection, _record: Any) -> None:
    raw.isolation_level = None  # BEGIN is ours to say, see _on_begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        raw.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
