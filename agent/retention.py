"""CORE. Which recordings a box gives up that the centre has not acknowledged, and in which order.

The whole order of what goes first, on a box that cannot get rid of its data:
1. a recording that the centre has signed for: at once;
2. recording of new calls, then of calls that are up, then events of the lowest priority are no longer made (`disk`);
3. statistics and plain events that are older than the site keeps them, or too many (`record_retention`);
4. a recording that is older than the site keeps them (`sync.recordings.keep_days`), whether it waits or is parked;
5. while there are more than the site keeps (`sync.recordings.keep_mb`): parked ones, the oldest first, then waiting ones, the
   oldest first.
A call record is never given up before it is acknowledged. Without the two settings no recording is given up: the disk's room
decides what is still made.

Age is what the agent has counted itself while it ran: a clock that jumps by years gives nothing up. Opens nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from appliance.site_model import Keeping

LOOK_S = 600.0
"""How often it is looked at; the counted age may be that much too low after a crash."""
DAY_S = 86_400.0
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


def counted(ages_s: Mapping[str, float], present: Iterable[Kept], passed_s: float) -> dict[str, float]:
    """How long each recording has been here, `passed_s` after the last count; new ones begin at 0."""
    return {one.id: ages_s.get(one.id, -passed_s) + passed_s for one in present}


def given_up(kept: Iterable[Kept], ages_s: Mapping[str, float], keeping: Keeping) -> list[tuple[str, Reason]]:
    """Ids of the recordings to give up, in the order in which they go."""
    oldest_first = sorted(kept, key=lambda one: (one.started_utc, one.id))
    too_old = [
        one for one in oldest_first if keeping.days and ages_s.get(one.id, 0.0) >= keeping.days * DAY_S
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
