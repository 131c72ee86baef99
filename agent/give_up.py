"""CORE. What the centre is told of parked records that a person gives up: which, why, and their places in the chain.

A record is parked when no try brings it to the centre: its text was altered on the disk, or it is none that the centre takes. Its
place was given to it all the same, and the record behind it was chained to its hash. That hash is told, not one of what the disk
has made of the text: as the neighbours have it that are whole, then as the row itself has it. Opens nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cloudsync.wire import EVENT_GIVEN_UP, SHA256_PATTERN, given_up_json

BY_HAND = "by_hand"
"""`reason` of such an event."""
SORT = "parked"
"""And its `sort`."""
TOLD_MAX = 20
"""Records of one event: their ids and reasons at their longest, and hashes, stay below what one record may hold (64 KiB)."""
WORD_CHARACTERS_MAX = 128
"""Kept of a text of a row that may be anything."""

Link = tuple[int, str, str]
"""Number, hash before, hash."""


class Row(NamedTuple):
    """A parked record as it stands in the spool. Only the number is sure to be what its name says."""

    seq: int
    id: Any
    kind: Any
    priority: Any
    created_utc: Any
    boot_id: Any
    text: Any
    prev_hash: Any
    hash: Any
    state: Any
    reason: Any


def places(rows: Sequence[Row], certain: Mapping[int, str]) -> dict[int, Link]:
    """Where these records stand in the chain, by number. certain: number -> hash, from records that are whole.

    Without a place is one that was kept out of the sequence (its number is below 1), or whose hash is none any more."""
    known = dict(certain)
    for seq, digest in _told_by(rows):
        if isinstance(digest, str) and re.fullmatch(SHA256_PATTERN, digest):
            known.setdefault(seq, digest)
    found = ((row.seq, known.get(row.seq - 1), known.get(row.seq)) for row in rows if row.seq >= 1)
    return {seq: (seq, before, digest) for seq, before, digest in found if before and digest}


def _told_by(rows: Sequence[Row]) -> Iterator[tuple[int, Any]]:
    """Each row's word on itself, then on the one before it."""
    yield from ((row.seq, row.hash) for row in rows)
    yield from ((row.seq - 1, row.prev_hash) for row in rows)


def told(rows: Sequence[Row], links: Mapping[int, Link], by: str, why: str) -> dict[str, Any]:
    """The body of the event that tells of at most `TOLD_MAX` records, by number. by, why: who gave them up, and the reason."""
    times = sorted(word(row.created_utc) for row in rows)
    return {
        "event": EVENT_GIVEN_UP,
        "reason": BY_HAND,
        "sort": SORT,
        "count": len(rows),
        "first_seq": rows[0].seq,
        "last_seq": rows[-1].seq,
        "from_utc": times[0],
        "to_utc": times[-1],
        "by": by,
        "why": why,
        "records": [
            {"seq": row.seq, "id": word(row.id), "kind": word(row.kind), "was": word(row.reason)}
            for row in rows
        ],
        "runs": given_up_json(links[row.seq] for row in rows if row.seq in links),
    }


def word(value: Any) -> str:
    """A value of a row as text that can be hashed and sent: what is no UTF-8 becomes "?", and what is too long is cut."""
    return str(value).encode("utf-8", "replace").decode()[:WORD_CHARACTERS_MAX]
