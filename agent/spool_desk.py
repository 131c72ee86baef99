"""A person's look into the spool, beside the agent or without it: what is parked and why, and letting it try again.

Works on the file as a second user of it: SQLite keeps the two apart, each change is one transaction, and the agent looks
again within a second. Nothing is ever deleted here; `spool_give_up` does that.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent import rechain
from agent.spool import BUSY_MS, DAMAGED_REASON, Spool
from agent.spool_chain import chain_of, set_chain
from agent.spool_errors import Unsound, lossy_text, spool_error
from agent.spool_files import damage_in_log
from appliance.errors import KyusaiError

_PARKED = """SELECT 'record', id, kind, reason, created_utc FROM record WHERE state = 'parked'
    UNION ALL SELECT 'recording', id, format, reason, started_utc FROM recording WHERE state = 'parked'
    ORDER BY 5, 2 LIMIT ?"""


@dataclass(frozen=True, slots=True)
class Parked:
    """Something that waits for a person. sort: "record" or "recording"; kind: of record, or the audio's format."""

    sort: str
    id: str
    kind: str
    reason: str
    created_utc: str


REASONS_MAX = 5
"""Of parked items, in the status; the list has all."""

_REASONS = """SELECT reason, count(*) FROM (
    SELECT reason FROM record WHERE state = 'parked' UNION ALL SELECT reason FROM recording WHERE state = 'parked'
    ) GROUP BY reason ORDER BY 2 DESC, 1 LIMIT ?"""


def reasons(spool: Spool) -> dict[str, int]:
    """Why records and recordings are parked, the most frequent first. Blocks on disk. Raises SpoolError."""
    with spool.reading() as db:
        return dict(db.execute(_REASONS, (REASONS_MAX,)).fetchall())


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The spool's file for one command; what is not committed in the end is undone. Raises KyusaiError `spool.none`,
    SpoolError."""
    if not path.exists():
        raise KyusaiError(
            "spool.none",
            f"there is no spool at {path}",
            "The agent makes it when it first starts.",
            path=path,
        )
    if problem := damage_in_log(path):
        raise spool_error(path, Unsound(problem))
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.text_factory = lossy_text
            yield db
        finally:
            db.close()
    except sqlite3.Error as error:
        raise spool_error(path, error) from error


def parked(path: Path, limit: int) -> list[Parked]:
    """What is parked in the spool at `path`, oldest first. Raises KyusaiError `spool.none`, SpoolError."""
    with opened(path) as db:
        return [Parked(*row) for row in db.execute(_PARKED, (limit,))]


def retry(path: Path, ids: Sequence[str] = (), *, renumber: bool = False) -> int:
    """Let parked records and recordings wait again, all or those named; gives how many. Records that the box's own disk
    spoilt stay parked: no try makes them whole.

    renumber: everything in the spool gets new numbers, behind the last that the centre holds. For a box whose disk was
    restored from a backup, or cloned, and that therefore gave numbers away twice. Raises as `parked` does.
    """
    with opened(path) as db:
        db.execute("BEGIN IMMEDIATE")
        named = f"AND id IN ({', '.join('?' * len(ids))})" if ids else ""
        records = (
            f"UPDATE record SET state = 'waiting', reason = '' WHERE state = 'parked' AND reason != ? {named}"  # noqa: S608
        )
        recordings = f"UPDATE recording SET state = 'waiting', reason = '' WHERE state = 'parked' {named}"  # noqa: S608
        count = db.execute(records, (DAMAGED_REASON, *ids)).rowcount + db.execute(recordings, ids).rowcount
        if renumber:
            set_chain(db, chain_of(db)._replace(unsure_from=1))
            db.execute("DELETE FROM cursor WHERE name = ?", (rechain.PLACE,))
        db.execute("COMMIT")
    return count
