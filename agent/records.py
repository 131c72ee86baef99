"""Records on their way to the centre: which go first, how many at once, and what the centre's answer does to each.

A record is only ever deleted for an answer that names it `stored` or `duplicate`; a refused one is parked with the
reason and never holds up those behind it. The shapes on the wire are `cloudsync.wire`'s. Opens nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudsync.wire import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    ItemStatus,
    RecordResult,
    RecordText,
)

RECORD_OVERHEAD_BYTES = 640
"""What a record adds to its body on the wire: names, two hashes of 64, id and boot id at their longest."""
NEWEST_RECORDS = BATCH_RECORDS_MAX
"""How many of the newest numbers go ahead of a backlog: what is now is seen at once, what was comes behind it."""
BATCH_TARGET_S = 2.0
"""A batch that takes longer holds up what is more urgent behind it, keeps a narrow line from calls, and is lost in a cut."""
BATCH_BYTES_TARGET = BATCH_BYTES_MAX // 2
"""Body bytes that a batch is filled up to: half the limit, since sizes are taken before the batch is put together."""


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record before the spool gives it its place in the site's sequence.

    id: made here, the same whenever the same fact is read again. created_wall_ms: milliseconds since 1970 UTC."""

    id: str
    kind: str
    priority: int
    created_wall_ms: int
    boot_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to do with the records of one batch, by id: delete, or park with a reason."""

    delete: tuple[str, ...] = ()
    park: Mapping[str, str] = field(default_factory=dict)


def choose(waiting: Sequence[RecordText], limit: int = BATCH_RECORDS_MAX) -> list[RecordText]:
    """The next batch: at most `limit` records and BATCH_BYTES_TARGET bytes, most urgent first, then in sequence.

    A record too large to share a batch goes alone, so that it can be refused by name instead of blocking the rest.
    """
    batch: list[RecordText] = []
    total_bytes = 0
    for record in sorted(waiting, key=lambda item: (item.priority, item.seq)):
        size_bytes = len(record.text.encode()) + RECORD_OVERHEAD_BYTES
        if batch and (len(batch) >= limit or total_bytes + size_bytes > BATCH_BYTES_TARGET):
            break
        batch.append(record)
        total_bytes += size_bytes
    return batch


def settle(results: Sequence[RecordResult]) -> Settlement:
    """What the centre's (already checked) answer means for each record of the batch."""
    delete = tuple(r.id for r in results if r.status in (ItemStatus.STORED, ItemStatus.DUPLICATE))
    park = {r.id: r.reason or "refused" for r in results if r.status == ItemStatus.REFUSED}
    return Settlement(delete, park)


def smaller(limit: int) -> int:
    """The next batch limit after the centre or a proxy called a batch too large; never below 1."""
    return max(limit // 4, 1)


def fitting(limit: int, sent: int, took_s: float) -> int:
    """The next batch limit after `sent` records went through in `took_s`: what the line bears within BATCH_TARGET_S, at
    most twice as much as before and BATCH_RECORDS_MAX."""
    if took_s <= BATCH_TARGET_S / 2:
        return min(limit * 2, BATCH_RECORDS_MAX)
    if took_s <= BATCH_TARGET_S:
        return limit
    return max(min(limit, int(sent * BATCH_TARGET_S / took_s)), 1)
