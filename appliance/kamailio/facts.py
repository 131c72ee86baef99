"""The facts of a new call, read from the INVITE's headers. Pure."""

import re
from collections.abc import Callable, Sequence

from appliance.freeswitch.names import BEHALF_HEADER, NAME_HEADER, PLAIN_HEADER
from appliance.kamailio.request import CallFacts, Origin

FORWARDS_MAX = 10
"""Diversion entries read: twice what a plan allows before it gives up."""

TRUSTED = frozenset({Origin.UPSTREAM, Origin.GATEWAY, Origin.MEDIA})
"""Who may say on whose behalf it calls."""

NOBODY: Sequence[str] = ()
"""Nobody is asserted."""

DISPLAY_MAX = 64
"""Characters of a name that is shown: no telephone has more room."""

FROM_NAME = "$(fn{s.encode.hexa})"
"""The name in From as hexadecimal digits: what is no UTF-8 must not cost a call."""

_NAME = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^<"]*)\s*<', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_URI_USER = re.compile(r"<?\s*(?:sips?|tel):([^@;>?\s]+)", re.IGNORECASE)


def user_in(header: str) -> str:
    """User part of the first SIP or tel URI in a header value, "" when there is none."""
    found = _URI_USER.search(header)
    return found.group(1) if found else ""


def name_of(digits: str) -> str:
    """A name out of the hexadecimal digits of its bytes, "" for none: UTF-8, or the Shift JIS of older gateways in Japan. What
    cannot be printed is left out, anything else is as it was."""
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return ""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp932", "ignore")
    return "".join(char for char in text if char.isprintable())[:DISPLAY_MAX]


def unquoted(name: str) -> str:
    """A display name without the quotation marks and backslashes that carried it (RFC 3261 section 25.1)."""
    name = name.strip()
    return _ESCAPED.sub(r"\1", name[1:-1]) if len(name) > 1 and name[0] == name[-1] == '"' else name


def digits_of(name: str) -> str:
    """Inverse of `name_of`, for a header of ours."""
    return name[:DISPLAY_MAX].encode("utf-8", "ignore").hex()


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
    caller, identity = origin_id, NOBODY
    if origin is not Origin.PHONE:
        identity = headers("P-Asserted-Identity") if origin in TRUSTED else NOBODY
        caller = user_in(identity[0]) if identity else pv("$fU")
    diversions = headers("Diversion")
    return CallFacts(
        origin=origin,
        origin_id=origin_id,
        dialled=pv("$rU"),
        caller=caller,
        anonymous=is_anonymous(pv("$hdr(Privacy)"), pv("$fd")),
        forwards=_forwards(diversions) if diversions else (),
        display=_display(origin, identity[0] if identity else "", pv, headers),
        bare=origin is Origin.MEDIA and bool(headers(PLAIN_HEADER)),
        behalf=next(iter(headers(BEHALF_HEADER)), "") if origin is Origin.MEDIA else "",
    )


def _forwards(diversions: Sequence[str]) -> tuple[str, ...]:
    entries = [entry for value in diversions for entry in value.split(",")]
    return tuple(reversed([user for entry in entries[:FORWARDS_MAX] if (user := user_in(entry))]))


def _display(
    origin: Origin, identity: str, pv: Callable[[str], str], headers: Callable[[str], list[str]]
) -> str:
    """The name that a trusted peer gives; through FreeSWITCH it comes in a header of ours, which FreeSWITCH does not read."""
    if origin is Origin.MEDIA:
        return name_of(next(iter(headers(NAME_HEADER)), ""))
    if origin not in TRUSTED:
        return ""
    asserted = _NAME.match(identity)
    return (
        name_of(digits_of(unquoted(asserted[1])))
        if asserted and asserted[1]
        else unquoted(name_of(pv(FROM_NAME)))
    )
