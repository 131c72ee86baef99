"""Names by which a call is known on the box: the journal's key, and the keys of what workers tell each other about it.

Pure. A call is its Call-ID and its caller's tag: both stay the same when a cloud that only proxies sends the call back
to the box (the second pass), and when a phone is challenged.
"""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

URIS_KEPT = 4_096
"""URIs whose address is remembered: those of peers and telephones come again with every call."""


def call_key(call_id: str, from_tag: str) -> str:
    """Key of a call in the journal: Call-ID, "#", 8 hex digits of the caller's tag."""
    return f"{call_id}#{zlib.crc32(from_tag.encode()):08x}"


def sdp_key(call_id: str, cseq: str, answer: bool) -> str:
    """Where the SDP of one offer or answer is kept from one pass through the box to the next."""
    return f"{call_id}#{cseq}#{'answer' if answer else 'offer'}"


def branch_of(via: str) -> str:
    """Number of the branch that a reply belongs to, from the box's own Via; "" when it is not the box's.

    tm writes "z9hG4bK" hash "." digest "." number, the number in hexadecimal from its last digit on (`branch_builder`)."""
    found = _BRANCH.search(via)
    return str(int(found.group(1)[::-1], 16)) if found else ""


def passes_in(vias: Iterable[str], own: frozenset[str]) -> int:
    """How many times a message went through this box: Via entries that name it. vias: header values, from the top."""
    return sum(_with_port(place) in own for via in vias for place in _VIA.findall(via))


@dataclass(frozen=True, slots=True)
class Hop:
    """One entry of a route set. own: it names this box."""

    uri: str
    own: bool


def route_set(headers: Iterable[str], own: frozenset[str]) -> tuple[Hop, ...]:
    """The route set in `headers` (values of Route, from the top). own: "host:port" of the box's sockets."""
    uris = [uri for header in headers for uri in _URI.findall(header)]
    return tuple(Hop(uri, host_port(uri) in own) for uri in uris)


def second_pass(hops: tuple[Hop, ...]) -> Hop | None:
    """The box's own last entry, where others stand between it and the first: the call comes back to the box.

    RFC 3261 section 16.4: the request will meet the entries in this order."""
    flags = [hop.own for hop in hops]
    if not flags or not flags[0] or False not in flags:
        return None
    later = [hop for hop in hops[flags.index(False) :] if hop.own]
    return later[-1] if later else None


@lru_cache(URIS_KEPT)
def host_port(uri: str) -> str:
    """ "host:port" of a SIP URI, with 5060 or 5061 where it names none; "" when it is none."""
    found = _HOST.match(uri)
    if found is None:
        return ""
    scheme, host, port = found.groups()
    secure = scheme.lower() == "sips" or ";transport=tls" in uri.lower()
    return f"{host}:{port or (5061 if secure else 5060)}"


def _with_port(place: str) -> str:
    return place if re.search(r":\d+$", place) else f"{place}:5060"


_VIA = re.compile(r"SIP\s*/\s*2\.0\s*/\s*\w+\s+([^;,\s]+)", re.IGNORECASE)
_BRANCH = re.compile(r"branch=z9hG4bK[^;,\s]*\.([0-9a-f]+)(?:[;,\s]|$)")
_URI = re.compile(r"<([^>]+)>")
_HOST = re.compile(r"(sips?):(?:[^@;?]*@)?(\[[0-9a-fA-F:.]+\]|[^:;?>\s]+)(?::(\d+))?", re.IGNORECASE)
