"""Read access to what a decision needs: the contract (`View`) and the values it hands out.

The values are the route snapshot's rows in the shape routing reads them. Opening the snapshot is `snapshot_view`'s work.
"""

from dataclasses import dataclass, field
from typing import Protocol

from appliance.feature_codes import Code
from appliance.model import CallControl, LinkState, UpstreamAuth


@dataclass(frozen=True, slots=True)
class Extension:
    """A telephone number inside the site. public_number: E.164 or "". allow: `NumberKind` values it may call outside.
    max_calls: calls at once with the outside. record: "all", "outside" or "none". blocked: callers not wanted (`blocking`);
    blocked_too: those blocked at the telephone, with spaces between. block_action: what becomes of them.
    pin_sha256: of the PIN for logging in at other telephones, "" for none.
    no_answer_s: before forward_no_answer. screening: see `screening`.
    announce: who is told that calls of the extension are recorded, see `announcement`; "site": as the site says.
    pickup_group: extensions with the same one may pick up each other's calls; "" is none."""

    number: str
    display: str = ""
    public_number: str = ""
    allow: tuple[str, ...] = ()
    forward_always: str = ""
    forward_busy: str = ""
    forward_no_answer: str = ""
    no_answer_s: int = 20
    do_not_disturb: bool = False
    reject_anonymous: bool = False
    blocked: tuple[str, ...] = ()
    blocked_too: str = ""
    block_action: str = "site"
    pin_sha256: str = ""
    record: str = "none"
    max_calls: int = 4
    screening: str = "off"
    pickup_group: str = ""
    announce: str = "site"


@dataclass(frozen=True, slots=True)
class Group:
    """A hunt group. strategy: "all" (rung together), or one after the other, ring_s each: "turn" (in the document's order),
    "round_robin" (the next after the one who was rung first last time), "longest_idle" (whose last answered call ended
    longest ago). ring_busy: members who are in a call are rung as well. overflow: number that takes the call when nobody
    answers, or ""; overflow_s: after so many seconds at the latest, 0 when all have been tried."""

    number: str
    name: str
    strategy: str
    members: tuple[str, ...]
    ring_s: int = 20
    overflow: str = ""
    overflow_s: int = 0
    ring_busy: bool = True


@dataclass(frozen=True, slots=True)
class Peer:
    """An upstream or a gateway. uri: SIP URI with a literal address. network: the box's socket, "lan" or "wan".
    number_format: "e164" (+81...), "national" (0...) or "extension" (as dialled). kinds: `NumberKind` values a gateway carries.
    caller: E.164 presented when the extension has no number of its own. identity: "from", "pai" or "ppi".
    max_calls: 0 is no limit."""

    id: str
    uri: str
    network: str = "wan"
    number_format: str = "e164"
    kinds: tuple[str, ...] = ()
    caller: str = ""
    identity: str = "pai"
    max_calls: int = 0


VOICEMAIL_CODE = "*98"
"""Before an extension's number: leave a message in its box. Forwarding and overflow may name it."""

FEATURE_USER = "feature-"
"""Before a feature's id, and a hyphen and what was dialled behind its code: what FreeSWITCH is called by. No telephone can
dial it."""


