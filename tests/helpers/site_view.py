"""A site held in memory: a `View` for tests of routing, with keyword overrides, and the facts of a call."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.view import Extension, Group, Peer, Policy
from appliance.model import CallControl, LinkState, UpstreamAuth

ALLOW = ("toll_free", "local", "national", "mobile", "ip_phone")
KINDS = ("emergency", *ALLOW, "special", "international")

CLOUD = Peer("cloud", "sip:198.51.100.7:5060;transport=udp", number_format="extension")
SECOND = Peer("second", "sip:198.51.100.8:5060;transport=udp", number_format="e164", caller="+81312340000")
GATEWAY = Peer(
    "gw1",
    "sip:192.0.2.40:5060;transport=udp",
    network="lan",
    number_format="national",
    kinds=KINDS,
    caller="+81312340000",
    max_calls=2,
)
OTHER_GATEWAY = replace(GATEWAY, id="gw2", uri="sip:192.0.2.41:5060;transport=udp", number_format="e164")

EXTENSIONS = (
    Extension("201", "Sato", "+81312340201", ALLOW, record="all"),
    Extension("202", "Suzuki", "+81312340202", ALLOW),
    Extension("203", "Takahashi", "", ALLOW),
    Extension("204", "Lobby", "", ()),
)
GROUPS = (
    Group("600", "Sales", "all", ("201", "202")),
    Group("601", "Support", "turn", ("202", "203"), ring_s=15),
)
REMOTE_EXTENSIONS = {"7201": "+81664001201"}
PUBLIC_NUMBERS = {"+81312340201": "201", "+81312340202": "202", "+81312340600": "600"}


def policy(**changes: Any) -> Policy:
    """Tokyo, area 3, outside prefix 0, the cloud in control, one gateway."""
    return replace(
        Policy(
            site_id="tokyo-1",
            version=1,
            domain="tokyo-1.example",
            realm="tokyo-1.example",
            call_control=CallControl.CLOUD,
            upstream_auth=UpstreamAuth.TRUSTED,
            country="81",
            area="3",
            national_prefix="0",
            international_prefix="010",
            outside_prefix="0",
            emergency_numbers=("110", "118", "119"),
            emergency_caller="+81312340000",
            emergency_gateways=("gw1",),
            upstreams=(CLOUD,),
            gateways=(GATEWAY,),
        ),
        **changes,
    )


@dataclass
class SiteView:
    """A `View` whose every answer is a field."""

    policy: Policy = field(default_factory=policy)
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    remotes: Mapping[str, str] = field(default_factory=dict)
    public: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, LinkState] = field(default_factory=dict)
    gateway_calls: Mapping[str, int] = field(default_factory=dict)
    extension_calls: Mapping[str, int] = field(default_factory=dict)
    all_calls: int = 0
    lives: Mapping[str, int] = field(default_factory=dict)
    talking: frozenset[str] = frozenset()
    wishes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    generation: str = ""
    desks: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, int] = field(default_factory=dict)
    callers: Mapping[str, str] = field(default_factory=dict)
    emergency_ago_s: float = float("inf")
    idle: Mapping[str, int] = field(default_factory=dict)

    def extension(self, number: str) -> Extension | None:
        return self.extensions.get(number)

    def document_extension(self, number: str) -> Extension | None:
        return self.extensions.get(number)

    def group(self, number: str) -> Group | None:
        return self.groups.get(number)

    def remote_extension(self, number: str) -> str | None:
        return self.remotes.get(number)

    def extension_of(self, public_number: str) -> str | None:
        return self.public.get(public_number)

    def link(self, upstream_id: str) -> LinkState:
        return self.links.get(upstream_id, LinkState.UNKNOWN)

    def life_ms(self, upstream_id: str) -> int:
        return max(self.policy.upstream_life_ms, self.lives.get(upstream_id, 0))

    def registered(self, number: str) -> bool:
        return number in self.extensions

    def calls_on(self, gateway_id: str) -> int:
        return self.gateway_calls.get(gateway_id, 0)

    def outside_calls_of(self, extension: str) -> int:
        return self.extension_calls.get(extension, 0)

    def outside_calls(self) -> int:
        return self.all_calls

    def person_at(self, phone: str) -> str:
        return self.desks.get(phone, "")

    def tries(self, key: str) -> int:
        return self.wrong.get(key, 0)

    def last_caller(self, extension: str) -> str:
        return self.callers.get(extension, "")

    def emergency_within(self, seconds: int) -> bool:
        return self.emergency_ago_s < seconds

    def in_call(self, extension: str) -> bool:
        return extension in self.talking

    def wish(self, what: str, extension: str) -> str:
        return self.wishes.get((what, extension), "")

    def idle_since_ms(self, extension: str) -> int:
        return self.idle.get(extension, 0)


def site(
    *changed: Extension | Group,
    link: LinkState = LinkState.UP,
    links: Mapping[str, LinkState] | None = None,
    gateway_calls: Mapping[str, int] | None = None,
    extension_calls: Mapping[str, int] | None = None,
    all_calls: int = 0,
    **policy_changes: Any,
) -> SiteView:
    """The sample site. changed: extensions and groups that replace those of the same number. link: of the upstream
    "cloud"; links: of the others. Further keywords change the policy."""
    extensions = {extension.number: extension for extension in EXTENSIONS}
    groups = {group.number: group for group in GROUPS}
    extensions |= {item.number: item for item in changed if isinstance(item, Extension)}
    groups |= {item.number: item for item in changed if isinstance(item, Group)}
    return SiteView(
        policy(**policy_changes),
        extensions,
        groups,
        REMOTE_EXTENSIONS,
        PUBLIC_NUMBERS,
        {"cloud": link, **(links or {})},
        gateway_calls or {},
        extension_calls or {},
        all_calls,
    )


def extension(number: str, **changes: Any) -> Extension:
    """The sample site's extension of that number, changed."""
    return replace(next(item for item in EXTENSIONS if item.number == number), **changes)


def group(number: str, **changes: Any) -> Group:
    """The sample site's group of that number, changed."""
    return replace(next(item for item in GROUPS if item.number == number), **changes)


def from_phone(dialled: str, caller: str = "201", **changes: Any) -> CallFacts:
    """A call from one of the site's telephones."""
    return replace(CallFacts(Origin.PHONE, caller, dialled, caller), **changes)


def from_cloud(dialled: str, caller: str = "+819011112222", **changes: Any) -> CallFacts:
    """A call from the upstream "cloud"."""
    return replace(CallFacts(Origin.UPSTREAM, "cloud", dialled, caller), **changes)


def from_gateway(dialled: str, caller: str = "09011112222", **changes: Any) -> CallFacts:
    """A call from the gateway "gw1"."""
    return replace(CallFacts(Origin.GATEWAY, "gw1", dialled, caller), **changes)


def from_stranger(dialled: str) -> CallFacts:
    """A call from nobody the site knows."""
    return CallFacts(Origin.STRANGER, "", dialled, "100")
