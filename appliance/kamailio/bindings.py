"""Registrations on disk: what Kamailio loads when it starts, written by the journal's process alone.

usrloc keeps bindings in memory and, in its read-only mode (db_mode 4), loads a copy of the table `location` at start and never
writes.
SIP workers put the number whose bindings changed into a queue; the process that empties it reads the bindings as they are then
and writes them, WAL with `synchronous=FULL`, all that wait in one transaction. So no registration waits for a disk, none is
refused because of one, and what was answered 50 ms and one fsync ago survives kill -9 and a power cut.

A phone that only refreshes what it has need not be written each time: a row is written with `LEASE_S` on top of its expiry, and
refreshes within `FRESH_S` of that go unwritten, as the row still outlives them. At the next start a row is given the time that
the phone was last granted, no more: a living phone refreshes within it, a vanished one is forgotten by then.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

from appliance.kamailio.journal import RETRY_S, WARN_EVERY_MS, Clock, Queues, connect, prepare_database
from appliance.kamailio.ksr import Binding

QUEUE = "bindings"
"""Name of the queue in kamailio.cfg."""

BATCH_MAX = 500
"""Numbers written in one transaction: some 20 ms, so that the call journal's next turn is never far."""

CLEAN_EVERY_S = 60
"""How often expired rows are deleted."""

LEASE_S = 7_200
FRESH_S = 3_600
"""LEASE_S - FRESH_S is the longest registration that is granted (`max_expires` in kamailio.cfg): whatever a refresh within
FRESH_S is granted, the row on disk ends later."""

SCHEMA = (
    # Columns, types and version as in Kamailio 5.6's db_sqlite/usrloc-create.sql; times are numbers (usrloc expires_type 1).
    # granted_s is ours: what the phone was last granted.
    """CREATE TABLE IF NOT EXISTS location (
        id INTEGER PRIMARY KEY NOT NULL,
        ruid VARCHAR(64) DEFAULT '' NOT NULL,
        username VARCHAR(64) DEFAULT '' NOT NULL,
        domain VARCHAR(64) DEFAULT NULL,
        contact VARCHAR(512) DEFAULT '' NOT NULL,
        received VARCHAR(128) DEFAULT NULL,
        path VARCHAR(512) DEFAULT NULL,
        expires BIGINT DEFAULT 0 NOT NULL,
        q REAL DEFAULT 1.0 NOT NULL,
        callid VARCHAR(255) DEFAULT 'Default-Call-ID' NOT NULL,
        cseq INTEGER DEFAULT 1 NOT NULL,
        last_modified BIGINT DEFAULT 0 NOT NULL,
        flags INTEGER DEFAULT 0 NOT NULL,
        cflags INTEGER DEFAULT 0 NOT NULL,
        user_agent VARCHAR(255) DEFAULT '' NOT NULL,
        socket VARCHAR(64) DEFAULT NULL,
        methods INTEGER DEFAULT NULL,
        instance VARCHAR(255) DEFAULT NULL,
        reg_id INTEGER DEFAULT 0 NOT NULL,
        server_id INTEGER DEFAULT 0 NOT NULL,
        connection_id INTEGER DEFAULT 0 NOT NULL,
        keepalive INTEGER DEFAULT 0 NOT NULL,
        partition INTEGER DEFAULT 0 NOT NULL,
        granted_s INTEGER DEFAULT 0 NOT NULL,
        CONSTRAINT location_ruid_idx UNIQUE (ruid)
    )""",
    "CREATE INDEX IF NOT EXISTS location_username_idx ON location (username)",
    "CREATE INDEX IF NOT EXISTS location_expires_idx ON location (expires)",
    """CREATE TABLE IF NOT EXISTS version (
        id INTEGER PRIMARY KEY NOT NULL,
        table_name VARCHAR(32) NOT NULL,
        table_version INTEGER DEFAULT 0 NOT NULL,
        CONSTRAINT version_table_name_idx UNIQUE (table_name)
    )""",
    "INSERT OR IGNORE INTO version (table_name, table_version) VALUES ('version', 1), ('location', 9)",
)

_COLUMNS = (
    "ruid, username, contact, received, path, expires, q, callid, cseq, last_modified, flags, cflags,"
    " user_agent, socket, methods, instance, reg_id, granted_s"
)
_INSERT = f"INSERT OR REPLACE INTO location ({_COLUMNS}) VALUES ({', '.join('?' * 18)})"  # noqa: S608 - names of ours

Row = tuple[str | int | float | None, ...]


class Source(Protocol):
    """Where bindings are read: Kamailio's memory."""

    def bindings(self, aor: str) -> list[Binding]: ...


def aor_of(number: str) -> str:
    """Address of record of an extension. The domain is not looked at (usrloc use_domain=0): a site has one."""
    return f"sip:{number}@kyusai.invalid"


