"""What a box knows of itself while it routes: its sockets, its networks, and which peer an address belongs to.

Pure. Values come from box.toml when Kamailio's files are rendered; nothing is asked of the machine at run time.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from appliance.kamailio.call_key import host_port
from appliance.kamailio.view import Peer, Policy

ADDRESSES_KEPT = 4_096
"""Addresses whose network is remembered: a site's telephones. Reading one takes longer than all else that is asked of it."""


@dataclass(frozen=True, slots=True)
class Here:
    """Addresses of the box's SIP sockets. wan_advertise: "address:port" that upstreams see, or "". media: FreeSWITCH's
    "address:port", "" where there is none; media_port: the box's socket beside it. own: "host:port" of every
    socket, as Route headers may name them."""

    lan: str
    lan_port: int
    wan: str
    wan_port: int
    wan_advertise: str = ""
    lan_tls_port: int = 0
    lan_ws_port: int = 0
    media: str = ""
    media_port: int = 0
    own: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ports = (self.lan_port, self.lan_tls_port, self.lan_ws_port)
        named = {f"{self.lan}:{port}" for port in ports if port}
        beside = f"{self.media_host}:{self.media_port}" if self.media else ""
        own = frozenset({*named, f"{self.wan}:{self.wan_port}", self.wan_advertise, beside} - {""})
        object.__setattr__(self, "own", own)

    def is_own(self, address: str) -> bool:
        """Whether a literal address, with or without brackets, is one of the box's own."""
        return address.strip("[]") in (self.lan.strip("[]"), self.wan.strip("[]"))

    @property
    def media_host(self) -> str:
        """Address that FreeSWITCH shares with a socket of the box."""
        return self.media.rpartition(":")[0]

    def sock(self, network: str, transport: str = "udp") -> str:
        """The socket to send from on "lan", "wan" or "media", as Kamailio names it."""
        if network == "media":
            return f"udp:{self.media_host}:{self.media_port}"
        host, port = (self.wan, self.wan_port) if network == "wan" else (self.lan, self.lan_port)
        if transport == "tls" and network == "lan" and self.lan_tls_port:
            port = self.lan_tls_port
        return f"{transport}:{host}:{port}"


@lru_cache(ADDRESSES_KEPT)
def transport_of(uri: str) -> str:
    """Transport that a SIP URI asks for: "udp" where it names none."""
    for word in uri.lower().split(";")[1:]:
        if word.startswith("transport="):
            return word.removeprefix("transport=").partition(">")[0]
    return "tls" if uri.lower().startswith("sips:") else "udp"


@lru_cache(ADDRESSES_KEPT)
def host_of(uri: str) -> str:
    """Host part of a SIP URI, without brackets; "" when it is none."""
    return host_port(uri).rpartition(":")[0].strip("[]")


def network_of(address: str, policy: Policy) -> str:
    """ "lan" for an address of the site's networks, else "wan"."""
    return _network_of(address, policy.lan_networks)


@lru_cache(ADDRESSES_KEPT)
def _network_of(address: str, lan_networks: tuple[str, ...]) -> str:
    try:
        number = ip_address(address.strip("[]"))
    except ValueError:
        return "wan"
    return "lan" if any(number in lan for lan in _networks(lan_networks)) else "wan"


@lru_cache(1)
def _networks(lan_networks: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(lan) for lan in lan_networks]


def peer_at(uri: str, policy: Policy) -> Peer | None:
    """The upstream or gateway that a request to `uri` goes to, by address and port."""
    address = host_port(uri)
    for peer in policy.upstreams:
        if host_port(peer.uri) == address:
            return peer
    for peer in policy.gateways:
        if host_port(peer.uri) == address:
            return peer
    return None


def peer_of(peer_id: str, policy: Policy) -> Peer | None:
    """The upstream or gateway of that id."""
    return next((peer for peer in (*policy.upstreams, *policy.gateways) if peer.id == peer_id), None)


def with_user(uri: str, user: str) -> str:
    """A peer's URI with a user part."""
    scheme, _, rest = uri.partition(":")
    return f"{scheme}:{user}@{rest.rpartition('@')[2]}"
