"""Copies of records that the centre has acknowledged, kept for a while: a centre that is restored from a backup has lost what it
took since, and gets it again from here (`sent_again`).

ADAPTER for one SQLite file beside the spool, with a row for each batch, packed. A copy is on the disk before its record leaves
the spool. It is a help and never a hindrance: without room, or when the file is damaged, it is let go of, and records go on.
"""

import json
import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from operator import itemgetter
from pathlib import Path

import zstandard

from agent.batch_coding import LEVEL
from agent.spool_chain import decode_row
from agent.spool_errors import SpoolDamaged, SpoolFull, SpoolUnusable, spool_error
from cloudsync.wire import RecordText

RELIEF = 0.05
"""A file that is too large is made so much smaller at once, so that not every batch deletes."""
_TABLE = """CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY AUTOINCREMENT, first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL, packed BLOB NOT NULL)"""
_INSERT = "INSERT INTO batch (first_seq, last_seq, packed) VALUES (?, ?, ?)"
_NEXT = "SELECT id, packed FROM batch WHERE id > ? AND last_seq >= ? AND first_seq <= ? ORDER BY id LIMIT 1"
_FILES = ("", "-wal", "-shm")
BUSY_S = 1.0
"""How long a statement waits for a person's shell."""
WAL_KEPT_BYTES = 1024 * 1024
"""The write-ahead log shrinks back to this."""
UNPACKED_MAX_BYTES = 64 * 1024 * 1024
"""A batch has a few megabytes; what claims more is damage."""

Runs = Sequence[tuple[int, int]]
"""Numbers from the first to the last of each run, in order."""


class Acknowledged:
    """The copies at `path`. limit_bytes: how much they may take now; 0: none are kept, and those that are there go.

    Methods block on disk, may be called from any thread and raise SpoolError, OSError. A file that is damaged or finds no room
    is gone then, and the next call begins a new one."""

    def __init__(self, path: Path, limit_bytes: Callable[[], int]) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """What the copies take, packed."""
        return self._bytes

    def keep(self, records: Sequence[RecordText]) -> None:
        """Keep a copy of records that are about to leave the spool."""
        limit_bytes = self._limit_bytes()
        if not limit_bytes:
            self.discard()
        elif records:
            packed = _packed(records)
            with self._open() as db:
                self._keep(db, records, packed, limit_bytes)

    def _keep(
        self, db: sqlite3.Connection, records: Sequence[RecordText], packed: bytes, limit_bytes: int
    ) -> None:
        numbers = [record.seq for record in records]
        too_many = self._bytes + len(packed) - limit_bytes
        db.execute("BEGIN IMMEDIATE")
        db.execute(_INSERT, (min(numbers), max(numbers), packed))
        freed = _free(db, too_many + round(limit_bytes * RELIEF)) if too_many > 0 else 0
        db.execute("COMMIT")
        self._bytes += len(packed) - freed

    def find(self, runs: Runs) -> Iterator[list[RecordText]]:
        """The copies of records whose numbers are in these runs, batch by batch, the oldest first. A copy that no longer fits its
        hash is left out; what was acknowledged twice comes twice."""
        after = 0
        while runs:
            with self._open() as db:
                row = db.execute(_NEXT, (after, runs[0][0], runs[-1][1])).fetchone()
            if row is None:
                return
            after, packed = row
            found = [record for record in _unpacked(packed) if _is_among(record.seq, runs)]
            if found:
                yield found

    def last(self) -> RecordText | None:
        """The copy with the highest number, None where there is none that can be read."""
        with self._open() as db:
            row = db.execute("SELECT packed FROM batch ORDER BY last_seq DESC LIMIT 1").fetchone()
        return max(_unpacked(row[0]), key=lambda record: record.seq, default=None) if row else None

    def mark(self) -> int:
        """What is kept from now on has this mark or a higher one."""
        with self._open() as db:
            (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
        return int(last) + 1

    def forget_below(self, mark: int) -> None:
        """Let go of everything that was there when `mark` was taken."""
        with self._open() as db:
            db.execute("DELETE FROM batch WHERE id < ?", (mark,))
            self._bytes = _total(db)

    def discard(self) -> None:
        """Let go of everything, and of the file."""
        with self._lock:
            self._discard()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            self._close()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._db is None:
                    self._db = _opened(self._path)
                    self._bytes = _total(self._db)
                yield self._db
            except sqlite3.Error as error:
                found = spool_error(self._path, error)
                if isinstance(found, SpoolDamaged | SpoolFull):
                    self._discard()
                else:
                    self._close()
                # never SpoolDamaged, for which the agent would open the spool anew: that one is well
                raise self._unusable(error) from error
            except OSError as error:
                self._close()
                raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> SpoolUnusable:
        message = f"the copies of acknowledged records {self._path} cannot be used: {error}"
        return SpoolUnusable("spool.unusable", message, path=self._path, detail=str(error))

    def _close(self) -> None:
        with suppress(sqlite3.Error):
            if self._db is not None:
                self._db.close()
        self._db = None

    def _discard(self) -> None:
        self._close()
        self._bytes = 0
        for suffix in _FILES:
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def copies_at(path: Path, seqs: Sequence[int]) -> list[RecordText]:
    """The copies of records with these numbers in the file at `path`, for a second user of it: changes nothing there. Blocks;
    never raises: what cannot be read is left out."""
    query = "SELECT packed FROM batch WHERE first_seq <= ? AND last_seq >= ? ORDER BY id"
    found: list[RecordText] = []
    with suppress(sqlite3.Error):
        address = f"{path.absolute().as_uri()}?mode=rw"  # makes no file where there is none
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as db:
            for seq in seqs:
                rows = db.execute(query, (seq, seq)).fetchall()
                found += [record for (packed,) in rows for record in _unpacked(packed) if record.seq == seq]
    return found


def _opened(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    db.execute(_TABLE)
    return db


def _total(db: sqlite3.Connection) -> int:
    (total,) = db.execute("SELECT coalesce(sum(length(packed)), 0) FROM batch").fetchone()
    return int(total)


def _free(db: sqlite3.Connection, wanted_bytes: int) -> int:
    """Delete the oldest batches until so much is won; gives how much was."""
    freed, last = 0, 0
    for last, size in db.execute("SELECT id, length(packed) FROM batch ORDER BY id"):  # noqa: B007 - used behind the loop
        freed += size
        if freed >= wanted_bytes:
            break
    db.execute("DELETE FROM batch WHERE id <= ?", (last,))
    return freed


def _packed(records: Sequence[RecordText]) -> bytes:
    plain = json.dumps(records, ensure_ascii=False, separators=(",", ":")).encode()
    return zstandard.ZstdCompressor(level=LEVEL).compress(plain)


def _unpacked(packed: bytes) -> list[RecordText]:
    """Those that are still what was hashed."""
    try:
        rows = json.loads(zstandard.ZstdDecompressor().decompress(packed, max_output_size=UNPACKED_MAX_BYTES))
    except (zstandard.ZstdError, ValueError):
        return []
    records = [decode_row(row) for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
    return [record for record in records if record is not None]


def _is_among(seq: int, runs: Runs) -> bool:
    """Whether a run has it: the last one that begins at it or before."""
    place = bisect_right(runs, seq, key=itemgetter(0)) - 1
    return place >= 0 and seq <= runs[place][1]
