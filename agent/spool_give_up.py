"""`kyusai spool give-up`: lets go of parked records for good, by a person's word, with the agent running or without it.

First each record is written as it stands to a file of its own, for a person, and is on the disk. Then, in one transaction, it
leaves the spool and the event that tells the centre of it comes. A crash before that changes nothing, and the same command does
it then; one behind it finds it done.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.acknowledged import copies_at
from agent.cdr_fields import event_id
from agent.give_up import TOLD_MAX, Row, places, told
from agent.identity import write_private
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool import PARKED, number
from agent.spool_chain import RECORD_COLUMNS, chain_of, decode_row, is_summed
from agent.spool_desk import opened
from agent.spool_files import sync_folder, unsure_log
from appliance.errors import KyusaiError
from cloudsync.wire import EVENT_GIVEN_UP, GENESIS_HASH, Priority, RecordKind, RecordText, Refusal

RENUMBERED = (Refusal.SEQ_CONFLICT, Refusal.BROKEN_CHAIN)
"""A whole record that is parked for one of these reaches the centre under a new number."""
_ROW = f"SELECT {RECORD_COLUMNS}, state, reason FROM record"  # noqa: S608
_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_SAFE_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Word:
    """Who gives up and why, on which box, and when. site_id: "" where the box is not enrolled any more."""

    by: str
    why: str
    site_id: str
    box_id: str
    now: Moment


@dataclass(frozen=True, slots=True)
class GivenUp:
    """One record that is gone from the spool. file: with its text as it stood."""

    seq: int
    id: str
    file: Path


def give_up(spool: Path, copies: Path, folder: Path, ids: Sequence[str], word: Word) -> list[GivenUp]:
    """Give up the parked records named `ids`, all or none; by number. copies: of acknowledged records (their file). folder: of
    what is given up.

    Blocks on disk. Raises KyusaiError `spool.none`, `spool.not_here`, `spool.not_parked`, `spool.is_recording`,
    `spool.can_be_renumbered`, `spool.numbers_unsure`, `spool.changed`, `spool.not_kept`, SpoolError."""
    if unsure_log(spool):
        raise _unsure()
    with opened(spool) as db:
        db.text_factory = _exact
        rows = sorted(_found(db, one) for one in dict.fromkeys(ids))
        _require_sure(db, rows)
        done = [GivenUp(row.seq, _shown(row.id), _kept(folder, row)) for row in rows]
        db.execute("BEGIN IMMEDIATE")
        if [_at(db, row.seq) for row in rows] != rows:
            raise _changed()
        _require_sure(db, rows)
        links = places(rows, _certain(db, copies, rows))
        db.executemany("DELETE FROM record WHERE seq = ?", [(row.seq,) for row in rows])
        for begin in range(0, len(rows), TOLD_MAX):
            some = rows[begin : begin + TOLD_MAX]
            if not number(db, [_event(word, some[0], told(some, links, word.by, word.why))]):
                raise _changed()
        db.execute("COMMIT")
    return done


def _exact(raw: bytes) -> str:
    """Text of a row, from which its bytes can be had again whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


def _shown(value: Any) -> str:
    """As `kyusai spool list` shows it."""
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _found(db: sqlite3.Connection, wanted: str) -> Row:
    """The parked record of that id. Raises KyusaiError."""
    listed = db.execute("SELECT seq, id FROM record WHERE state = ?", (PARKED,)).fetchall()
    seq = next((seq for seq, id_ in listed if _shown(id_) == wanted), None)
    row = None if seq is None else _at(db, seq)
    if row is None:
        raise _not_found(db, wanted)
    if row.reason in RENUMBERED and _whole(row) is not None:
        raise KyusaiError(
            "spool.can_be_renumbered",
            f"{wanted!r} is whole, and reaches the centre under a new number: nothing was given up",
            "kyusai spool retry --renumber",
            id=wanted,
        )
    return row


