"""Which calls lost their audio: rtpengine had them, and gave them up because nothing came any more. Pure.

rtpengine forgets a call after its own time-outs (`appliance/media/rtpengine.py`), and tells nobody. A call that it had at one
look and no longer has at the next one timed out there, unless rtpengine was restarted in between: then it forgot all
calls, and no call is ended for that.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """What rtpengine said of itself at one moment. uptime_s: since it was started. calls: Call-IDs that it has."""

    uptime_s: int
    calls: frozenset[str]


def lost(anchored: Collection[str], before: Look | None, now: Look) -> frozenset[str]:
    """Call-IDs of `anchored` calls, all still up as dialogs, whose audio timed out. before: None after a look that failed."""
    if before is None or now.uptime_s < before.uptime_s:
        return frozenset()
    return frozenset(anchored) & (before.calls - now.calls)
