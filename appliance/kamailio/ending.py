"""How a call ended: cause, SIP code and by whom, from what was noted while it was up. Pure."""

from dataclasses import dataclass

from appliance.kamailio.causes import Cause, cause_of


@dataclass(frozen=True, slots=True)
class Last:
    """What is known when a dialog goes.

    answered: it was talking. forced: the cause for which the box ended it, or that its caller gave up (which counts
    only if nobody answered first), or "". code: final code of the INVITE, 0 when none was noted. by_box: the box made
    that reply itself. bye: the message at hand is a BYE. from_caller: that message comes from the calling side."""

    answered: bool
    forced: str = ""
    code: int = 0
    by_box: bool = False
    bye: bool = False
    from_caller: bool = False


def end_of(last: Last) -> dict[str, str | int]:
    """The journal's `end`: cause (Q.850 slug or the box's own word), code, by."""
    if last.forced == Cause.ORIGINATOR_CANCEL:
        if not last.answered and last.code in (0, 487):
            return _end(Cause.ORIGINATOR_CANCEL, 487, "caller")
    elif last.forced:
        return _end(last.forced, last.code, "box")
    if last.answered:
        if last.bye:
            return _end(Cause.NORMAL_CLEARING, 200, "caller" if last.from_caller else "callee")
        return _end(Cause.PEER_VANISHED, 0, "box")
    if last.code == 487:
        return _end(Cause.ORIGINATOR_CANCEL, 487, "caller")
    if not last.code:
        return _end(Cause.RECOVERY_ON_TIMER_EXPIRE, 408, "box")
    return _end(cause_of(last.code), last.code, "box" if last.by_box else "callee")


def _end(cause: str, code: int, by: str) -> dict[str, str | int]:
    return {"cause": str(cause), "code": code, "by": by}
