"""What arrives on FreeSWITCH's event socket, as values: header blocks, events, and what belongs to neither. Pure.

A block is lines "Name: value", an empty line, and a body of Content-Length bytes. An event is such a block in a body, its
values URL-encoded, with a body of its own at times (mod_event_socket.c, `switch_event_serialize`). Lines are split first
and each value decoded afterwards: a value that holds an encoded line feed stays one value, whoever chose it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

EVENT_PLAIN = "text/event-plain"
DISCONNECT = "text/disconnect-notice"
REJECTION = "text/rude-rejection"
AUTH_REQUEST = "auth/request"
REPLY = "command/reply"
API_RESPONSE = "api/response"


VARIABLE = "variable_"
"""Before the name of a channel's variable: of the 200 lines of an event 130 begin so."""

VARIABLES = frozenset({"variable_sip_call_id", "variable_sip_req_user", "variable_record_ms"})
"""Those that are read. The others are passed over: decoding them would take four fifths of an event's time."""


class BadBlock(ValueError):
    """What arrived is not what FreeSWITCH sends; the connection cannot be trusted any more."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block as it came. headers: names in lower case. body: bytes, b"" when there is none."""

    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def kind(self) -> str:
        """Its Content-Type."""
        return self.headers.get("content-type", "")

    @property
    def text(self) -> str:
        """Its body as text; what is no UTF-8 is replaced, never refused."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. name: such as "CHANNEL_ANSWER"; of a CUSTOM one, its subclass. headers: as FreeSWITCH spells them, of variables
    only those that are read."""

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def get(self, name: str) -> str:
        """A header's value, "" when there is none."""
        return self.headers.get(name, "")


def headers_of(raw: bytes) -> dict[str, str]:
    """Header lines of a block, names in lower case. The first of two lines with one name counts."""
    found: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def length_of(headers: Mapping[str, str], most: int) -> int:
    """Bytes of the body that follows. Raises `BadBlock` for a length that is none, or above `most`."""
    given = headers.get("content-length", "0")
    if not given.isdecimal() or int(given) > most:
        raise BadBlock(f"a body of {given[:20]!r} bytes; at most {most} are taken")
    return int(given)


def event_of(block: Block) -> Event:
    """The event in a block's body, without the channel's variables but `VARIABLES`. Raises `BadBlock` when there is none."""
    head, _, rest = block.body.partition(b"\n\n")
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(": ")
        if colon and (not name.startswith(VARIABLE) or name in VARIABLES):
            headers.setdefault(name, unquote(value, errors="replace"))
    name = headers.get("Event-Name", "")
    if not name:
        raise BadBlock("an event without a name")
    subclass = headers.get("Event-Subclass", "") if name == "CUSTOM" else ""
    size = headers.get("Content-Length", "")
    body = rest[: int(size)] if size.isdecimal() else b""
    return Event(subclass or name, headers, body.decode("utf-8", "replace"))
