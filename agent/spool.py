"""The spool: what must reach the centre, on disk before anybody else hears of it (SQLite, WAL, synchronous=FULL).

A CDR, the journal position it came from and the call's document move in one transaction, so that after a crash at any
point a call is either still to be read or already there, never both and never neither. Records get the next number of
the site's sequence and the next link of its hash chain here. A record leaves only by `settle`, with the centre's word, or
in the transaction that brings the event which tells of it (`record_retain`, `spool_give_up`).

One process owns the file (`spool_files.open_spool` takes the lock). Every method blocks on disk and may be called
from any thread; each is one transaction and raises a `SpoolError` with nothing half done.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import rechain, spool_doubt
from agent.cdr_fields import utc_text
from agent.records import NewRecord, Settlement
from agent.spool_chain import (
    FAR,
    RECORD_COLUMNS,
    Chain,
    chain_of,
    decode_row,
    is_noted,
    is_summed,
    set_chain,
)
from agent.spool_errors import SpoolDamaged, SpoolError, SpoolFull, Unsound, lossy_text, spool_error
from agent.spool_reserve import Reserve
from cloudsync.wire import GENESIS_HASH, Priority, RecordText, canonical_json, chain_text

WAITING = "waiting"
PARKED = "parked"
DAMAGED_REASON = "damaged on the box's disk"
"""Why a record is parked whose hash no longer fits what is stored of it."""
BUSY_MS = 5_000
"""How long a statement waits for a lock. The spool has one user; only a person's sqlite3 shell can be in the way."""
WAL_KEPT_BYTES = 16 * 1024 * 1024
"""The write-ahead log shrinks back to this after a burst."""
_INSERT = (
    f"INSERT INTO record ({RECORD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"  # noqa: S608
)
_PUT_BACK = f"INSERT OR IGNORE INTO record ({RECORD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_SELECT = f"SELECT {RECORD_COLUMNS} FROM record"  # noqa: S608
_IN_ORDER = f"{_SELECT} WHERE state = 'waiting' AND seq < ? ORDER BY priority, seq LIMIT ?"
_URGENT = (
    f"{_SELECT} WHERE state = 'waiting' AND priority = {Priority.EMERGENCY} AND seq < ? ORDER BY seq LIMIT ?"
)
_WAITS = "SELECT seq FROM record NOT INDEXED WHERE state = 'waiting' AND seq < ? LIMIT 1"
_RECENT = (  # a few rows at the end of the table, which the index would have to be read through for
    f"{_SELECT} NOT INDEXED WHERE state = 'waiting' AND seq >= ? AND seq < ? ORDER BY priority, seq LIMIT ?"
)
_TABLES = (
    (f"{RECORD_COLUMNS}, state, reason", "record"),
    ("name, value", "cursor"),
    ("call, doc", "open_call"),
    (
        "id, call, path, sha256, cipher_sha256, bytes, started_utc, duration_s, format, state, reason, uploaded_bytes",
        "recording",
    ),
)
_NO_TEXT = "Could not decode to UTF-8"
"""How Python's sqlite3 puts it."""


@dataclass(frozen=True, slots=True)
class Depth:
    """What is in the spool. oldest_utc: creation of the oldest waiting record, "" for none."""

    waiting: int
    parked: int
    oldest_utc: str
    next_seq: int


