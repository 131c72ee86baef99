"""New numbers for records of which the numbers are unsure, slice by slice; each slice is one transaction of the caller's.

First all of them go far up (`spool_chain.FAR`), out of the way of the numbers that they are to get; then, in their order, they
come down behind the last record that the centre holds, and may be sent at once. Records that are made meanwhile are numbered
up there, behind the rest. Whoever is killed in between goes on where it stopped: the place is in the same transaction. A
million records take no more memory than a slice.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from agent.spool_chain import FAR, RECORD_COLUMNS, Chain, chain_of, decode_row, set_chain
from agent.spool_errors import Unsound
from cloudsync.wire import GENESIS_HASH, chain_text

PLACE = "rechain"
"""The cursor with what is under way."""
SLICE_ROWS = 1_000
"""Records of one transaction: calls' records wait for some 30 ms."""
_FIRST_FAR = 2 * FAR


@dataclass(frozen=True, slots=True)
class Place:
    """What is under way. next_seq, last_hash: where the next record comes in. first: numbers from here on are unsure; shift:
    what they are raised by."""

    next_seq: int
    last_hash: str
    first: int
    shift: int


def place_of(db: sqlite3.Connection) -> Place | None:
    """What is under way, None when nothing is. Raises Unsound."""
    row = db.execute("SELECT value FROM cursor WHERE name = ?", (PLACE,)).fetchone()
    if row is None:
        return None
    try:
        place = Place(*json.loads(row[0]))
        if all(isinstance(one, int) for one in (place.next_seq, place.first, place.shift)):
            return place
    except (ValueError, TypeError):
        pass
    raise Unsound(f"how far the new numbers are cannot be read: {row[0][:100]!r}")


def begin(db: sqlite3.Connection, next_seq: int, last_hash: str, *, everything: bool = False) -> None:
    """Let unsure records (or `everything` here, parked ones too) be numbered from `next_seq` on, linked to `last_hash`.

    Numbers that other records here have are not given again. What is under way already goes on, unless it is everything."""
    if place_of(db) is not None and not everything:
        return
    first = 1 if everything else chain_of(db).unsure_from or FAR
    kept = _number(db, "max(seq)", 1, first)
    target = max(next_seq, (kept or 0) + 1)
    low, high = _number(db, "max(seq)", first, FAR), _number(db, "min(seq)", FAR, 2**63 - 1)
    shift = 0 if low is None else (high or _FIRST_FAR) - 1 - low
    last = _number(db, "max(seq)", FAR, 2**63 - 1) or (low + shift if low is not None else _FIRST_FAR)
    set_chain(db, Chain(last + 1, GENESIS_HASH, min(first, FAR)))
    _put(db, Place(target, last_hash, first, shift))


def step(db: sqlite3.Connection) -> int:
    """One slice; gives how many records it had. 0: there is no doubt any more, or nothing was under way."""
    place = place_of(db)
    if place is None:
        return 0
    query = f"SELECT {RECORD_COLUMNS} FROM record WHERE seq >= ? AND seq < ? ORDER BY seq"  # noqa: S608
    rows = db.execute(f"{query} DESC LIMIT ?", (place.first, FAR, SLICE_ROWS)).fetchall()
    if rows and place.shift:
        for row in rows:
            _renumber(db, row, row[0] + place.shift, row[7])
        return len(rows)
    rows = db.execute(f"{query} LIMIT ?", (FAR, 2**63 - 1, SLICE_ROWS)).fetchall()
    next_seq, last_hash = place.next_seq, place.last_hash
    for row in rows:
        fresh = _renumber(db, row, next_seq, last_hash)
        if fresh:
            next_seq, last_hash = next_seq + 1, fresh
    if rows:
        _put(db, Place(next_seq, last_hash, FAR, 0))
        set_chain(db, Chain(chain_of(db).next_seq, GENESIS_HASH, FAR))
        return len(rows)
    db.execute("DELETE FROM cursor WHERE name = ?", (PLACE,))
    set_chain(db, Chain(next_seq, last_hash, 0))
    return 0


def _renumber(db: sqlite3.Connection, row: Any, seq: int, prev_hash: str) -> str:
    """Give a row another place; gives its hash there. A damaged one gets a number below all others, and ""."""
    old = decode_row(row)
    if old is None:
        lowest = min(db.execute("SELECT min(seq) FROM record").fetchone()[0], 0)
        db.execute("UPDATE record SET seq = ? WHERE seq = ?", (lowest - 1, row[0]))
        return ""
    fresh = chain_text(
        prev_hash,
        seq=seq,
        record_id=old.id,
        kind=old.kind,
        priority=old.priority,
        created_utc=old.created_utc,
        boot_id=old.boot_id,
        text=old.text,
    )
    query = "UPDATE record SET seq = ?, prev_hash = ?, hash = ? WHERE seq = ?"
    db.execute(query, (fresh.seq, fresh.prev_hash, fresh.hash, old.seq))
    return fresh.hash


def _number(db: sqlite3.Connection, which: str, begin_seq: int, end_seq: int) -> int | None:
    query = f"SELECT {which} FROM record WHERE seq >= ? AND seq < ?"  # noqa: S608
    (found,) = db.execute(query, (begin_seq, end_seq)).fetchone()
    return None if found is None else int(found)


def _put(db: sqlite3.Connection, place: Place) -> None:
    value = json.dumps([place.next_seq, place.last_hash, place.first, place.shift])
    db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (PLACE, value))
