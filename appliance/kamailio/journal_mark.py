"""How old rows leave the call journal: the reader leaves a mark, the journal's one writer deletes below it.

The journal has a single writer by design (no lock is ever waited for in Kamailio), so the agent never deletes rows
itself. It writes the number of a row, up to which all is safe in its spool, into the file `journal.read`; the writer
looks at it once per `PRUNE_EVERY_S` and deletes at most `PRUNE_ROWS` rows below it. The row of the mark itself stays:
by it the reader knows the journal again. No mark, or a spoilt one, means: delete nothing. Standard library only.
"""

import sqlite3
import zlib
from pathlib import Path

MARK_FILE = "journal.read"
"""Name of the mark, beside the journal."""
PRUNE_EVERY_S = 60
"""How often the writer looks: the journal grows by at most some thousand rows in between."""
PRUNE_ROWS = 1_000
"""Rows deleted in one transaction: some 10 ms, so that no call's event waits noticeably behind it."""


def mark_path(journal: Path) -> Path:
    """Where the mark of a journal lies."""
    return journal.with_name(MARK_FILE)


def write_mark(journal: Path, seq: int) -> None:
    """Say that all rows up to `seq` are safe elsewhere. Blocks; raises OSError. Replaces the file in one step; it is
    not synced, since an older mark only means that rows are deleted later."""
    path = mark_path(journal)
    fresh = path.with_suffix(".tmp")
    fresh.write_text(f"{seq} {_check(seq)}\n", "ascii")
    fresh.replace(path)


def read_mark(journal: Path) -> int:
    """The mark, 0 when there is none that can be trusted. Never raises."""
    try:
        number, check = mark_path(journal).read_text("ascii").split()
        seq = int(number)
    except (OSError, ValueError):
        return 0
    return seq if seq > 0 and check == _check(seq) else 0


def prune(db: sqlite3.Connection, journal: Path, rows: int = PRUNE_ROWS) -> int:
    """For the writer: delete up to `rows` of the oldest rows below the mark, in a transaction of their own; gives how
    many. Raises sqlite3.Error, with nothing deleted. Call it outside any transaction."""
    mark = read_mark(journal)
    if not mark:
        return 0
    query = "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq < ? ORDER BY seq LIMIT ?)"
    with db:
        return db.execute(query, (mark, rows)).rowcount


def _check(seq: int) -> str:
    return f"{zlib.crc32(str(seq).encode()):08x}"