def _not_found(db: sqlite3.Connection, wanted: str) -> KyusaiError:
    if db.execute("SELECT 1 FROM record WHERE id = ?", (wanted,)).fetchone():
        return KyusaiError(
            "spool.not_parked",
            f"{wanted!r} is not parked, it waits to be sent: nothing was given up",
            "Only what is parked can be given up; see `kyusai spool list`.",
            id=wanted,
        )
    if db.execute("SELECT 1 FROM recording WHERE id = ?", (wanted,)).fetchone():
        return KyusaiError(
            "spool.is_recording",
            f"{wanted!r} is a recording: only records are given up by hand",
            "`sync.recordings.keep_days` and `keep_mb` say how long the site keeps recordings that cannot be sent.",
            id=wanted,
        )
    return KyusaiError(
        "spool.not_here",
        f"there is no record {wanted!r} in the spool: nothing was given up",
        "`kyusai spool list` shows the ids of what is parked.",
        id=wanted,
    )


def _at(db: sqlite3.Connection, seq: int) -> Row | None:
    row = db.execute(f"{_ROW} WHERE seq = ?", (seq,)).fetchone()
    return None if row is None else Row(*row)


def _whole(row: Row | None) -> RecordText | None:
    return None if row is None else decode_row(row[: len(RecordText._fields)])


def _require_sure(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Raise `spool.numbers_unsure` while these records may still get other numbers, or the next number is in doubt."""
    if not is_summed(db) or any(row.seq >= chain_of(db).sure_below for row in rows):
        raise _unsure()


def _changed() -> KyusaiError:
    return KyusaiError(
        "spool.changed",
        "the agent was at work on these records just now: nothing was given up",
        "Give the same command again.",
    )


def _unsure() -> KyusaiError:
    return KyusaiError(
        "spool.numbers_unsure",
        "the box has to ask the centre first where the site's sequence goes on: nothing was given up",
        "Give the command again when the agent runs and `kyusai status` has heard the centre.",
    )


def _certain(db: sqlite3.Connection, copies: Path, rows: Sequence[Row]) -> dict[int, str]:
    """Number -> hash, from what is whole: the end of the sequence, the records' neighbours here, and copies of those that the
    centre has."""
    chain = chain_of(db)
    found = {0: GENESIS_HASH} if chain.unsure_from else {0: GENESIS_HASH, chain.next_seq - 1: chain.last_hash}
    for record in _neighbours(db, copies, [row.seq for row in rows if row.seq >= 1]):
        found[record.seq - 1] = record.prev_hash
        found[record.seq] = record.hash
    return found


def _neighbours(db: sqlite3.Connection, copies: Path, seqs: Sequence[int]) -> Iterator[RecordText]:
    near = sorted({one for seq in seqs for one in (seq - 1, seq, seq + 1)})
    for seq in near:
        here = _whole(_at(db, seq))
        if here is not None:
            yield here
    yield from copies_at(copies, near)


def _event(word: Word, first: Row, body: dict[str, Any]) -> NewRecord:
    now = word.now
    told_of = (_shown(first.id), str(first.seq), now.boot_id, str(now.mono_ms))
    id_ = event_id(word.site_id, word.box_id, EVENT_GIVEN_UP, *told_of, wall_ms=now.wall_ms)
    return NewRecord(id_, RecordKind.EVENT, Priority.CDR, now.wall_ms, now.boot_id, body)


def _kept(folder: Path, row: Row) -> Path:
    """The file with the record as it stands, on the disk. Another one of that name stays as it is. Raises KyusaiError."""
    data = json.dumps(row._asdict(), indent=1, default=lambda value: value.hex()).encode() + b"\n"
    path = folder / f"{row.id}.json"
    try:
        if not re.fullmatch(_FILE_NAME, str(row.id)) or _differs(path, data):
            safe = re.sub(r"[^A-Za-z0-9_-]", "_", str(row.id))[:_SAFE_CHARACTERS]
            path = folder / f"{safe}-{sha256(data).hexdigest()[:16]}.json"
        write_private(path, data)
        sync_folder(folder.parent)
    except OSError as error:
        raise KyusaiError(
            "spool.not_kept",
            f"the record cannot be written to {path}: {error}; nothing was given up",
            "Make room on this disk, or see who owns the folder.",
            path=path,
            detail=str(error),
        ) from error
    return path


def _differs(path: Path, data: bytes) -> bool:
    with suppress(FileNotFoundError):
        return path.read_bytes() != data
    return False
