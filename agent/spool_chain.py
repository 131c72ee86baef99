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
_NOTED = re.compile(
    rf'(\[([0-9]{{1,19}}), ?"({SHA256_PATTERN})", ?([0-9]{{1,19}}))(?:, "([0-9a-f]{{8}})")?\]'
)
"""JSON as `set_chain` writes it. The CRC-32 at its end is of what stands before it: a number or a hash with a flipped bit may
look like another one."""


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
    if found and (next_seq := int(found[2])):
        return Chain(next_seq, found[3], int(found[4]))
    raise Unsound(f"where the sequence stands cannot be read: {text[:100]!r}")


def set_chain(db: sqlite3.Connection, chain: Chain) -> None:
    """Note where the sequence goes on, and the sum of what is noted."""
    text = f'[{chain.next_seq}, "{chain.last_hash}", {chain.unsure_from}'  # JSON: a hash is hexadecimal
    value = f'{text}, "{_sum(text)}"]'
    if not db.execute("UPDATE cursor SET value = ? WHERE name = ?", (value, CHAIN)).rowcount:
        db.execute("INSERT INTO cursor VALUES (?, ?)", (CHAIN, value))


def is_noted(db: sqlite3.Connection) -> bool:
    """Whether it is noted at all."""
    return db.execute("SELECT 1 FROM cursor WHERE name = ?", (CHAIN,)).fetchone() is not None


def is_summed(db: sqlite3.Connection) -> bool:
    """Whether what is noted has the sum that was noted with it; so has nothing, and what was noted before there were sums."""
    row = db.execute("SELECT value FROM cursor WHERE name = ?", (CHAIN,)).fetchone()
    found = _NOTED.fullmatch(str(row[0])) if row else None
    return row is None or (found is not None and found[5] in (None, _sum(found[1])))


def _sum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def decode_row(row: Sequence[Any]) -> RecordText | None:
    """A row as a record; None when what is stored no longer fits its hash."""
    try:
        record = RecordText(*row)
        return record if text_fits(record) else None
    except (ValueError, TypeError):
        return None
