"""Subscriptions of telephones to lamps (RFC 6665): what is asked, what is granted, and the NOTIFY that follows. Pure.

Events: `dialog` (RFC 4235, busy lamps), `presence` (RFC 3856, softphones) and `message-summary` (RFC 3842). A subscription is
known by its Call-ID and the telephone's tag; the box's own tag, which nobody else knows, stands for the credentials when the
telephone asks for more time.
"""

import re
from dataclasses import asdict, dataclass, replace

from appliance.kamailio import dialog_info, message_summary, presence_info
from appliance.kamailio.compact_json import read, write

DIALOG, PRESENCE, MESSAGES = "dialog", "presence", "message-summary"
CONTENT_TYPES = {
    DIALOG: dialog_info.CONTENT_TYPE,
    PRESENCE: presence_info.CONTENT_TYPE,
    MESSAGES: message_summary.CONTENT_TYPE,
}
ALLOW_EVENTS = ", ".join(CONTENT_TYPES)

OF_CALLS = (DIALOG, PRESENCE)
"""Events that calls of a number bring about."""

EXPIRES_S = 3_600
"""RFC 4235 section 3.4 and RFC 3842 section 3.4: what holds where the telephone says nothing. Also the longest."""
EXPIRES_MIN_S = 60
"""Below, a telephone with 60 keys would ask once a second: 423."""
GRACE_S = 30
"""A subscription outlives its time by this: its refresh may be under way."""

PER_TELEPHONE_MAX = 160
"""Subscriptions of one extension: three expansion modules of 50 keys, and its own."""
ALL_MAX = 10_000
"""Of a whole box, some 2 kB each; 200 telephones with 50 keys."""

TEXT_MAX = 512
"""Characters of each header value that is kept."""

CSEQ_STEP = 1_000
"""Numbers that are skipped when a subscription is read from disk, where its last ones may not stand."""


