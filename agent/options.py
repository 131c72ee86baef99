"""CORE. The probe's SIP: an OPTIONS request (RFC 3261 section 11) and just enough of a reader for its answer.

Knows text only; `probe` sends it. The reader takes whatever arrives and returns None for what is no answer.
"""

import re
from dataclasses import dataclass

from agent.evidence import Sighting
from appliance.addresses import SipAddress, bracketed

MAGIC_COOKIE = "z9hG4bK"
"""Beginning of every branch (RFC 3261 section 8.1.1.7)."""

PROBE_HEADER = "X-Kyusai-Probe"
"""Tells the far side the run, this probe's number and how many of its answers arrived: a centre that keeps count
knows the loss of each direction, and any capture shows it."""

HEARD_HEADER = "X-Kyusai-Heard"
"""Optional in the answer: how many probes of this run arrived there. Tells loss out from loss back."""

MESSAGE_MAX_BYTES = 65535
"""Largest SIP message that is read."""

SERVES_NOT = frozenset({408})
"""4xx that mean "nobody there": a proxy's own word that what is behind it was silent."""

SERVES_ALL_THE_SAME = frozenset({501})
"""5xx that say "I do not do OPTIONS", which is a sign of life."""

_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2}) ")
_BRANCH = re.compile(
    rb"^(?:via|v)[ \t]*:[^\r\n]*?;[ \t]*branch[ \t]*=[ \t]*([^\s;,]+)", re.IGNORECASE | re.MULTILINE
)
_METHOD = re.compile(rb"^cseq[ \t]*:[ \t]*[0-9]+[ \t]+([A-Z]+)", re.IGNORECASE | re.MULTILINE)
_HEARD = re.compile(rb"^x-kyusai-heard[ \t]*:[ \t]*([0-9]{1,12})", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,6})", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a probe. branch: of its topmost Via. heard: see `HEARD_HEADER`, None when not said."""

    branch: str
    code: int
    heard: int | None = None

    @property
    def sighting(self) -> Sighting:
        """What the answer says of the upstream: any reply but 408 and most 5xx shows that it serves."""
        if self.code in SERVES_NOT or (self.code // 100 == 5 and self.code not in SERVES_ALL_THE_SAME):
            return Sighting.PROBE_OVERLOADED
        return Sighting.PROBE_ANSWERED


def options_request(
    to: SipAddress, local_host: str, local_port: int, *, branch: str, run: str, number: int, answered: int
) -> bytes:
    """One probe. run: random text, the same for all probes of a run. number: counts up. answered: answers so far."""
    sent_by = f"{bracketed(local_host)}:{local_port}"
    lines = (
        f"OPTIONS {to.uri} SIP/2.0",
        f"Via: SIP/2.0/{to.transport.upper()} {sent_by};branch={branch};rport",
        "Max-Forwards: 70",
        f"From: <sip:probe@{sent_by}>;tag={run}",
        f"To: <{to.uri}>",
        f"Call-ID: {run}-{number}@{bracketed(local_host)}",
        f"CSeq: {number} OPTIONS",
        f"Contact: <sip:probe@{sent_by};transport={to.transport}>",
        f"{PROBE_HEADER}: run={run};number={number};answered={answered}",
        "User-Agent: kyusai",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def read_answer(message: bytes) -> Answer | None:
    """The answer in one whole SIP message; None for a request, a provisional reply, another method or rubbish."""
    status = _STATUS.match(message)
    branch, method = _BRANCH.search(message), _METHOD.search(message)
    if status is None or branch is None or method is None or method[1] != b"OPTIONS":
        return None
    code = int(status[1])
    if code < 200:
        return None
    heard = _HEARD.search(message)
    return Answer(branch[1].decode("ascii", "replace"), code, int(heard[1]) if heard else None)


def split_stream(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Whole messages at the head of a TCP stream, and the rest (RFC 3261 section 18.3: Content-Length frames).

    Keep-alive blank lines are dropped (RFC 5626). Raises `ValueError` for what can be no SIP stream: too long.
    """
    messages = []
    while True:
        buffer = buffer.lstrip(b"\r\n")
        head, separator, rest = buffer.partition(b"\r\n\r\n")
        if not separator:
            break
        length = _LENGTH.search(head)
        body_bytes = int(length[1]) if length else 0
        if len(rest) < body_bytes:
            break
        messages.append(head + separator + rest[:body_bytes])
        buffer = rest[body_bytes:]
    if len(buffer) > MESSAGE_MAX_BYTES:
        raise ValueError(f"a SIP message of more than {MESSAGE_MAX_BYTES} bytes")
    return messages, buffer