@dataclass(frozen=True, slots=True)
class Application:
    """A number that the box's FreeSWITCH answers. kind: "flow", "announcement", "conference", "voicemail".
    fallback: number that takes the call while FreeSWITCH is out of order, or "". announces: it says itself that calls are
    recorded."""

    number: str
    kind: str
    fallback: str = ""
    announces: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for the whole site. See `docs/site-document.md` for each field's meaning and default.
    application_calls: outside numbers, as dialled, that the site's flows call; FreeSWITCH may call no others.
    mailboxes: extensions that have a voicemail box. codes: feature codes in force, those alone that are dialled.
    spoken_refusals: FreeSWITCH says why a call is refused, before the reply.
    announce: who is told that a call is recorded, see `announcement`; sentence: the audio that says so, below the folder of
    prompts, "" where nobody is told.
    pickup: who may pick calls up: "group" (those of one pickup group), "site" (everybody) or "off".
    follows_members: some group asks who is in a call; follows_idle: and since when the others are not.
    blocked, reject_anonymous, block_action: as of extensions, for callers from outside.
    emergency_callback_s: after an emergency call nobody from outside is blocked for so long.
    hot_desk_ends: minute of the day at which people are logged out, -1 for never; hot_desk_tries: wrong PINs that lock for
    hot_desk_lock_s."""

    site_id: str
    version: int
    domain: str
    realm: str
    call_control: CallControl
    upstream_auth: UpstreamAuth
    country: str
    area: str
    national_prefix: str
    international_prefix: str
    outside_prefix: str
    emergency_numbers: tuple[str, ...]
    emergency_caller: str
    emergency_gateways: tuple[str, ...]
    upstreams: tuple[Peer, ...] = ()
    gateways: tuple[Peer, ...] = ()
    offline_international: bool = False
    offline_outside_calls_max: int = 0
    upstream_life_ms: int = 600
    lan_networks: tuple[str, ...] = field(default=())
    applications: tuple[Application, ...] = ()
    application_calls: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    spoken_refusals: bool = True
    pickup: str = "group"
    announce: str = "off"
    sentence: str = ""
    follows_members: bool = False
    follows_idle: bool = False
    blocked: tuple[str, ...] = ()
    reject_anonymous: bool = False
    block_action: str = "reject"
    emergency_callback_s: int = 3_600
    time_zone: str = "UTC"
    hot_desk_ends: int = -1
    hot_desk_tries: int = 5
    hot_desk_lock_s: int = 900

    def application(self, number: str) -> Application | None:
        """The application of that number. There are a few dozen at most, so they are gone through. A code and the number of
        an extension that has a voicemail box is one as well."""
        if number.startswith(VOICEMAIL_CODE) and number[len(VOICEMAIL_CODE) :] in self.mailboxes:
            return Application(number, "voicemail")
        for one in self.applications:
            if one.number == number:
                return one
        return None

    def feature(self, digits: str) -> tuple[str, str] | None:
        """Id of the feature that was dialled, and what followed its code."""
        for one in self.codes:
            argument = one.argument(digits)
            if argument is not None:
                return one.id, argument
        return None


class View(Protocol):
    """What `decide` may ask. Every answer is a local, indexed read."""

    @property
    def policy(self) -> Policy: ...
    @property
    def generation(self) -> str:
        """Another one when somebody has set something at a telephone."""
        ...

    def extension(self, number: str) -> Extension | None:
        """With what was set at the telephone."""
        ...

    def document_extension(self, number: str) -> Extension | None:
        """As the site document says."""
        ...

    def group(self, number: str) -> Group | None: ...
    def remote_extension(self, number: str) -> str | None:
        """E.164 of another site's extension, or None."""
        ...

    def extension_of(self, public_number: str) -> str | None:
        """Extension or group number that this site answers for an E.164 number, or None."""
        ...

    def link(self, upstream_id: str) -> LinkState: ...
    def life_ms(self, upstream_id: str) -> int:
        """How long an upstream is given for its first sign of life, in ms."""
        ...

    def registered(self, number: str) -> bool: ...
    def calls_on(self, gateway_id: str) -> int: ...
    def outside_calls_of(self, extension: str) -> int: ...
    def outside_calls(self) -> int: ...
    def in_call(self, extension: str) -> bool: ...
    def person_at(self, phone: str) -> str:
        """Extension of who is logged in at a telephone, or ""."""
        ...

    def tries(self, key: str) -> int:
        """Wrong PINs of an extension, or of a telephone ("phone:" and its number)."""
        ...

    def wish(self, what: str, extension: str) -> str:
        """What an extension wants, "" for nothing: see `callback`."""
        ...

    def last_caller(self, extension: str) -> str:
        """Who called the extension last; "anonymous" for one without a number, "" for nobody."""
        ...

    def emergency_within(self, seconds: int) -> bool:
        """Whether somebody at the site has made an emergency call within so many seconds."""
        ...

    def idle_since_ms(self, extension: str) -> int:
        """When the extension's last answered call ended, in milliseconds since 1970; 0: it had none."""
        ...