class Refused(Exception):
    """A SUBSCRIBE that is answered with an error. headers: lines for the reply, each with its end."""

    def __init__(self, code: int, reason: str, headers: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason, self.headers = code, reason, headers


@dataclass(frozen=True, slots=True)
class Subscription:
    """One telephone's wish to be told of one number.

    call_id, remote_tag: its key. local_tag: the box's. user: extension that asked. event, event_id: as in `Event`. number: what
    is watched. target: the telephone's Contact. hop: "sip:192.0.2.101:5060;transport=udp", where it was heard from. sock: the
    box's socket, as Kamailio names it. contact: the box's own Contact. remote, local: URIs without tags. route: Record-Route
    entries. expires_s: seconds since 1970. cseq: of the last NOTIFY. version: of its document.
    """

    call_id: str
    remote_tag: str
    local_tag: str
    user: str
    event: str
    number: str
    target: str
    hop: str
    sock: str
    contact: str
    remote: str
    local: str
    expires_s: int
    event_id: str = ""
    route: str = ""
    cseq: int = 0
    version: int = -1

    @property
    def key(self) -> str:
        """Names it within this box."""
        return key_of(self.call_id, self.remote_tag)

    def next(self) -> "Subscription":
        """After one more NOTIFY."""
        return replace(self, cseq=self.cseq + 1, version=self.version + 1)

    def renewed(self, by: "Subscription") -> "Subscription":
        """After a SUBSCRIBE within it: time and address are new, the rest is what it was."""
        return replace(
            self, expires_s=by.expires_s, target=by.target, hop=by.hop, sock=by.sock, contact=by.contact
        )

    def restored(self) -> "Subscription":
        """As it goes on after a restart."""
        return replace(self, cseq=self.cseq + CSEQ_STEP, version=self.version + CSEQ_STEP)

    def text(self) -> str:
        """For a queue, or the disk."""
        return write(asdict(self))

    @classmethod
    def of(cls, text: str) -> "Subscription":
        """Inverse of `text`. Raises ValueError."""
        try:
            values = read(text)
            return cls(**{name: values[name] for name in cls.__slots__ if name in values})
        except (TypeError, KeyError) as error:
            raise ValueError(f"no subscription: {text[:40]!r}") from error


def key_of(call_id: str, remote_tag: str) -> str:
    """Key of a subscription."""
    return f"{call_id};{remote_tag}"


def event_of(header: str) -> tuple[str, str]:
    """Package and id of an Event header. Raises `Refused` for one that the box does not know."""
    name, *params = (word.strip() for word in header.split(";"))
    if name.lower() not in CONTENT_TYPES:
        raise Refused(489, "Bad Event", f"Allow-Events: {ALLOW_EVENTS}\r\n")
    named = (word.partition("=")[2] for word in params if word.lower().startswith("id="))
    event_id = next(named, "")
    return name.lower(), event_id if _TOKEN.fullmatch(event_id) else ""


def granted_s(expires: str) -> int:
    """Seconds that are granted for an Expires header; 0 ends the subscription. Raises `Refused`."""
    if not expires:
        return EXPIRES_S
    if not expires.isdigit():
        raise Refused(400, "Bad Expires")
    asked = int(expires[:10])
    if 0 < asked < EXPIRES_MIN_S:
        raise Refused(423, "Interval Too Brief", f"Min-Expires: {EXPIRES_MIN_S}\r\n")
    return min(asked, EXPIRES_S)


def check_accept(headers: list[str], event: str) -> None:
    """Raises `Refused` for a telephone that cannot read what it would be sent."""
    given = {word.partition(";")[0].strip().lower() for header in headers for word in header.split(",")}
    if given - {""} and not given & {CONTENT_TYPES[event], "*/*", "application/*"}:
        raise Refused(406, "Not Acceptable", f"Accept: {CONTENT_TYPES[event]}\r\n")


def check_size(one: Subscription) -> None:
    """Raises `Refused` for a telephone whose names and addresses are longer than anybody's are."""
    if any(isinstance(value, str) and len(value) > TEXT_MAX for value in asdict(one).values()):
        raise Refused(400, "Too Long")


def contact_of(header: str) -> str:
    """URI of a Contact header. Raises `Refused` where there is none that a request could be sent to."""
    found = _CONTACT.search(header) or _BARE.fullmatch(header.partition(";")[0].strip())
    if found is None or len(found[1]) > TEXT_MAX:
        raise Refused(400, "Bad Contact")
    return found[1]


def notify_headers(one: Subscription, now_s: int, over: str = "") -> str:
    """Header lines of the next NOTIFY, `one` being as it is after it. over: why the subscription ends with it, or ""."""
    left_s = max(one.expires_s - now_s, 0)
    state = f"terminated;reason={over}" if over else f"active;expires={left_s}"
    event = f"{one.event};id={one.event_id}" if one.event_id else one.event
    lines = (
        f"From: <{one.local}>;tag={one.local_tag}",
        f"To: <{one.remote}>;tag={one.remote_tag}",
        f"Call-ID: {one.call_id}",
        f"CSeq: {one.cseq} NOTIFY",
        *([f"Route: {one.route}"] if one.route else ()),
        "Max-Forwards: 70",
        f"Contact: <{one.contact}>",
        f"Event: {event}",
        f"Subscription-State: {state}",
        f"Content-Type: {CONTENT_TYPES[one.event]}",
    )
    return "".join(f"{line}\r\n" for line in lines)


def notify(one: Subscription, headers: str, body: str) -> str:
    """The whole NOTIFY, for a transport that takes bytes as they are. headers: of `notify_headers`."""
    transport, _, place = one.sock.partition(":")
    return (
        f"NOTIFY {one.target} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport.upper()} {place};rport;branch=z9hG4bK-{one.local_tag}-{one.cseq}\r\n"
        f"{headers}User-Agent: kyusai\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
    )


_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}", re.ASCII)
_CONTACT = re.compile(r"<(sips?:[^>\s]+)>", re.IGNORECASE)
_BARE = re.compile(r"(sips?:[^>\s<,]+)", re.IGNORECASE)
