"""Opens the spool's file: one owner, pages checked, a damaged file set aside with all that can be read saved from it.

A damaged spool is never overwritten and never silently begun anew. Every record whose hash still fits goes into a new
file, together with an event that tells the centre how many there were; when that file is complete and synced the
damaged one is renamed to `spool.sqlite.damaged-<time>` and the new one takes its place. A power cut at any step is
taken up where it happened: a file `.rebuilt` is complete by its name, anything unfinished is made anew. The new spool
may not know where the site's sequence goes on; then the centre tells it (`Spool.rechain`).

The log beside the file is looked at before SQLite reads it, which would take damage in it for its end (`spool_wal`). A damaged
one is laid over a copy of the file, whole pages alone, and what can be read of that is saved; both stay as they were found.
"""

import fcntl
import mmap
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import rechain, spool_doubt, spool_pages, spool_schema, spool_wal
from agent.cdr_fields import utc_text
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool import PARKED, Spool, insert_row
from agent.spool_chain import CHAIN, FAR, Chain, chain_of, decode_row, set_chain
from agent.spool_errors import SpoolDamaged, SpoolLocked, Unsound, locked, lossy_text, spool_error
from agent.spool_reserve import RESERVE_SUFFIX
from appliance.sqlite_sync import sync_found
from cloudsync.wire import Priority, RecordKind, RecordText

LOCK_SUFFIX = ".lock"
REBUILT_SUFFIX = ".rebuilt"
PATCHED_SUFFIX = ".patched"
_COMPANIONS = ("-wal", "-shm", "")
"""The main file moves last: as long as it is there the exchange is not finished."""
_SMALL_TABLES = ("cursor", "open_call", "recording")
_ROW = "seq, id, kind, priority, created_utc, boot_id, body, prev_hash, hash, state, reason"
_ROW_COLUMNS = 11
_NAME_SAFE = {ord(":"): None, ord("-"): None, ord("."): None}


@dataclass(frozen=True, slots=True)
class SetAside:
    """What became of a damaged spool. problem: what SQLite said; saved, lost: records; lost counts rows seen unreadable."""

    path: Path
    problem: str
    saved: int
    lost: int


@dataclass(slots=True)
class OpenedSpool:
    """An open spool and the lock that makes it ours. set_aside: a damaged one was found, None when all was well. doubted: why its
    next number is asked for at the centre though all else is well, "" where it is not."""

    spool: Spool
    set_aside: SetAside | None = None
    doubted: str = ""
    _lock: int = field(default=-1, repr=False)

    def close(self) -> None:
        """Close the spool and let go of the lock."""
        self.spool.close()
        os.close(self._lock)


def open_spool(path: Path, now: Moment) -> OpenedSpool:
    """Open or create the spool at `path`. now: names a damaged file that is set aside, dates the event about it.

    Blocks (all pages are read: some seconds for a million records). Raises SpoolLocked when another agent holds it,
    SpoolError when the folder or the disk cannot be used.
    """
    lock = _take_lock(path)
    try:
        _finish_exchange(path, now)
        found = None
        log = _log(path)
        doubted = log.problem
        try:
            problem = doubted if log.found is spool_wal.Found.DAMAGED else _problem(path)
            spool = _opened(path) if problem is None else None
        except SpoolDamaged as damaged:
            problem, spool = damaged.message, None
        if spool is None:
            found, doubted = _rebuild(path, problem or "", now, log), ""
            _finish_exchange(path, now)
            spool = _opened(path)
        doubted = doubted or spool.number_problem()
        if doubted:
            spool.doubt_numbers()
        sync_found(path)
        return OpenedSpool(spool, found, doubted, lock)
    except sqlite3.Error as error:
        os.close(lock)
        raise spool_error(path, error) from error
    except BaseException:
        os.close(lock)
        raise


