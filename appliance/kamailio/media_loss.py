"""Which calls lost their audio for good: rtpengine had them and has them no more, while they are still up. Pure.

rtpengine forgets a call after its own time-outs (`appliance/media/rtpengine.py`), and all calls when it dies; it tells nobody,
and a relay that is gone does not come back by itself. A re-INVITE brings a call back: one look may miss it, two do not.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from appliance.kamailio.causes import Cause


@dataclass(frozen=True, slots=True)
class Look:
    """What rtpengine said of itself at one moment. uptime_s: since it was started. calls: Call-IDs that it has."""

    uptime_s: int
    calls: frozenset[str]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept from look to look. had: calls still up that rtpengine had; missing: those of them that it did not have
    at the last look, with the cause that their end would get; uptime_s: of the last look."""

    had: frozenset[str] = frozenset()
    missing: Mapping[str, Cause] = field(default_factory=dict)
    uptime_s: int = 0


def judge(anchored: Collection[str], memory: Memory, now: Look) -> tuple[dict[str, Cause], Memory]:
    """Call-IDs whose audio is lost, with the cause, and the memory for the next look.

    anchored: Call-IDs of calls that were up when rtpengine was asked for `now`, not after. A look that fails is left out.
    """
    why = Cause.MEDIA_LOST if now.uptime_s < memory.uptime_s else Cause.MEDIA_TIMEOUT
    known = memory.had & frozenset(anchored)
    absent = {call: memory.missing.get(call, why) for call in known - now.calls}
    lost = {call: cause for call, cause in absent.items() if call in memory.missing}
    missing = {call: cause for call, cause in absent.items() if call not in lost}
    had = (known | (now.calls & frozenset(anchored))) - lost.keys()
    return lost, Memory(had, missing, now.uptime_s)
