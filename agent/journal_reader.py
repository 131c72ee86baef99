"""Reads Kamailio's call journal (`journal.sqlite`) from a cursor on. Read-only: the journal has one writer, not us.

Damage stays where it is: a row that cannot be read or understood is passed over and reported, the rows around it are
given. The cursor names the last row taken (number, boot, time), and that row is always left in the journal, so that a
journal that was replaced by another one is noticed instead of being skipped up to the old number.

Old rows are deleted by the writer alone, below the mark that `write_mark` leaves (`appliance.kamailio.journal_mark`).
All functions block on disk.
"""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.journal_events import JournalEvent, Kind, Moment
from agent.journal_numbers import fitting, in_a_row
from appliance.errors import KyusaiError
from appliance.sqlite_sync import sync_log

PAGE_ROWS = 500
"""Rows read at once: one spool transaction later they are safe, and memory stays flat however long the backlog."""
BUSY_S = 2.0
"""How long a read waits for the writer; in WAL mode readers do not wait, except while the journal is being recovered."""
CALL_KEY_MAX_CHARACTERS = 300
"""A longer call key (the Call-ID is the caller's choice) is shortened to its start and a hash."""
_KEY_KEPT_CHARACTERS = 200
_MS_MAX = 2**53
"""Times beyond this many milliseconds are damage, not times (JSON's safe integers end here as well)."""
Row = tuple[Any, ...]
_COLUMNS = "seq, call, event, mono_ms, wall_ms, boot_id, data"


class JournalUnreadable(KyusaiError):
    """The journal as a whole cannot be read: it is not there yet, not a database, or locked for too long."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row taken; seq 0 is the journal's beginning."""

    seq: int = 0
    boot_id: str = ""
    mono_ms: int = 0

    def to_json(self) -> str:
        """The cursor as text for the spool."""
        return json.dumps([self.seq, self.boot_id, self.mono_ms])


def cursor_from(kept: object) -> Cursor | None:
    """Inverse of `Cursor.to_json`, of the decoded value; None for what is none."""
    match kept:
        case [int(seq), str(boot_id), int(mono_ms)] if seq >= 0:
            return Cursor(seq, boot_id, mono_ms)
    return None


@dataclass(frozen=True, slots=True)
class Damage:
    """A row that was passed over, and why."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one read gave. replaced: the journal is not the one that the cursor knew; reading began anew.
    more: rows may be left."""

    events: tuple[JournalEvent, ...]
    cursor: Cursor
    damaged: tuple[Damage, ...] = field(default=())
    replaced: bool = False
    more: bool = False


def read_page(path: Path, cursor: Cursor, limit: int = PAGE_ROWS) -> Page:
    """The next rows after `cursor`. Raises JournalUnreadable; a journal that does not exist yet is an empty page."""
    if not path.exists():
        return Page((), cursor, replaced=False)
    try:
        with closing(_open(path)) as db:
            replaced = not _is_ours(db, cursor)
            start = Cursor() if replaced else cursor
            rows, damaged, end = _rows(db, start.seq, limit)
            if rows:  # a killed writer may have left rows that a power cut would take back
                sync_log(path)
    except (sqlite3.Error, OSError) as error:
        raise JournalUnreadable(
            "journal.unreadable",
            f"the call journal {path} cannot be read: {error}",
            "Calls go on. If this lasts, look at the disk; Kamailio sets a broken journal aside when it restarts.",
            path=path,
            detail=str(error),
        ) from error
    events: list[JournalEvent] = []
    for row in rows:
        parsed = _event(row)
        if isinstance(parsed, JournalEvent):
            events.append(parsed)
        else:
            damaged.append(parsed)
    end = max([start.seq, *(int(row[0]) for row in rows), *(item.seq for item in damaged)])
    return Page(
        tuple(events), _cursor_at(end, start, rows), tuple(damaged), replaced, end - start.seq >= limit
    )


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


def _is_ours(db: sqlite3.Connection, cursor: Cursor) -> bool:
    """Whether the row that the cursor names is there and the same. A cursor at a damaged row (boot "") is believed
    while the journal has numbers at least as high."""
    if cursor.seq == 0:
        return True
    if not cursor.boot_id:
        return bool(_last_seq(db) >= cursor.seq)
    for column in ("seq", "+seq"):  # by the tree; by looking through, where a number in the tree is spoilt
        query = f"SELECT boot_id, mono_ms FROM event WHERE {column} = ?"  # noqa: S608 - one of the two above
        row = db.execute(query, (cursor.seq,)).fetchone()
        if row is not None:
            return tuple(row) == (cursor.boot_id, cursor.mono_ms)
    return False


