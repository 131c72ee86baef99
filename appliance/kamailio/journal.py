"""The call journal: what happens to calls and registrations, as it happens, on disk before anybody bills by it.

`Journal.put` runs in SIP workers and only fills a queue in shared memory. One process of Kamailio's own (the rtimer
"journal") empties the queue every 50 ms into SQLite, WAL with `synchronous=FULL`, one transaction for all that waits: what
ended 50 ms and one fsync ago survives a power cut. Nobody else writes the file, so no lock is ever waited for.

A journal that cannot be written (disk full, damage) delays nothing: events wait in memory, at most `PENDING_MAX`, and
are counted when even that overflows. A damaged file is set aside at start and a new one begun.
"""

import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from appliance.kamailio.compact_json import write
from appliance.kamailio.journal_mark import PRUNE_EVERY_S, prune
from appliance.sqlite_sync import sync_found

QUEUE = "journal"
"""Name of the queue in kamailio.cfg."""

BATCH_MAX = 2_000
"""Events of one transaction: some 20 ms of work on a slow disk, after which the next tick goes on."""

PENDING_MAX = 50_000
"""Events kept in memory while the file cannot be written: an hour of a busy site, some 50 MB."""

RETRY_S = 1.0
"""Pause after a failed write."""

ROOM_MIN_BYTES = 256 * 1024
"""A file system with less than this has no room for a write-ahead log and its index."""

WARN_EVERY_MS = 30_000
"""A file that stays unwritable is complained about this often."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    call TEXT NOT NULL,
    event TEXT NOT NULL,
    mono_ms INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    data TEXT NOT NULL
)
"""

Event = tuple[str, str, int, int, str, str]
"""call, event, mono_ms, wall_ms, boot_id, data."""

_INSERT = "INSERT INTO event (call, event, mono_ms, wall_ms, boot_id, data) VALUES (?, ?, ?, ?, ?, ?)"


class Queues(Protocol):
    """The two ends of Kamailio's queues."""

    def put(self, queue: str, key: str, value: str) -> bool: ...
    def take(self, queue: str) -> tuple[str, str] | None: ...
    def take_all(self, queue: str, most: int) -> Iterable[tuple[str, str]]: ...