class Spool:
    """An open spool. `path`: its file; connect with `spool_files.open_spool`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._records: int | None = (
            None  # counted once: a count of a million takes the lock for a tenth of a second
        )
        self._counted = 0
        """SQLite's own number of the file's state then; a commit of another connection's changes it, one of this one does not."""
        self._reserve = Reserve(path)
        self._reserve.keep()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self._db.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")

    def close(self) -> None:
        """Close the file. The spool cannot be used afterwards."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed and synced when the block ends; rolled back when it raises."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._rollback()
                raise self._error(error) from error
            except BaseException:
                self._rollback()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for reading; sqlite3's errors become SpoolErrors."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise self._error(error) from error

    def _error(self, error: sqlite3.Error) -> SpoolError:
        """What it means. Damage is noted for whoever opens the spool next. A row with text that is none (a flipped bit) is read
        from now on, for its hash to show what it is; whoever asks again gets it."""
        found = spool_error(self.path, error)
        if isinstance(found, SpoolDamaged):
            spool_doubt.leave(self.path, str(error))
        elif _NO_TEXT in str(error):
            self._db.text_factory = lossy_text
        return found

    def look_over(self) -> None:
        """Raise SpoolDamaged unless the spool's own tables and values are there and can be read."""
        with self.reading() as db:
            db.text_factory = lossy_text
            try:
                for columns, table in _TABLES:
                    db.execute(f"SELECT {columns} FROM {table} LIMIT 0")  # noqa: S608
            except sqlite3.OperationalError as error:
                if "no such" not in str(error):
                    raise
                raise Unsound(str(error)) from error
            sure = rechain.place_of(db) is None and not chain_of(db).unsure_from
            next_seq, last_hash, _ = chain_of(db)
            last = db.execute(f"{_SELECT} ORDER BY seq DESC LIMIT 1").fetchone()
            record = decode_row(last) if last and sure and last[0] + 1 == next_seq else None
            if (last and last[0] >= next_seq) or (record and record.hash != last_hash):
                raise Unsound(f"the sequence stands at {next_seq}, which does not fit record {last[0]}")
            db.text_factory = str

    def number_problem(self) -> str:
        """Why the next number, or the hash that goes with it, cannot be believed; "" when it can."""
        with self.reading() as db:
            db.text_factory = lossy_text
            summed = is_summed(db)
            db.text_factory = str
        return "" if summed else "where the sequence stands is not what was written"

    def doubt_numbers(self) -> None:
        """Let the centre say where the sequence goes on. What is here proves its own number by its hash, and keeps it."""
        with self.transaction() as db:
            if rechain.place_of(db) is not None:  # it is being asked already
                return
            (last,) = db.execute("SELECT max(seq) FROM record WHERE seq < ?", (FAR,)).fetchone()
            following = max(last or 0, 0) + 1
            unsure_from = chain_of(db).unsure_from if is_summed(db) and is_noted(db) else 0
            set_chain(db, Chain(following, GENESIS_HASH, min(unsure_from or following, following)))

    def look_for_stranded(self) -> None:
        """Raise SpoolDamaged when a record waits to which the index does not lead. For a moment at which `waiting` gives none."""
        if not self.depth().waiting:
            return
        with self.reading() as db:
            below = chain_of(db).sure_below
            by_table = db.execute(_WAITS, (below,)).fetchone()
            if by_table and not db.execute(_IN_ORDER, (below, 1)).fetchone():
                raise Unsound(f"the index does not lead to record {by_table[0]}, which waits")

    def _rollback(self) -> None:
        self._records = None
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def append(
        self,
        records: Sequence[NewRecord] = (),
        *,
        cursors: Mapping[str, str] | None = None,
        calls: Mapping[str, str | None] | None = None,
    ) -> list[RecordText]:
        """Write records, cursors and call documents (JSON; None deletes) together. Gives the records that are new:
        one whose id is already in the spool is left out and uses up no number."""
        with self.transaction() as db:
            added = self.add_records(db, records)
            if cursors:
                db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", cursors.items())
            for call, doc in (calls or {}).items():
                if doc is None:
                    db.execute("DELETE FROM open_call WHERE call = ?", (call,))
                else:
                    db.execute("INSERT OR REPLACE INTO open_call VALUES (?, ?)", (call, doc))
        return added

    def add_records(self, db: sqlite3.Connection, records: Sequence[NewRecord]) -> list[RecordText]:
        """`append`'s records alone, within the caller's transaction."""
        added = number(db, records)
        if self._records is not None:
            self._records += len(added)
        return added

    def next_seq(self, db: sqlite3.Connection) -> int:
        """The next record's number, within the caller's transaction."""
        return chain_of(db).next_seq

    def chain(self) -> Chain:
        """Where the sequence stands."""
        with self.reading() as db:
            return chain_of(db)

    def rechain(self, next_seq: int, last_hash: str, *, everything: bool = False) -> None:
        """Give the records of which the numbers are unsure (or `everything` here, parked ones too) new ones from
        `next_seq` on, linked to `last_hash`, in their present order; there is no doubt afterwards. Numbers that other
        records here have are not given again. Damaged records keep out of the sequence. A transaction for each slice."""
        self.begin_rechain(next_seq, last_hash, everything=everything)
        while self.rechain_some():
            pass

    def begin_rechain(self, next_seq: int, last_hash: str, *, everything: bool = False) -> None:
        """The beginning of `rechain`; go on with `rechain_some`."""
        with self.transaction() as db:
            rechain.begin(db, next_seq, last_hash, everything=everything)

    def rechain_some(self) -> int:
        """The next slice; gives how many records it had, 0 when there is nothing left to do."""
        with self.transaction() as db:
            return rechain.step(db)

    @property
    def rechaining(self) -> bool:
        """Whether `rechain` has begun and not ended, in this process or in one that died."""
        with self.reading() as db:
            return rechain.place_of(db) is not None

    def waiting(self, limit: int, *, newest: int = 0) -> list[RecordText]:
        """Up to `limit` records that may be sent, most urgent first, then in sequence. One that was damaged on disk is
        parked on the way, so that it never holds up the rest.

        newest: of all but emergencies, the newest so many numbers come first, and never together with older ones, the
        history behind them."""
        with self.reading() as db:
            chain = chain_of(db)
            below = chain.sure_below
            rows: list[Any] = []
            if newest:
                rows = db.execute(_URGENT, (below, limit)).fetchall()
                rows = rows or db.execute(_RECENT, (chain.next_seq - newest, below, limit)).fetchall()
            rows = rows or db.execute(_IN_ORDER, (below, limit)).fetchall()
        records = [(row[0], decode_row(row)) for row in rows]
        spoilt = [seq for seq, record in records if record is None]
        if spoilt:
            with self.transaction() as db:
                for seq in spoilt:
                    _park(db, "seq", seq, DAMAGED_REASON)
        return [record for _, record in records if record is not None]

    def settle(self, settlement: Settlement) -> None:
        """Do to each record what the centre's answer means: delete or park. On a full disk the reserve is used: only
        so can it become less full."""
        try:
            self._settle(settlement)
        except SpoolFull:
            if not self._reserve.give_back():
                raise
            self._settle(settlement)
        else:
            self._reserve.keep()

    def _settle(self, settlement: Settlement) -> None:
        with self.transaction() as db:
            gone = db.executemany("DELETE FROM record WHERE id = ?", [(id_,) for id_ in settlement.delete])
            if self._records is not None:
                self._records -= max(gone.rowcount, 0)
            for id_, reason in settlement.park.items():
                _park(db, "id", id_, reason)

    def put_back(self, records: Sequence[RecordText]) -> list[int]:
        """Let records wait again that the centre had acknowledged and lost; gives the numbers of those that now do. What is in
        the spool under their number or id stays as it is."""
        with self.transaction() as db:
            next_seq = chain_of(db).next_seq
            back = [
                record.seq
                for record in records
                if record.seq < next_seq and db.execute(_PUT_BACK, record).rowcount == 1
            ]
        if self._records is not None:
            self._records += len(back)
        return back

    def forget(self, db: sqlite3.Connection, seqs: Sequence[int]) -> None:
        """Delete records that the centre does not have, within the caller's transaction, which tells of them."""
        gone = db.executemany("DELETE FROM record WHERE seq = ?", [(seq,) for seq in seqs])
        if self._records is not None:
            self._records -= max(gone.rowcount, 0)

    def retry_parked(self) -> int:
        """Let all parked records wait again, but for damaged ones; gives how many."""
        with self.transaction() as db:
            query = "UPDATE record SET state = 'waiting', reason = '' WHERE state = 'parked' AND reason != ?"
            return db.execute(query, (DAMAGED_REASON,)).rowcount

    def parked(self, limit: int = 100) -> list[tuple[int, str, str, str]]:
        """Parked records as (seq, id, kind, reason), oldest first."""
        with self.reading() as db:
            query = "SELECT seq, id, kind, reason FROM record WHERE state = 'parked' ORDER BY seq LIMIT ?"
            return db.execute(query, (limit,)).fetchall()

    def depth(self) -> Depth:
        """How much is waiting, for status and metrics."""
        with self.reading() as db:
            (version,) = db.execute("PRAGMA data_version").fetchone()
            if self._records is None or version != self._counted:  # a person's command changed the file
                (self._records,) = db.execute("SELECT count(*) FROM record").fetchone()
                self._counted = version
            total = self._records
            (parked,) = db.execute("SELECT count(*) FROM record WHERE state = ?", (PARKED,)).fetchone()
            oldest = db.execute(
                "SELECT created_utc FROM record NOT INDEXED WHERE state = 'waiting' ORDER BY seq LIMIT 1"
            ).fetchone()
            place = rechain.place_of(db) or chain_of(db)
        return Depth(total - parked, parked, oldest[0] if oldest else "", place.next_seq)

    def cursor(self, name: str) -> str | None:
        """The value stored under `name`, None for none."""
        with self.reading() as db:
            row = db.execute("SELECT value FROM cursor WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def cursor_json(self, name: str) -> Any:
        """The JSON value stored under `name`, None for none and for one that cannot be read any more."""
        try:
            return json.loads(self.cursor(name) or "null")
        except ValueError:
            return None

    def open_calls(self) -> dict[str, str]:
        """All call documents (JSON) by call."""
        with self.reading() as db:
            return dict(db.execute("SELECT call, doc FROM open_call").fetchall())


def number(db: sqlite3.Connection, records: Sequence[NewRecord]) -> list[RecordText]:
    """Give records the next numbers and write them, within the caller's transaction; gives those that are new."""
    chain = chain_of(db)
    next_seq, last_hash = chain.next_seq, chain.last_hash
    added = []
    for new in records:
        record = chain_text(
            last_hash,
            seq=next_seq,
            record_id=new.id,
            kind=str(new.kind),
            priority=new.priority,
            created_utc=utc_text(new.created_wall_ms),
            boot_id=new.boot_id,
            text=canonical_json(new.body),
        )
        if not insert_row(db, record):
            continue
        next_seq, last_hash = next_seq + 1, record.hash
        added.append(record)
    if added:
        set_chain(db, Chain(next_seq, last_hash, chain.unsure_from))
    return added


def insert_row(db: sqlite3.Connection, record: RecordText) -> bool:
    """Insert a finished record within the caller's transaction; False when its id is there already."""
    return db.execute(_INSERT, record).rowcount == 1


def _park(db: sqlite3.Connection, column: str, key: object, reason: str) -> None:
    db.execute(f"UPDATE record SET state = 'parked', reason = ? WHERE {column} = ?", (reason, key))  # noqa: S608
