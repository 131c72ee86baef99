"""The facts of a new call, read from the INVITE's headers. Pure."""

import re
from collections.abc import Callable

from appliance.freeswitch.names import BEHALF_HEADER, PLAIN_HEADER
from appliance.kamailio.request import CallFacts, Origin

FORWARDS_MAX = 10
"""Diversion entries read: twice what a plan allows before it gives up."""

TRUSTED = frozenset({Origin.UPSTREAM, Origin.GATEWAY, Origin.MEDIA})
"""Who may say on whose behalf it calls."""

_URI_USER = re.compile(r"<?\s*(?:sips?|tel):([^@;>?\s]+)", re.IGNORECASE)


def user_in(header: str) -> str:
    """User part of the first SIP or tel URI in a header value, "" when there is none."""
    found = _URI_USER.search(header)
    return found.group(1) if found else ""


def is_anonymous(privacy: str, from_host: str) -> bool:
    """Whether the caller asks not to be shown (RFC 3323 section 4.1.1.3, RFC 3325 section 9.3)."""
    if not privacy:
        return from_host.lower() == "anonymous.invalid"
    words = {word.strip().lower() for word in privacy.split(";")}
    return bool(words & {"id", "user", "header"}) or from_host.lower() == "anonymous.invalid"


def call_facts(
    origin: Origin, origin_id: str, pv: Callable[[str], str], headers: Callable[[str], list[str]]
) -> CallFacts:
    """The facts of the current INVITE. pv, headers: read access to it.

    A trusted peer says who calls in P-Asserted-Identity (RFC 3325); what a phone writes there is not looked at.
    """
    identity = headers("P-Asserted-Identity") if origin in TRUSTED else []
    caller = user_in(identity[0]) if identity else pv("$fU")
    diversions = [entry for value in headers("Diversion") for entry in value.split(",")]
    forwards = tuple(reversed([user for entry in diversions[:FORWARDS_MAX] if (user := user_in(entry))]))
    return CallFacts(
        origin=origin,
        origin_id=origin_id,
        dialled=pv("$rU"),
        caller=origin_id if origin is Origin.PHONE else caller,
        anonymous=is_anonymous(pv("$hdr(Privacy)"), pv("$fd")),
        forwards=forwards,
        bare=origin is Origin.MEDIA and bool(headers(PLAIN_HEADER)),
        behalf=next(iter(headers(BEHALF_HEADER)), "") if origin is Origin.MEDIA else "",
    )
