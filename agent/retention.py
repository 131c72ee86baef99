"""CORE. Which recordings a box gives up that the centre has not acknowledged, and in which order.

The whole order of what goes first, on a box that cannot get rid of its data:
0. copies of records that the centre has acknowledged (`acknowledged`): when they are old or many, and as soon as the disk is low;
1. a recording that the centre has signed for: at once;
2. recording of new calls, then of calls that are up, then events of the lowest priority are no longer made (`disk`);
3. statistics and plain events that are older than the site keeps them, or too many (`record_retention`);
4. a recording that is older than the site keeps them (`sync.recordings.keep_days`) or than its retention class allows
   (`recording.retention`), whichever is less, whether it waits or is parked;
5. while there are more than the site keeps (`sync.recordings.keep_mb`): parked ones, the oldest first, then waiting ones, the
   oldest first.
A call record is never given up before it is acknowledged. Without these settings no recording is given up: the disk's room
decides what is still made.

Age is what the agent has counted itself while it ran: a clock that jumps by years gives nothing up. Opens nothing.
"""

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from appliance.site_model import Keeping

LOOK_S = 600.0
"""How often it is looked at; the counted age may be that much too low after a crash."""
DAY_S = 86_400.0
CLASS_KEPT_S = DAY_S
"""So long the class that a call's record named is known here without a recording: that may still be being made, or has gone."""
MIB = 1024 * 1024


class Reason(StrEnum):
    """Why a recording was given up."""

    AGE = "age"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording on the box. started_utc: of its call, sorts as text."""

    id: str
    started_utc: str
    bytes: int
    parked: bool


def counted(ages_s: Mapping[str, float], present: Iterable[str], passed_s: float) -> dict[str, float]:
    """How long each thing has been here, `passed_s` after the last count; new ones begin at 0."""
    return {id_: ages_s.get(id_, -passed_s) + passed_s for id_ in present}


def names_of(recording_id: str) -> tuple[str, str]:
    """By which names call records may mean a recording: its id, or the beginning of it."""
    return recording_id, recording_id.rpartition("-")[0]


def name_of(recording_id: str, named: Container[str]) -> str:
    """By which of these names a recording is meant, "" for none."""
    return next((name for name in names_of(recording_id) if name in named), "")


def _limit_s(days: Iterable[int]) -> float:
    """The least of them that is a limit at all."""
    return min((one * DAY_S for one in days if one), default=math.inf)


def given_up(
    kept: Iterable[Kept], ages_s: Mapping[str, float], keeping: Keeping, class_days: Mapping[str, int]
) -> list[tuple[str, Reason]]:
    """Ids of the recordings to give up, in the order in which they go. class_days: by id, of those whose class has days."""
    oldest_first = sorted(kept, key=lambda one: (one.started_utc, one.id))
    too_old = [
        one
        for one in oldest_first
        if ages_s.get(one.id, 0.0) >= _limit_s((keeping.days, class_days.get(one.id, 0)))
    ]
    result = [(one.id, Reason.AGE) for one in too_old]
    if not keeping.mebibytes:
        return result
    left = [one for one in oldest_first if one not in too_old]
    too_many_bytes = sum(one.bytes for one in left) - keeping.mebibytes * MIB
    for one in sorted(left, key=lambda one: not one.parked):
        if too_many_bytes <= 0:
            break
        result.append((one.id, Reason.SIZE))
        too_many_bytes -= one.bytes
    return result
