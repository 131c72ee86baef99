"""Connections and transactions, on either database. What was committed survives a power cut.

On SQLite a `write` takes the write lock at once (BEGIN IMMEDIATE), so nothing read inside it can be stale. On
PostgreSQL writers run side by side: a rule that reads before it writes locks the row, or writes conditionally and
looks at the number of rows.
"""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from cloudsync.store import migrations
from cloudsync.wire import format_utc

BUSY_TIMEOUT_S = 10.0
"""How long a write waits for another transaction; a batch commits in milliseconds, a backup in seconds."""

WRITES = "kyusai_writes"
"""Execution option of a connection that is about to write."""

MIGRATION_LOCK = 0x6B797573
"""Key of the PostgreSQL lock under which one process at a time brings the schema up to date ("kyus")."""


class Database:
    """One store. Thread-safe; several processes may open the same one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(
            preserve_rowcount=True
        )  # rules look at it after inserts as well
        self.dialect = engine.dialect.name
        """"sqlite" or "postgresql"."""
        self.months_made: set[str] = set()
        """Months that are known to have a place, see `cloudsync.store.months`."""
        self._write_lock = threading.Lock() if self.dialect == "sqlite" else contextlib.nullcontext()

    @property
    def name(self) -> str:
        """Where the store is, without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view. Blocks on the disk only."""
        with self._engine.connect() as connection:
            if self.dialect == "postgresql":
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def look(self) -> Iterator[Connection]:
        """For a single statement that reads: on PostgreSQL without a transaction around it, which is two answers less to wait
        for."""
        with self._engine.connect() as connection:
            if self.dialect == "postgresql":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed and on disk when the block ends, rolled back when it raises.

        Raises sqlalchemy.exc.OperationalError after BUSY_TIMEOUT_S, or when the disk is full.
        """
        with self._write_lock, self._engine.connect() as connection:
            connection = connection.execution_options(**{WRITES: True})
            with connection.begin():
                yield connection

    def migrate(self) -> None:
        """Bring the schema up to date, a transaction for each step. Closes and raises when that fails.

        Raises KyusaiError `store.too_new`.
        """
        pending = True
        try:
            while pending:
                with self.write() as connection:
                    if self.dialect == "postgresql":
                        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                    pending = migrations.apply_next(connection, format_utc(datetime.now(UTC)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()