class Clock(Protocol):
    """mono_ms: CLOCK_BOOTTIME, which counts while the machine sleeps. wall_ms: milliseconds since 1970 UTC."""

    def mono_ms(self) -> int: ...
    def wall_ms(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    def mono_ms(self) -> int:
        """Milliseconds since the machine started."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wall_ms(self) -> int:
        """Milliseconds since 1970 UTC, as the machine believes."""
        return time.time_ns() // 1_000_000


class Journal:
    """The writing end in a SIP worker. Never blocks, never raises for a full queue."""

    def __init__(self, queues: Queues, clock: Clock) -> None:
        self._queues = queues
        self._clock = clock

    def put(self, event: str, call: str, data: dict[str, Any]) -> None:
        """Write down that `event` happened to `call` (its key, "" for none) now."""
        item = f"{event} {self._clock.mono_ms()} {self._clock.wall_ms()} {write(data)}"
        # A queue takes no empty key.
        self._queues.put(QUEUE, call or "-", item)


@dataclass(frozen=True, slots=True)
class Span:
    """The time between two looks at the queue, in milliseconds of both clocks: what is found was written within it."""

    since_mono: int
    since_wall: int
    until_mono: int
    until_wall: int

    def mono_ms(self, wall_ms: int) -> int:
        """Monotonic time of an event of which only the wall clock is known. The wall clock may have been set within the
        span: then the reading counts that falls within it, by the clock as it was before or as it is now."""
        before = self.since_mono + wall_ms - self.since_wall
        now = self.until_mono + wall_ms - self.until_wall
        for mono in (now, before):
            if self.since_mono <= mono <= self.until_mono:
                return mono
        return min(max(now, self.since_mono), self.until_mono)


def read_item(key: str, value: str, boot_id: str, span: Span) -> Event:
    """A queue's item as a row. Raises ValueError for one that neither `Journal.put` nor routes.cfg wrote: the latter writes
    "-" for the monotonic clock, which it cannot read, and the wall clock as seconds with a fraction."""
    event, mono, wall, data = value.split(" ", 3)
    call = "" if key == "-" else key
    if mono == "-":
        wall_ms = int(float(wall) * 1000)
        return (call, event, span.mono_ms(wall_ms), wall_ms, boot_id, data)
    return (call, event, int(mono), int(wall), boot_id, data)


def boot_id() -> str:
    """Which boot of the machine this is; monotonic times of different boots do not compare."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "unknown"


def prepare(path: Path) -> str:
    """Make the journal usable before the fork. Blocks. Gives what was wrong with the old one, which is set aside, or ""."""
    return prepare_database(path, (SCHEMA,), "event")


def prepare_database(path: Path, schema: Iterable[str], table: str) -> str:
    """Check or create a database of which this Kamailio is the only writer; see `prepare`. Never raises: a
    file that cannot be used now may be usable later, and phones are served meanwhile."""
    try:
        return _make(path, schema, table)
    except (sqlite3.Error, OSError) as error:
        fault = str(error)
    aside = path.with_name(f"{path.name}.broken-{int(time.time())}")
    with suppress(OSError):
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    with suppress(sqlite3.Error, OSError):
        _make(path, schema, table)
    return fault


def _make(path: Path, schema: Iterable[str], table: str) -> str:
    with closing(connect(path)) as database:
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise sqlite3.DatabaseError(check)
        for statement in schema:
            database.execute(statement)
        database.execute(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - a name of ours
        sync_found(path)
    path.chmod(0o600)
    return ""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes durably. Raises sqlite3.Error."""
    database = sqlite3.connect(path, timeout=0.5, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error:
        database.close()
        raise
    return database


def no_room(error: sqlite3.Error, path: Path) -> bool:
    """Whether a write failed for want of disk. SQLite says SQLITE_FULL, or an I/O error when it could not grow its log's
    index; then the file system is asked. Blocks."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return True
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < ROOM_MIN_BYTES


def _nobody(call: str, event: str, data: str) -> None:
    """Nobody else hears of events."""


class Writer:
    """The reading end of the queue, in the one process that writes the file."""

    def __init__(
        self,
        path: Path,
        queues: Queues,
        warn: Callable[[str], None],
        clock: Clock,
        boot: str,
        tap: Callable[[str, str, str], None] = _nobody,
    ) -> None:
        """tap: hears of each event (call, event, data) before it is written."""
        self._path = path
        self._queues = queues
        self._warn = warn
        self._clock = clock
        self._boot = boot
        self.tap = tap
        self._database: sqlite3.Connection | None = None
        self._pending: deque[Event] = deque(maxlen=PENDING_MAX)
        self._looked = clock.mono_ms(), clock.wall_ms()
        self._retry_ms = 0
        self._warn_ms = 0
        self._prune_ms = 0
        self._full = False
        self.lost = 0
        self._add(
            ("", "process_start", clock.mono_ms(), clock.wall_ms(), boot, json.dumps({"pid": os.getppid()}))
        )

    @property
    def full(self) -> bool:
        """Whether the last write found no room on the disk."""
        return self._full

    def tick(self) -> int:
        """Write what waits; gives how many events. Blocks on disk. Never raises."""
        self._fill()
        now_ms = self._clock.mono_ms()
        if now_ms < self._retry_ms:
            return 0
        try:
            written = self._write()
            self._full = self._full and not written
            if now_ms >= self._prune_ms:
                self._prune_ms = now_ms + PRUNE_EVERY_S * 1000
                if self._database is not None:
                    prune(self._database, self._path)
        except sqlite3.Error as error:
            self._fail(now_ms, error)
            return 0
        return written

    def _fill(self) -> None:
        mono, wall = self._clock.mono_ms(), self._clock.wall_ms()
        span, taken = Span(*self._looked, mono, wall), 0
        for key, value in self._queues.take_all(QUEUE, BATCH_MAX):
            taken += 1
            try:
                event = read_item(key, value, self._boot, span)
                self._add(event)
                self.tap(event[0], event[1], event[5])
            except (ValueError, TypeError) as error:
                self.lost += 1
                self._warn(f"journal: an item is not an event and is passed over: {error}")
        if taken < BATCH_MAX:
            self._looked = mono, wall

    def _add(self, event: Event) -> None:
        if len(self._pending) == PENDING_MAX:
            self.lost += 1
        self._pending.append(event)

    def _write(self) -> int:
        if not self._pending:
            return 0
        if self._database is None:
            self._database = connect(self._path)
            self._database.execute(SCHEMA)
        batch = list(islice(self._pending, BATCH_MAX))
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(_INSERT, batch)
            self._database.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        for _ in batch:
            self._pending.popleft()
        return len(batch)

    def _fail(self, now_ms: int, error: sqlite3.Error) -> None:
        if now_ms >= self._warn_ms:
            self._warn_ms = now_ms + WARN_EVERY_MS
            self._warn(f"journal: {self._path} cannot be written ({error}); {len(self._pending)} events wait")
        self._retry_ms = now_ms + int(RETRY_S * 1000)
        self._full = no_room(error, self._path)
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
