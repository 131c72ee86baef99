"""Whose calls are screened: outside callers of extensions that want it. Pure; see `appliance.freeswitch.screening_xml`."""

from appliance.kamailio.call import Call
from appliance.kamailio.dialplan import INTERNAL, read_inbound
from appliance.kamailio.request import Origin
from appliance.kamailio.view import Extension

USER = "screen-"
"""Before the extension: what FreeSWITCH is called by."""

TARGET = "screening"

OFF, UNKNOWN, OUTSIDE = "off", "unknown", "outside"
"""Of an extension. UNKNOWN: callers who withhold their number or have none. OUTSIDE: everybody from outside."""

WAYS = (OFF, UNKNOWN, OUTSIDE)


def wanted(call: Call, called: Extension) -> bool:
    """Whether the caller is asked for his name first."""
    if called.screening == OFF or call.facts.origin not in (Origin.GATEWAY, Origin.UPSTREAM):
        return False
    facts = call.facts
    nameless = facts.anonymous or not any(digit.isdigit() for digit in facts.caller)
    if called.screening == UNKNOWN:
        return nameless
    return nameless or read_inbound(facts.caller, call.view).kind not in INTERNAL
