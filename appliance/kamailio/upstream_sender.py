"""Sends the registrations that `upstream_registrations` says are due, from a process of Kamailio's own.

Adapter. SIP workers tell it through a queue which numbers got or lost their phone, and what the upstreams answered.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.kamailio.bindings import aor_of
from appliance.kamailio.here import Here, transport_of
from appliance.kamailio.ksr import OwnRequest
from appliance.kamailio.upstream_registrations import EXPIRES_S, UpstreamRegistrations
from appliance.kamailio.view import Peer, View
from appliance.model import UpstreamAuth

QUEUE = "upstream"
"""Name of the queue in kamailio.cfg. Items: "want" NUMBER, "drop" NUMBER, "reply" "UPSTREAM NUMBER CODE GRANTED_S"."""

ITEMS_MAX = 2_000
"""Items taken in one turn."""


class Kamailio(Protocol):
    """What is asked of Kamailio."""

    def take(self, queue: str) -> tuple[str, str] | None: ...
    def registered(self, aor: str) -> bool: ...
    def send(self, request: OwnRequest) -> bool: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What an upstream answered to one registration."""

    upstream: str
    number: str
    code: int
    granted_s: int

    def __str__(self) -> str:
        return f"{self.upstream} {self.number} {self.code} {self.granted_s}"

    @classmethod
    def read(cls, text: str) -> "Reply":
        """Inverse of `str`. Raises ValueError."""
        upstream, number, code, granted_s = text.split(" ")
        return cls(upstream, number, int(code), int(granted_s))


def granted_s(contacts: list[str], expires: str, own: str) -> int:
    """Expiry that a 200 grants to the contact at `own` ("addr:port"), in seconds; what was asked for when it says nothing."""
    for contact in contacts:
        for one in contact.split(","):
            if f"@{own}" in one:
                found = _EXPIRES.search(one)
                if found:
                    return int(found.group(1))
    return int(expires) if expires.isdigit() else EXPIRES_S


_EXPIRES = re.compile(r";\s*expires\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class UpstreamSender:
    """One per Kamailio, in the rtimer process "upstream"."""

    def __init__(
        self,
        ksr: Kamailio,
        view: View,
        here: Here,
        now_ms: Callable[[], int],
        known: list[str],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """known: numbers with a phone when Kamailio started."""
        self._ksr = ksr
        self._view = view
        self._here = here
        self._now_ms = now_ms
        self._jitter = jitter
        self._numbers = set(known)
        self._plan = UpstreamRegistrations()
        self._named: tuple[str, ...] = ()

    def tick(self) -> int:
        """One turn; gives how many registrations were sent. Does not block. Raises what reading the snapshot raises."""
        policy = self._view.policy
        peers = policy.upstreams if policy.upstream_auth is UpstreamAuth.TRUSTED else ()
        self._site(peers)
        self._fill(peers)
        now_ms = self._now_ms()
        sent = 0
        for peer in peers:
            self._plan.link(peer.id, self._view.link(peer.id), now_ms)
            for number in self._plan.due(peer.id, now_ms):
                sent += self._send(peer, policy.domain, number)
        return sent

    def _site(self, peers: tuple[Peer, ...]) -> None:
        named = tuple(peer.id for peer in peers)
        if named == self._named:
            return
        self._named = named
        self._plan.upstreams(named)
        for number in self._numbers:
            for upstream in named:
                self._plan.want(upstream, number, self._now_ms())

    def _fill(self, peers: tuple[Peer, ...]) -> None:
        for _ in range(ITEMS_MAX):
            item = self._ksr.take(QUEUE)
            if item is None:
                return
            kind, value = item
            if kind == "reply":
                reply = Reply.read(value)
                key = (reply.upstream, reply.number)
                self._plan.answered(key, reply.code, reply.granted_s, self._now_ms(), self._jitter())
            elif kind == "want":
                self._numbers.add(value)
                for peer in peers:
                    self._plan.want(peer.id, value, self._now_ms())
            elif kind == "drop":
                for peer in peers:
                    self._plan.hasten(peer.id, value, self._now_ms())

    def _send(self, peer: Peer, domain: str, number: str) -> int:
        expires_s = EXPIRES_S
        if not self._ksr.registered(aor_of(number)):
            self._numbers.discard(number)
            self._plan.drop(peer.id, number)
            expires_s = 0
        request = register(peer, domain, number, self._here, expires_s)
        if self._ksr.send(request):
            return 1
        key = (peer.id, number)
        self._plan.answered(key, 503, 0, self._now_ms(), self._jitter())
        return 0


def own_address(peer: Peer, here: Here) -> str:
    """ "addr:port" that a peer reaches the box at."""
    if peer.network == "lan":
        return f"{here.lan}:{here.lan_port}"
    return here.wan_advertise or f"{here.wan}:{here.wan_port}"


def register(peer: Peer, domain: str, number: str, here: Here, expires_s: int) -> OwnRequest:
    """The REGISTER by which the box says that calls for `number` come to it. expires_s 0: no more."""
    transport = transport_of(peer.uri)
    own = own_address(peer, here)
    by = "" if transport == "udp" else f";transport={transport}"
    headers = (
        f"Contact: <sip:{number}@{own}{by}>;expires={expires_s}\r\n"
        f"Expires: {expires_s}\r\n"
        f"Path: <sip:{own}{by};lr>\r\n"
        "Supported: path\r\n"
        "User-Agent: kyusai\r\n"
    )
    return OwnRequest(
        method="REGISTER",
        ruri=f"sip:{domain}",
        to=f"sip:{number}@{domain}",
        hop=peer.uri,
        sock=here.sock(peer.network, transport),
        tag=f"{peer.id} {number}",
        headers=headers,
    )
