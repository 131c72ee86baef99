"""What telephones set by feature code and what groups remember: in shared memory for all workers, on disk over restarts.

An entry is a text under a key ("set:201"). A worker that changes one writes it to the htable and puts its key into a queue; the
journal's process empties the queue and writes entries as they are then, WAL with `synchronous=FULL`. That process also reads
the file back into the htable when Kamailio starts. Every change makes the generation grow, which is all that a call looks at as
long as nobody at the site has set anything: each worker keeps what it has read until the generation is another one.

A file that cannot be written delays nothing: entries stay in memory, and the write is tried again.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

from appliance.kamailio.journal import RETRY_S, WARN_EVERY_MS, Clock, Queues, connect, prepare_database

TABLE = "kept"
"""Name of the htable and of the queue in kamailio.cfg."""

GENERATION = "generation"
"""Name of the htable of counters; the entry of that name counts changes of `TABLE`."""

FILE = "kept.sqlite"
"""In the state folder."""

BATCH_MAX = 500
"""Entries written in one transaction."""

SCHEMA = ("CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",)


class Tables(Protocol):
    """Kamailio's shared tables and queues."""

    def look(self, table: str, key: str) -> str: ...
    def keep(self, table: str, key: str, value: str) -> None: ...
    def forget(self, table: str, key: str) -> None: ...
    def count(self, table: str, key: str) -> int: ...
    def queue(self, name: str, key: str, value: str) -> None: ...


class Kept:
    """One worker's sight of the entries. `refresh` once for each call."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known: dict[str, str] = {}
        self.generation = ""
        self.empty = True
        """Nobody at the site has set anything: no entry needs to be asked for."""

    def refresh(self) -> None:
        """Look whether anything was changed since the last time; one read of shared memory."""
        generation = self._tables.look(GENERATION, TABLE)
        if generation != self.generation:
            self.generation = generation
            self.empty = generation in ("", "0")
            self._known.clear()

    def get(self, key: str) -> str:
        """An entry as of the last `refresh`, "" when there is none."""
        if self.empty:
            return ""
        value = self._known.get(key)
        if value is None:
            value = self._known[key] = self._tables.look(TABLE, key)
        return value

    def put(self, key: str, value: str) -> None:
        """Change an entry for all workers; "" takes it away."""
        if value:
            self._tables.keep(TABLE, key, value)
        else:
            self._tables.forget(TABLE, key)
        self._tables.count(GENERATION, TABLE)
        self._tables.queue(TABLE, key, "1")
        self.refresh()


class Writer:
    """The one process that writes the file. `load` once, then `tick`."""

    def __init__(
        self, path: Path, tables: Tables, queues: Queues, warn: Callable[[str], None], clock: Clock
    ) -> None:
        self._path = path
        self._tables = tables
        self._queues = queues
        self._warn = warn
        self._clock = clock
        self._database: sqlite3.Connection | None = None
        self._pending: dict[str, None] = {}
        self._retry_ms = self._warn_ms = 0

    def load(self) -> int:
        """Put what the file holds into shared memory; gives how much. Blocks on disk. A key that somebody has set since
        Kamailio started stays as it is."""
        fault = prepare_database(self._path, SCHEMA, "kept")
        if fault:
            self._warn(f"kept: the old file cannot be used ({fault}); it is set aside and a new one begun")
        rows: list[tuple[str, str]] = []
        with suppress(sqlite3.Error), closing(connect(self._path)) as database:
            rows = database.execute("SELECT key, value FROM kept").fetchall()
        for key, value in rows:
            if not self._tables.look(TABLE, key):
                self._tables.keep(TABLE, key, value)
        if rows:
            self._tables.count(GENERATION, TABLE)
        return len(rows)

    def tick(self) -> int:
        """Write the entries that wait; gives how many. Blocks on disk. Never raises."""
        for key, _ in self._queues.take_all(TABLE, BATCH_MAX):
            self._pending[key] = None
        now_ms = self._clock.mono_ms()
        if not self._pending or now_ms < self._retry_ms:
            return 0
        keys = list(self._pending)[:BATCH_MAX]
        try:
            self._write(keys)
        except sqlite3.Error as error:
            self._fail(now_ms, error)
            return 0
        for key in keys:
            del self._pending[key]
        return len(keys)

    def _write(self, keys: list[str]) -> None:
        if self._database is None:
            self._database = connect(self._path)
            self._database.execute(SCHEMA[0])
        values = [(key, self._tables.look(TABLE, key)) for key in keys]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany("DELETE FROM kept WHERE key = ?", [(key,) for key in keys])
            self._database.executemany(
                "INSERT INTO kept (key, value) VALUES (?, ?)", [row for row in values if row[1]]
            )
            self._database.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise

    def _fail(self, now_ms: int, error: sqlite3.Error) -> None:
        if now_ms >= self._warn_ms:
            self._warn_ms = now_ms + WARN_EVERY_MS
            self._warn(f"kept: {self._path} cannot be written ({error}); what telephones set is in memory")
        self._retry_ms = now_ms + int(RETRY_S * 1000)
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
