"""The BYE requests that end a call on both sides, from what the dialog module knows of it. Pure.

Kamailio's own way to end a call (`dlg_bye_all`, before 5.7) sends the second BYE only if the first one was not answered
in the meantime, and then tells nobody that the call has ended. A BYE built here depends on no dialog's state.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CSEQ_STEP = 100
"""Ahead of what the dialog module has counted: it leaves out PRACK; a number may be skipped (RFC 3261 12.2.1.1)."""

_ALIAS = re.compile(r";alias=([^;~]+)~(\d+)~(\d)")
"""nathelper's `set_contact_alias`: address, port, number of the protocol."""
_PROTOCOLS = {"1": "udp", "2": "tcp", "3": "tls", "5": "ws", "6": "ws"}
_FIRST_ROUTE = re.compile(r"<([^>]+)>")


@dataclass(frozen=True, slots=True)
class Bye:
    """uri: Request-URI. next_hop: where it goes when not there, or "". socket: the box's, "udp:192.0.2.10:5060".
    headers: lines, each with its end."""

    uri: str
    next_hop: str
    socket: str
    headers: str


def byes(row: Mapping[str, Any], reason: str) -> tuple[Bye, ...]:
    """Both BYEs of an answered call; a side of which too little is known gets none.

    row: one dialog as Kamailio's RPC prints it ("call-id", "from_uri", "to_uri", "caller", "callee" with "tag",
    "contact", "cseq", "route_set", "socket"). reason: value of the Reason header (RFC 3326), "" for none.
    """
    ends = [(row.get("from_uri"), row.get("caller")), (row.get("to_uri"), row.get("callee"))]
    made = (_bye(row.get("call-id"), there, here, reason) for there, here in (ends, ends[::-1]))
    return tuple(bye for bye in made if bye is not None)


def _bye(call_id: Any, to: tuple[Any, Any], by: tuple[Any, Any], reason: str) -> Bye | None:
    (to_uri, leg), (by_uri, other) = to, by
    if not isinstance(leg, Mapping) or not isinstance(other, Mapping):
        return None
    contact = str(leg.get("contact") or "")
    if not (call_id and contact and leg.get("tag") and other.get("tag")):
        return None
    routes = str(leg.get("route_set") or "")
    first = _FIRST_ROUTE.search(routes)
    alias = _ALIAS.search(contact)
    uri = _ALIAS.sub("", contact) if alias and not first else contact
    next_hop = first[1] if first else _address(alias) if alias else ""
    lines = [
        f"From: <{by_uri}>;tag={other['tag']}",
        f"To: <{to_uri}>;tag={leg['tag']}",
        f"Call-ID: {call_id}",
        f"CSeq: {_number(other.get('cseq')) + CSEQ_STEP} BYE",
        *([f"Route: {routes}"] if first else []),
        "Max-Forwards: 70",
        *([f"Reason: {reason}"] if reason else []),
    ]
    return Bye(uri, next_hop, str(leg.get("socket") or ""), "".join(f"{line}\r\n" for line in lines))


def _address(alias: re.Match[str]) -> str:
    return f"sip:{alias[1]}:{alias[2]};transport={_PROTOCOLS.get(alias[3], 'udp')}"


def _number(text: Any) -> int:
    return int(text) if str(text or "").isdigit() else 0