def _last_seq(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
    return int(row[0]) if row else 0


def _rows(db: sqlite3.Connection, after: int, limit: int) -> tuple[list[Row], list[Damage], int]:
    """Rows, damage, and the number up to which all has been looked at."""
    try:
        query = f"SELECT {_COLUMNS} FROM event WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
        rows = db.execute(query, (after, limit)).fetchall()
        if not in_a_row([row[0] for row in rows], after, _last_given(db)):
            return _rows_by_place(db, after, limit)
    except sqlite3.DatabaseError:
        return _rows_one_by_one(db, after, limit)
    return rows, [], int(rows[-1][0]) if rows else after


def _rows_by_place(db: sqlite3.Connection, after: int, limit: int) -> tuple[list[Row], list[Damage], int]:
    """The next rows as they lie in the table. One whose number does not fit its place is damaged: believed, a number far ahead
    would pass over all that comes until then."""
    numbers = [row[0] for row in db.execute("SELECT seq FROM event")]
    sound = fitting(numbers, _last_given(db))
    rows, damaged, end = list[Row](), list[Damage](), after
    for number, row in enumerate(db.execute(f"SELECT {_COLUMNS} FROM event")):  # noqa: S608
        if number in sound and row[0] > after:
            rows.append(row)
            end = row[0]
        elif number not in sound and end > after:
            end += 1
            damaged.append(Damage(end, f"number {row[0]} is out of place"))
        if len(rows) + len(damaged) >= limit:
            break
    return rows, damaged, end


def _last_given(db: sqlite3.Connection) -> int | None:
    """The last number that the writer gave; None where that cannot be read."""
    try:
        return _last_seq(db) or None
    except sqlite3.DatabaseError:
        return None


def _rows_one_by_one(db: sqlite3.Connection, after: int, limit: int) -> tuple[list[Row], list[Damage], int]:
    """Around a damaged page: each row by its number, up to the last number ever given."""
    rows: list[Row] = []
    damaged: list[Damage] = []
    end = max(min(after + limit, _last_seq(db)), after)
    for seq in range(after + 1, end + 1):
        try:
            query = f"SELECT {_COLUMNS} FROM event WHERE seq = ?"  # noqa: S608
            rows.extend(db.execute(query, (seq,)).fetchall())
        except sqlite3.DatabaseError as error:
            damaged.append(Damage(seq, str(error)))
    return rows, damaged, end


def _event(row: Row) -> JournalEvent | Damage:
    seq, call, event, mono_ms, wall_ms, boot_id, data = row
    number = int(seq) if isinstance(seq, int) else 0
    if not (isinstance(mono_ms, int) and isinstance(wall_ms, int) and 0 <= mono_ms < _MS_MAX):
        return Damage(number, f"times {mono_ms!r}, {wall_ms!r} are not milliseconds")
    if not (isinstance(boot_id, str) and boot_id and abs(wall_ms) < _MS_MAX):
        return Damage(number, f"boot {boot_id!r} or time {wall_ms!r} is not one")
    try:
        kind = Kind(str(event))
        value = json.loads(str(data)) if data else {}
    except (ValueError, RecursionError) as error:
        return Damage(number, f"event {event!r}: {error}")
    if not isinstance(value, dict):
        return Damage(number, f"event {event!r}: its data is no JSON object")
    return JournalEvent(number, _call_key(str(call or "")), kind, Moment(boot_id, mono_ms, wall_ms), value)


def _call_key(call: str) -> str:
    call = call.encode("utf-8", "replace").decode()
    if len(call) <= CALL_KEY_MAX_CHARACTERS:
        return call
    digest = hashlib.sha256(call.encode()).hexdigest()[:16]
    return f"{call[:_KEY_KEPT_CHARACTERS]}~{digest}{call[-9:]}"


def _cursor_at(end: int, start: Cursor, rows: list[Row]) -> Cursor:
    for row in reversed(rows):
        if row[0] == end and isinstance(row[3], int) and isinstance(row[5], str):
            return Cursor(end, row[5], row[3])
    return start if end == start.seq else Cursor(end)
