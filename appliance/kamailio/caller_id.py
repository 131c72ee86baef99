"""How a `CallerId` is written into an INVITE: From, P-Asserted-Identity or P-Preferred-Identity, Privacy. Pure.

Sources: RFC 3323 (anonymous From, Privacy), RFC 3325 (asserted identity only towards a trusted peer)."""

from dataclasses import dataclass

from appliance.kamailio.actions import CallerId

ANONYMOUS_URI = "sip:anonymous@anonymous.invalid"
IDENTITY_HEADERS = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy")
"""Headers that claim who calls: none of them passes the box unchanged."""
CREDENTIALS = "Proxy-Authorization"
"""Meant for the box, unless the cloud asked for them: whoever else gets them could try passwords against them at leisure."""
UNTRUSTED = (*IDENTITY_HEADERS, "Route")
"""What is taken out of a call that begins, whoever placed it."""


@dataclass(frozen=True, slots=True)
class Presented:
    """display, uri: for From. headers: lines to add."""

    display: str
    uri: str
    headers: tuple[str, ...] = ()


def present(caller: CallerId, domain: str, identity: str) -> Presented:
    """What to write. domain: host part of the caller's URI. identity: the peer's "from", "pai" or "ppi"; "": a phone."""
    uri = f"sip:{caller.user}@{domain}"
    header = _HEADERS.get(identity)
    asserted = f"{header}: {_quoted(caller.display)}<{uri}>" if header else ""
    if not caller.privacy:
        return Presented(_quoted(caller.display).strip(), uri, (asserted,) if asserted else ())
    lines = (asserted, "Privacy: id") if asserted else ("Privacy: id",) if identity else ()
    return Presented('"Anonymous"', ANONYMOUS_URI, lines)


_HEADERS = {"pai": "P-Asserted-Identity", "ppi": "P-Preferred-Identity"}


def _quoted(display: str) -> str:
    """A display name as a quoted string (RFC 3261 25.1) with the blank after it; "" for none. No line can get in."""
    clean = "".join(char for char in display if char.isprintable())
    if not clean:
        return ""
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" '