def prepare(path: Path, load: Path) -> str:
    """Before the fork: make the file usable and copy it to `load`, which usrloc reads. A file that usrloc cannot open keeps
    Kamailio from starting, so that one lies in the run folder and is made anew each time. Blocks. Gives what was wrong
    with the old file, which is set aside, or "". Raises when `load` cannot be made."""
    fault = prepare_database(path, SCHEMA, "location")
    for suffix in ("", "-wal", "-shm"):
        load.with_name(load.name + suffix).unlink(missing_ok=True)
    with closing(sqlite3.connect(load, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous=OFF")
        for statement in SCHEMA:
            copy.execute(statement)
        load.chmod(0o600)
        try:
            rows = _all_rows(path)
        except sqlite3.Error as error:
            return fault or str(error)
        copy.execute("BEGIN")
        copy.executemany(_INSERT, rows)
        copy.execute("COMMIT")
    return fault


def _all_rows(path: Path) -> list[Row]:
    """Live rows, each with no more time left than its phone was last granted."""
    now_s = int(time.time())
    columns = _COLUMNS.replace(" expires,", f" min(expires, {now_s} + granted_s),")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)) as database:
        query = f"SELECT {columns} FROM location WHERE expires > ?"  # noqa: S608 - names of ours
        return database.execute(query, (now_s,)).fetchall()


def row_of(number: str, one: Binding) -> Row:
    """A binding as usrloc wants to find it."""
    return (
        one.ruid,
        number,
        one.contact,
        one.received or None,
        one.path or None,
        one.expires_s + LEASE_S,
        -1.0 if one.q < 0 else one.q / 1000,
        one.call_id,
        one.cseq,
        one.modified_s,
        one.flags,
        one.cflags,
        one.user_agent[:255],
        one.socket or None,
        one.methods,
        one.instance or None,
        one.reg_id,
        max(one.expires_s - one.modified_s, 0),
    )


class Writer:
    """The reading end of the queue, in the one process that writes the file."""

    def __init__(
        self, path: Path, queues: Queues, source: Source, warn: Callable[[str], None], clock: Clock
    ) -> None:
        self._path = path
        self._queues = queues
        self._source = source
        self._warn = warn
        self._clock = clock
        self._database: sqlite3.Connection | None = None
        self._pending: dict[str, None] = {}
        self._retry_ms = self._warn_ms = 0
        self._clean_ms = clock.mono_ms() + CLEAN_EVERY_S * 1000

    def tick(self) -> int:
        """Write the bindings of the numbers that wait; gives how many numbers. Blocks on disk. Never raises."""
        self._fill()
        now_ms = self._clock.mono_ms()
        clean = now_ms >= self._clean_ms
        if now_ms < self._retry_ms or not (self._pending or clean):
            return 0
        numbers = list(self._pending)[:BATCH_MAX]
        try:
            self._write(numbers, clean)
        except sqlite3.Error as error:
            self._fail(now_ms, error)
            return 0
        if clean:
            self._clean_ms = now_ms + CLEAN_EVERY_S * 1000
        for number in numbers:
            del self._pending[number]
        return len(numbers)

    def _fill(self) -> None:
        while len(self._pending) < BATCH_MAX:
            item = self._queues.take(QUEUE)
            if item is None:
                return
            self._pending[item[0]] = None

    def _write(self, numbers: Iterable[str], clean: bool) -> None:
        if self._database is None:
            self._database = connect(self._path)
            for statement in SCHEMA:
                self._database.execute(statement)
        now_s = self._clock.wall_ms() // 1000
        rows: list[Row] = []
        gone: list[tuple[str]] = []
        for number in numbers:
            gone.append((number,))
            live = (one for one in self._source.bindings(aor_of(number)) if one.expires_s > now_s)
            rows.extend(row_of(number, one) for one in live)
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany("DELETE FROM location WHERE username = ?", gone)
            self._database.executemany(_INSERT, rows)
            if clean:
                self._database.execute("DELETE FROM location WHERE expires <= ?", (now_s,))
            self._database.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise

    def _fail(self, now_ms: int, error: sqlite3.Error) -> None:
        if now_ms >= self._warn_ms:
            self._warn_ms = now_ms + WARN_EVERY_MS
            self._warn(
                f"bindings: {self._path} cannot be written ({error}); registrations are served from memory"
            )
        self._retry_ms = now_ms + int(RETRY_S * 1000)
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None


def saved(path: Path) -> list[tuple[str, str]]:
    """(number, URI that the phone is reached at) of every binding on disk. Blocks. Empty when the file cannot be read."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)) as database,
    ):
        return database.execute("SELECT username, coalesce(received, contact) FROM location").fetchall()
    return []
