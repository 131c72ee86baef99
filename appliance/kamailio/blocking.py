"""Callers that nobody wants: by number, beginning or pattern, or because they withhold their number. Pure.

A block is a number as people write it, with `?` for any digit and `*` at the end for anything behind it. It is compared with the
caller's number in every form: as it came, E.164, national, extension. Whoever may be calling back after an emergency call is
let through: nobody can know which number the police or the fire brigade calls from.
"""

from appliance.kamailio.call import Call
from appliance.kamailio.dialplan import clean, read_inbound
from appliance.kamailio.request import Origin
from appliance.kamailio.view import Extension

ACTIONS = ("reject", "busy", "announcement", "voicemail")
"""What becomes of such a call."""

BLOCKS_MAX = 50
"""Callers that one telephone may block by feature code, and a site document for one extension."""

NOBODY = frozenset({"", "anonymous", "unavailable", "unknown", "restricted"})
"""User parts that are no caller's number."""

_OUTSIDE = frozenset({Origin.GATEWAY, Origin.UPSTREAM})


def is_anonymous(call: Call) -> bool:
    """Whether somebody outside withholds his number."""
    facts = call.facts
    return facts.origin in _OUTSIDE and (facts.anonymous or facts.caller.lower() in NOBODY)


def may_be_emergency(call: Call) -> bool:
    """Whether an emergency service may be calling back: from its own number, or from any outside soon after a call for help."""
    if call.facts.origin not in _OUTSIDE:
        return False
    if clean(call.facts.caller) in call.policy.emergency_numbers:
        return True
    return call.view.emergency_within(call.policy.emergency_callback_s)


def blocked_at(call: Call, called: Extension) -> str:
    """Why an extension does not want this caller: "blocked", "anonymous", or ""."""
    if not (called.blocked or called.blocked_too or called.reject_anonymous):
        return ""
    return _why(call, (*called.blocked, *called.blocked_too.split()), called.reject_anonymous)


def blocked_by_site(call: Call) -> str:
    """The same of the whole site, for callers from outside. Where the cloud controls calls it decides on those it sends."""
    policy = call.policy
    if (
        not (policy.blocked or policy.reject_anonymous)
        or call.facts.origin not in _OUTSIDE
        or not call.features
    ):
        return ""
    return _why(call, policy.blocked, policy.reject_anonymous)


def _why(call: Call, blocks: tuple[str, ...], reject_anonymous: bool) -> str:
    if reject_anonymous and is_anonymous(call):
        why = "anonymous"
    elif blocks and any(matches(block, number) for number in _forms(call) for block in blocks):
        why = "blocked"
    else:
        return ""
    return "" if may_be_emergency(call) else why


def matches(block: str, number: str) -> bool:
    """Whether a number is one that a block means."""
    begins = block.endswith("*")
    digits = block[:-1] if begins else block
    if len(number) < len(digits) or (len(number) > len(digits) and not begins):
        return False
    return all(wanted in ("?", digit) for wanted, digit in zip(digits, number, strict=False))


def _forms(call: Call) -> tuple[str, ...]:
    caller = call.facts.caller
    if caller.lower() in NOBODY:
        return ()
    number = read_inbound(caller, call.view)
    return tuple({clean(caller), number.e164, number.national, number.extension} - {""})