def _log(path: Path) -> spool_wal.Log:
    """The log that a killed agent left beside the file. Raises OSError."""
    try:
        with path.open("rb") as stream, _beside(path, "-wal").open("rb") as wal:
            page_bytes = (
                spool_pages.page_bytes(stream.read(spool_pages.HEADER_BYTES)) or spool_schema.PAGE_BYTES
            )
            if os.fstat(wal.fileno()).st_size:
                with mmap.mmap(wal.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    return spool_wal.look(data, page_bytes)
    except FileNotFoundError:
        pass
    return spool_wal.Log(spool_wal.Found.WHOLE, spool_schema.PAGE_BYTES)


def damage_in_log(path: Path) -> str:
    """What is wrong with the log that a dead agent left: whoever opened the spool now would have SQLite end it there. "" for
    nothing, and while an agent is at work. Blocks; never raises."""
    log = _left_log(path)
    return log.problem if log is not None and log.found is spool_wal.Found.DAMAGED else ""


def unsure_log(path: Path) -> str:
    """Why the next number in the spool is in doubt until the agent has opened it: the log that a dead one left is not whole. ""
    where it is, and while an agent is at work. Blocks; never raises."""
    log = _left_log(path)
    return log.problem if log is not None and log.found is not spool_wal.Found.WHOLE else ""


def _left_log(path: Path) -> spool_wal.Log | None:
    """The log that a dead agent left; None while one is at work."""
    try:
        lock = _take_lock(path)
    except (SpoolLocked, OSError):
        return None
    try:
        return _log(path)
    except OSError:
        return None
    finally:
        os.close(lock)


@contextmanager
def _patched(path: Path, log: spool_wal.Log) -> Iterator[Path]:
    """The file to save from: the one at `path`, or a copy with all pages that are whole in a damaged log. Raises OSError."""
    if log.found is not spool_wal.Found.DAMAGED:
        yield path
        return
    patched = _beside(path, PATCHED_SUFFIX)
    try:
        _remove(patched)
        _create_private(patched)
        shutil.copyfile(path, patched)
        pages, count = spool_wal.newest_pages(log)
        with patched.open("r+b") as stream, _beside(path, "-wal").open("rb") as wal:
            for page, begin in pages.items():
                wal.seek(begin)
                stream.seek((page - 1) * log.page_bytes)
                stream.write(wal.read(log.page_bytes))
            if count:
                stream.truncate(count * log.page_bytes)
        yield patched
    finally:
        _remove(patched)


def _remove(path: Path) -> None:
    for suffix in _COMPANIONS:
        _beside(path, suffix).unlink(missing_ok=True)


def _opened(path: Path) -> Spool:
    """The spool as it is. Raises SpoolDamaged, sqlite3.Error."""
    _create_private(path)
    spool_schema.migrate(str(path))
    spool = Spool(path)
    try:
        spool.look_over()  # reads: only now has SQLite looked at what a killed agent left
    except BaseException:
        spool.close()
        raise
    return spool


def _take_lock(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(_beside(path, LOCK_SUFFIX), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise locked(path) from None
    return lock


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _create_private(path: Path) -> None:
    """An empty file is a new database; made here so that it is never readable by others."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _problem(path: Path) -> str | None:
    """What is wrong with the file's pages, None when nothing is. Raises sqlite3.Error when it cannot be said."""
    if not path.exists():
        return None
    doubt = spool_doubt.read(path)
    if doubt:
        return doubt
    try:
        with closing(sqlite3.connect(path)) as db:
            answer = db.execute("PRAGMA quick_check(5)").fetchall()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if answer == [("ok",)] else "; ".join(str(row[0]) for row in answer)


def _finish_exchange(path: Path, now: Moment) -> None:
    """Put a complete rebuilt file in the damaged one's place, keeping that one."""
    rebuilt = _beside(path, REBUILT_SUFFIX)
    if not rebuilt.exists():
        return
    aside = _aside(path, now)
    spool_doubt.clear(path)
    for suffix in _COMPANIONS:
        if _beside(path, suffix).exists():
            _beside(path, suffix).rename(_beside(aside, suffix))
    rebuilt.rename(path)
    sync_folder(path.parent)


def _aside(path: Path, now: Moment) -> Path:
    return _beside(path, f".damaged-{utc_text(now.wall_ms).translate(_NAME_SAFE)}")


def _rebuild(path: Path, problem: str, now: Moment, log: spool_wal.Log) -> SetAside:
    """Write all that can be read of the damaged file into a new one, which is complete once it has its name."""
    unfinished = _beside(path, ".unfinished")
    _remove(unfinished)
    _create_private(unfinished)
    spool_schema.migrate(str(unfinished))
    spool = Spool(unfinished)
    try:
        with _patched(path, log) as source:
            saved, lost = _save(source, spool)
        if log.found is not spool_wal.Found.WHOLE:
            spool.doubt_numbers()
        found = SetAside(_aside(path, now), problem, saved, lost)
        spool.append([_event(found, now)])
    finally:
        spool.close()
    _beside(unfinished, RESERVE_SUFFIX).unlink(missing_ok=True)
    unfinished.rename(_beside(path, REBUILT_SUFFIX))
    sync_folder(path.parent)
    return found


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut. Blocks. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _event(found: SetAside, now: Moment) -> NewRecord:
    """What the centre is told of a damaged spool."""
    body = {
        "event": "spool_damaged",
        "problem": found.problem[:500],
        "saved": found.saved,
        "lost": found.lost,
        "file": found.path.name,
    }
    id_ = f"event-spool-{now.boot_id[:8]}-{now.mono_ms}"
    return NewRecord(id_, RecordKind.EVENT, Priority.CDR, now.wall_ms, now.boot_id, body)


def _save(damaged: Path, spool: Spool) -> tuple[int, int]:
    """Copy what can be read, by the tree and from the bare pages; gives the numbers of records saved and of rows seen
    that could not be. Records that had been acknowledged may come back: the centre knows them and says so."""
    saved = lost = 0
    with closing(sqlite3.connect(damaged)) as db, spool.transaction() as new:
        db.text_factory = lossy_text
        next_seq = 1
        for row in _readable_rows(db):
            record = decode_row(row[:9]) if row is not None else None
            if record is None:
                lost += 1
            elif _keep(new, record, row):
                saved += 1
                next_seq = max(next_seq, record.seq + 1)
        for row in _bare_rows(damaged):
            record = decode_row(row[:9])
            if record is not None and _keep(new, record, row):
                saved, lost = saved + 1, max(lost - 1, 0)
                next_seq = max(next_seq, record.seq + 1)
        for table in _SMALL_TABLES:
            _copy_small(db, new, table)
        if _next_seq(new) < next_seq:  # where the sequence stood was on a damaged page
            set_chain(new, Chain(next_seq, unsure_from=min(next_seq, FAR)))
    return saved, lost


def _next_seq(new: sqlite3.Connection) -> int:
    """Where the sequence stands by what was saved of it; 0 when that cannot be read."""
    try:
        rechain.place_of(new)
        return chain_of(new).next_seq
    except Unsound:
        new.execute("DELETE FROM cursor WHERE name IN (?, ?)", (CHAIN, rechain.PLACE))
        return 0


def _bare_rows(damaged: Path) -> Iterator[tuple[Any, ...]]:
    with damaged.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield from spool_pages.rows(data, _ROW_COLUMNS)


def _keep(new: sqlite3.Connection, record: RecordText, row: Any) -> bool:
    try:
        fresh = insert_row(new, record)
    except sqlite3.IntegrityError:
        fresh = False
    if not fresh:  # the same record twice: one of the damaged file's own pages showed up again
        return False
    if row[9] == PARKED:  # not covered by the hash: anything else waits
        query = "UPDATE record SET state = ?, reason = ? WHERE seq = ?"
        new.execute(query, (PARKED, str(row[10]), record.seq))
    return True


def _readable_rows(db: sqlite3.Connection) -> Iterator[Any]:
    """All record rows that can be read, None for each that cannot; comes from both ends up to a damaged page."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        try:
            for row in db.execute(f"SELECT {_ROW} FROM record NOT INDEXED ORDER BY seq {order}"):  # noqa: S608
                if row[0] in seen:
                    break
                seen.add(row[0])
                yield row
            else:
                return
        except sqlite3.DatabaseError:
            continue
    if seen:
        yield from _rows_between(db, seen)


def _rows_between(db: sqlite3.Connection, seen: set[int]) -> Iterator[Any]:
    for seq in range(min(seen), max(seen)):
        if seq in seen:
            continue
        try:
            query = f"SELECT {_ROW} FROM record NOT INDEXED WHERE seq = ?"  # noqa: S608
            row = db.execute(query, (seq,)).fetchone()
        except sqlite3.DatabaseError:
            yield None
            continue
        if row is not None:
            yield row


def _copy_small(db: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    with suppress(sqlite3.DatabaseError):  # what comes before the damage was kept
        for row in db.execute(f"SELECT * FROM {table} NOT INDEXED"):  # noqa: S608
            marks = ", ".join("?" * len(row))
            with suppress(sqlite3.DatabaseError):  # a row that is none any more
                new.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608
