"""Turns away an answer that comes too late: ACK and BYE for a 2xx of a target that was passed over.

Pure. RFC 3261 section 13.3.1.4 lets the far side repeat its 2xx until an ACK comes, and 13.2.2.4 says that a dialog that is not
wanted is acknowledged and then ended. tm would hand the 2xx to a caller who talks to somebody else by now. The far side
repeats the 2xx when either message is lost, and gets both again.
"""

import re
import zlib
from dataclasses import dataclass

SIP_PORT = 5060


@dataclass(frozen=True, slots=True)
class Answer:
    """What is needed of a 2xx to an INVITE. routes: its Record-Route entries from the top, without those of this box.
    frm, to: whole header values. contact: URI of the Contact. via: "host:port" of the box's socket."""

    call_id: str
    frm: str
    to: str
    cseq: int
    contact: str
    routes: tuple[str, ...]
    via: str
    transport: str = "UDP"


@dataclass(frozen=True, slots=True)
class Farewell:
    """next_hop: URI to send both to. ack, bye: whole SIP messages."""

    next_hop: str
    ack: str
    bye: str


def farewell(answer: Answer) -> Farewell | None:
    """ACK and BYE for `answer`; None when it names no place to send them to."""
    if not answer.contact:
        return None
    routes = tuple(reversed(answer.routes))
    next_hop = routes[0] if routes else answer.contact
    return Farewell(
        next_hop,
        _request(answer, "ACK", answer.cseq, routes),
        _request(answer, "BYE", answer.cseq + 1, routes),
    )


def uri_in(header: str) -> str:
    """The URI of a Contact or Record-Route value, with or without angle brackets."""
    found = _BRACKETS.search(header)
    return found.group(1) if found else header.partition(";")[0].strip()


def cseq_number(header: str) -> int:
    """Number of a CSeq header, 1 when it cannot be read."""
    digits = header.split(" ")[0]
    return int(digits) if digits.isdigit() else 1


def _request(answer: Answer, method: str, cseq: int, routes: tuple[str, ...]) -> str:
    branch = f"z9hG4bKky{zlib.crc32(f'{answer.call_id}{answer.to}{method}'.encode()):08x}"
    lines = [
        f"{method} {answer.contact} SIP/2.0",
        f"Via: SIP/2.0/{answer.transport.upper()} {answer.via};branch={branch}",
        "Max-Forwards: 70",
        *(f"Route: <{route}>" for route in routes),
        f"From: {answer.frm}",
        f"To: {answer.to}",
        f"Call-ID: {answer.call_id}",
        f"CSeq: {cseq} {method}",
        *(('Reason: SIP;cause=487;text="Answered too late"',) if method == "BYE" else ()),
        "Content-Length: 0",
        "",
        "",
    ]
    return "\r\n".join(lines)


_BRACKETS = re.compile(r"<([^>]+)>")
