"""CORE. Which records a box gives up that the centre has not acknowledged, and in which order: statistics and plain events.

What goes first, once records are older than the site keeps them (`sync.records.keep_days`) or the spool is larger
(`sync.records.keep_mb`), the oldest of each first:
1. the minute's figures of a box that had its cloud;
2. those of a box that stood on its own: the telemetry of outages;
3. events of the lowest priority, which nobody has to act on.
A call record is never given up, nor an event that somebody acts on, nor one of an emergency; nor anything that is parked, since
a person was told of it. `retention` says where this stands among all that a box lets go of.

Age is counted by the agent while it runs: what had been numbered when a mark was set is at least as old as the mark. A clock
that jumps by years gives nothing up, and numbers given anew make records younger, never older. Opens nothing.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.retention import DAY_S, MIB
from appliance.site_model import Keeping
from cloudsync.wire import given_up_json

ROW_BYTES = 500
"""What a record takes in the spool beside its body: ids, hashes and indexes."""
LEFT_BYTES = 150
"""What is left of one that is given up: its hash, at the worst with the one before it, in the event that tells of it."""
RELIEF = 0.02
"""A spool that was too large is made so much smaller than it may be: not every look finds a handful to give up."""
LEAST_FOR_SIZE = 100
"""Fewer than so many are not given up for room: the event that tells of them takes some."""
MARKS_MAX = 3700
"""A mark a day for as long as a site may keep anything."""


class Sort(StrEnum):
    """What is given up, in the order in which it goes."""

    FIGURES = "figures"
    OUTAGE_FIGURES = "outage_figures"
    EVENT = "event"


class Reason(StrEnum):
    """Why."""

    AGE = "age"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds that the agent has run, and marks (next number, seconds then), the oldest first."""

    ran_s: float = 0.0
    marks: tuple[tuple[int, float], ...] = ()

    def passed(self, by_s: float, next_seq: int) -> "Ages":
        """So much later, with a mark when a day has gone since the last one."""
        ran_s = self.ran_s + max(by_s, 0.0)
        marks = self.marks
        if marks and next_seq < marks[-1][0]:  # numbered anew: what is here may be as young as now
            marks = ()
        if not marks or ran_s - marks[-1][1] >= DAY_S:
            marks = (*marks, (next_seq, ran_s))[-MARKS_MAX:]
        return Ages(ran_s, marks)

    def too_old_below(self, keeping: Keeping) -> int:
        """Records below this number are older than they are kept; 0 when none is, or there is no limit."""
        if not keeping.days:
            return 0
        old_s = self.ran_s - keeping.days * DAY_S
        return max((seq for seq, at_s in self.marks if at_s <= old_s), default=0)

    def as_json(self) -> str:
        """As it is kept."""
        return json.dumps([self.ran_s, self.marks])


def ages_from(kept: str | None) -> Ages:
    """Inverse of `Ages.as_json`; what cannot be read begins anew, which keeps things longer."""
    try:
        ran_s, marks = json.loads(kept or "[0.0, []]")
        return Ages(float(ran_s), tuple((int(seq), float(at_s)) for seq, at_s in marks))
    except (ValueError, TypeError):
        return Ages()


def to_free_bytes(spool_bytes: int, keeping: Keeping) -> int:
    """How much has to go of records that take so much; 0 for nothing."""
    limit_bytes = keeping.mebibytes * MIB
    if not limit_bytes or spool_bytes <= limit_bytes:
        return 0
    return round(spool_bytes - limit_bytes * (1 - RELIEF))


@dataclass(frozen=True, slots=True)
class Found:
    """A record that may go. body_bytes: its size."""

    seq: int
    prev_hash: str
    hash: str
    created_utc: str
    body_bytes: int

    @property
    def frees_bytes(self) -> int:
        """What is won by giving it up."""
        return self.body_bytes + ROW_BYTES - LEFT_BYTES


def told(found: Iterable[Found], sort: Sort, reason: Reason) -> Mapping[str, Any]:
    """The body of the event that tells of records given up, by number, of at most `GIVEN_UP_MAX`."""
    gone = list(found)
    times = sorted(one.created_utc for one in gone)
    return {
        "event": "records_given_up",
        "reason": str(reason),
        "sort": str(sort),
        "count": len(gone),
        "first_seq": gone[0].seq,
        "last_seq": gone[-1].seq,
        "from_utc": times[0],
        "to_utc": times[-1],
        "runs": given_up_json((one.seq, one.prev_hash, one.hash) for one in gone),
    }
