"""Where the site's sequence stands in the spool, and whether a row is still what was hashed. Within the caller's transaction.

Numbers from `FAR` on are provisional: records have them while `rechain` gives out new ones, and none of them is ever sent.
"""

import re
import sqlite3
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from agent.spool_errors import Unsound
from cloudsync.wire import GENESIS_HASH, SHA256_PATTERN, RecordText, text_fits

RECORD_COLUMNS = "seq, id, kind, priority, created_utc, boot_id, body, prev_hash, hash"
FAR = 2**61
"""A thousand records a second reach it after 73 million years."""
CHAIN = "chain"
"""The cursor with it."""
SUM = "chain_sum"
"""The cursor with its CRC-32: a number or a hash with a flipped bit may look like another one."""
_NOTED = re.compile(rf'\[([0-9]{{1,19}}), ?"({SHA256_PATTERN})", ?([0-9]{{1,19}})\]')
"""JSON as `set_chain` writes it: each record that is appended asks for it."""
_UPDATE = "UPDATE cursor SET value = CASE name WHEN ? THEN ? ELSE ? END WHERE name IN (?, ?)"


class Chain(NamedTuple):
    """Where the site's sequence goes on.

    unsure_from: records from this number on wait until the centre has said where the sequence stands, since a new or
    repaired spool cannot know; 0 when there is no doubt."""

    next_seq: int = 1
    last_hash: str = GENESIS_HASH
    unsure_from: int = 1

    @property
    def sure_below(self) -> int:
        """Records below this number may be sent."""
        return min(self.unsure_from or FAR, FAR)


def chain_of(db: sqlite3.Connection) -> Chain:
    """Where the sequence goes on. Raises Unsound."""
    row = db.execute("SELECT value FROM cursor WHERE name = ?", (CHAIN,)).fetchone()
    return _read(row[0]) if row else Chain()


def _read(text: str) -> Chain:
    found = _NOTED.fullmatch(text) if isinstance(text, str) else None
    if found and (next_seq := int(found[1])):
        return Chain(next_seq, found[2], int(found[3]))
    raise Unsound(f"where the sequence stands cannot be read: {text[:100]!r}")


def set_chain(db: sqlite3.Connection, chain: Chain) -> None:
    """Note where the sequence goes on, and the sum of what is noted."""
    value = f'[{chain.next_seq}, "{chain.last_hash}", {chain.unsure_from}]'  # JSON: a hash is hexadecimal
    if db.execute(_UPDATE, (CHAIN, value, _sum(value), CHAIN, SUM)).rowcount != 2:
        db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", ((CHAIN, value), (SUM, _sum(value))))


def is_noted(db: sqlite3.Connection) -> bool:
    """Whether it is noted at all."""
    return db.execute("SELECT 1 FROM cursor WHERE name = ?", (CHAIN,)).fetchone() is not None


def is_summed(db: sqlite3.Connection) -> bool:
    """Whether what is noted has the sum that was noted with it. An older release notes none; a spool that went back to one and
    came again is asked for its number at the centre, which costs a question."""
    rows = dict(db.execute("SELECT name, value FROM cursor WHERE name IN (?, ?)", (CHAIN, SUM)).fetchall())
    return SUM not in rows or (CHAIN in rows and rows[SUM] == _sum(str(rows[CHAIN])))


def _sum(value: str) -> str:
    return f"{zlib.crc32(value.encode()):08x}"


def decode_row(row: Sequence[Any]) -> RecordText | None:
    """A row as a record; None when what is stored no longer fits its hash."""
    try:
        record = RecordText(*row)
        return record if text_fits(record) else None
    except (ValueError, TypeError):
        return None
