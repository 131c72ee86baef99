"""Who an address is, by the site document: an upstream, a gateway, a place on the site's networks, or anybody. Pure."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from appliance.kamailio.flood import Source
from appliance.kamailio.here import host_of
from appliance.kamailio.request import Origin
from appliance.kamailio.view import Policy

KEPT_MAX = 8_192
"""Addresses whose answer is remembered: a site's phones. A scanner that comes from more only costs the parsing."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the site document says of an address. peer_id: of the upstream or gateway, "" for others."""

    source: Source
    origin: Origin = Origin.STRANGER
    peer_id: str = ""


@dataclass(slots=True)
class Sources:
    """The addresses of one version of the site document.

    media: address of FreeSWITCH, "" where there is none. Peers are known by address alone: their requests may come from any
    port (TCP, or a gateway behind its own NAT).
    """

    policy: Policy
    media: str = ""
    _peers: dict[str, Known] = field(init=False)
    _networks: list[IPv4Network | IPv6Network] = field(init=False)
    _kept: dict[str, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        gateways = {
            host_of(peer.uri): Known(Source.PEER, Origin.GATEWAY, peer.id) for peer in self.policy.gateways
        }
        upstreams = {
            host_of(peer.uri): Known(Source.PEER, Origin.UPSTREAM, peer.id) for peer in self.policy.upstreams
        }
        media = {self.media.strip("[]"): Known(Source.PEER, Origin.MEDIA, "media")} if self.media else {}
        self._peers = gateways | upstreams | media
        self._networks = [ip_network(network) for network in self.policy.lan_networks]

    def known(self, address: str) -> Known:
        """What `address` (a literal, without brackets) is."""
        found = self._kept.get(address)
        if found is None:
            found = self._look(address.strip("[]"))
            if len(self._kept) < KEPT_MAX:
                self._kept[address] = found
        return found

    def _look(self, address: str) -> Known:
        if address in self._peers:
            return self._peers[address]
        try:
            number = ip_address(address)
        except ValueError:
            return Known(Source.OUTSIDE)
        inside = any(number in network for network in self._networks)
        return Known(Source.LAN if inside else Source.OUTSIDE)
