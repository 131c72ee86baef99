"""ADAPTER. Probes one upstream with SIP OPTIONS from a socket of its own, several times a second.

It has its own timers: Kamailio's dispatcher waits tm's `fr_timer`, 30 s by default. It decides nothing: each probe's
outcome goes to `report` as a `Sighting`. It never asks a resolver: the upstream is a literal address. It sends from the
address that Kamailio sends calls from, and from no other: while that one is gone no call could follow the probe. A
broken socket is opened anew, so that the address's return is noticed.
"""

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from agent.evidence import ROUND_TRIP_LIMIT_MS, Sighting
from agent.options import MAGIC_COOKIE, Answer, options_request, read_answer, split_stream
from appliance.addresses import SipAddress

DEADLINE_S = ROUND_TRIP_LIMIT_MS / 1000
"""An answer that comes later counts as lost; see `evidence`."""

LATE_S = 10.0
"""For so long a late answer is still recognised, for the round trip in the status."""

REOPEN_S = 2.0
"""A TCP connection that answered nothing for so long is opened anew: it may be half open."""

CONNECT_S = 1.0
"""A TCP connection that is not there after this is given up and tried again."""

SIGNALLING_TOS = 96
"""DSCP CS3 in the upper six bits, as Kamailio marks its own messages (`tos` in kamailio.cfg): a probe that the line treated
otherwise would tell of another line."""

Report = Callable[[Sighting, float | None], None]
"""Called with the sighting and the round trip in milliseconds (None when there was none)."""


class Wire(Protocol):
    """What carries probes: one UDP socket or one TCP connection."""

    def send(self, message: bytes) -> None:
        """Send or raise `OSError`; never blocks."""
        ...

    def local(self) -> tuple[str, int]:
        """Local address and port."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Pending:
    sent_s: float
    timer: asyncio.TimerHandle
    lost: bool = False


class Probe:
    """Probes of one upstream. `run` until cancelled.

    sent, answered: probes of this run. heard_there: how many of them the far side says it saw, None when it does not.
    """

    def __init__(
        self, to: SipAddress, local_host: str, report: Report, late: Callable[[float], None] | None = None
    ) -> None:
        self._to = to
        self._local_host = local_host
        self._report = report
        self._late = late or (lambda _rtt_ms: None)
        self._run = secrets.token_hex(6)
        self._pending: dict[str, _Pending] = {}
        self._wire: Wire | None = None
        self._last_answer_s = 0.0
        self.sent = 0
        self.answered = 0
        self.heard_there: int | None = None

    @property
    def lost_there_ratio(self) -> float | None:
        """Share of our probes that never reached the far side, 0..1; None when it does not keep count."""
        if self.heard_there is None or not self.sent:
            return None
        return max(0.0, 1.0 - self.heard_there / self.sent)

    async def run(self, interval_s: Callable[[], float]) -> None:
        """Probe until cancelled; `interval_s` is asked before each wait. Every way to fail is a sighting."""
        try:
            while True:
                due_s = asyncio.get_running_loop().time() + interval_s()
                await self.once()
                await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
        finally:
            self._close()

    async def once(self) -> None:
        """Send one probe, opening the socket where needed. Waits for a TCP connection for `CONNECT_S` at most."""
        loop = asyncio.get_running_loop()
        try:
            if (
                self._wire is not None
                and self._to.transport == "tcp"
                and self._silent_for(loop.time()) > REOPEN_S
            ):
                self._close()
            if self._wire is None:
                self._last_answer_s = loop.time()
                async with asyncio.timeout(CONNECT_S):
                    self._wire = await self._open()
            self._send(self._wire, loop)
        except (OSError, TimeoutError):
            self._close()
            self._report(Sighting.PROBE_UNSENT, None)

    def _send(self, wire: Wire, loop: asyncio.AbstractEventLoop) -> None:
        branch = MAGIC_COOKIE + secrets.token_hex(8)
        host, port = wire.local()
        number = self.sent + 1
        wire.send(
            options_request(
                self._to, host, port, branch=branch, run=self._run, number=number, answered=self.answered
            )
        )
        self.sent = number
        self._pending[branch] = _Pending(loop.time(), loop.call_later(DEADLINE_S, self._expire, branch))

    def _silent_for(self, now_s: float) -> float:
        return now_s - self._last_answer_s

    async def _open(self) -> Wire:
        if self._to.transport == "udp":
            return await _UdpWire.open(self._to, self._local_host, self.received, self.broken)
        return await _TcpWire.open(self._to, self._local_host, self.received, self.broken)

    def _close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def received(self, message: bytes) -> None:
        """Take one SIP message from the upstream; what is no answer to a probe of ours is ignored."""
        answer = read_answer(message)
        pending = self._pending.pop(answer.branch, None) if answer else None
        if answer is None or pending is None:
            return
        pending.timer.cancel()
        now_s = asyncio.get_running_loop().time()
        self._last_answer_s = now_s
        self._take(answer, pending, (now_s - pending.sent_s) * 1000)

    def _take(self, answer: Answer, pending: _Pending, rtt_ms: float) -> None:
        self.answered += 1
        if answer.heard is not None:
            self.heard_there = min(answer.heard, self.sent)
        if pending.lost:
            self._late(rtt_ms)
        else:
            self._report(answer.sighting, rtt_ms)

    def _expire(self, branch: str) -> None:
        """The probe's time is over: it is lost, but a late answer is still recognised for a while."""
        pending = self._pending.get(branch)
        if pending is None:
            return
        if pending.lost:
            del self._pending[branch]
            return
        pending.lost = True
        pending.timer = asyncio.get_running_loop().call_later(LATE_S, self._expire, branch)
        self._report(Sighting.PROBE_LOST, None)

    def broken(self) -> None:
        """The socket reported an error (port closed, network gone, connection reset): every open probe is lost."""
        self._close()
        for branch, pending in list(self._pending.items()):
            if not pending.lost:
                pending.timer.cancel()
                del self._pending[branch]
                self._report(Sighting.PROBE_UNSENT, None)


def _mark(transport: asyncio.BaseTransport) -> None:
    """Have the network treat what is sent as signalling."""
    line = cast(socket.socket, transport.get_extra_info("socket"))
    if line.family == socket.AF_INET6:
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, SIGNALLING_TOS)
    else:
        line.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, SIGNALLING_TOS)


class _UdpWire(asyncio.DatagramProtocol):
    """A connected UDP socket: the kernel lets only the upstream's datagrams in and hands on ICMP errors."""

    def __init__(self, received: Callable[[bytes], None], broken: Callable[[], None]) -> None:
        self._received, self._broken = received, broken
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = False

    @classmethod
    async def open(
        cls, to: SipAddress, local_host: str, received: Callable[[bytes], None], broken: Callable[[], None]
    ) -> "_UdpWire":
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_datagram_endpoint(
            lambda: cls(received, broken), local_addr=(local_host, 0), remote_addr=(to.host, to.port)
        )
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        _mark(transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._received(data)

    def error_received(self, exc: Exception) -> None:
        self._fail()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail()

    def _fail(self) -> None:
        if not self._closed:
            self._broken()

    def send(self, message: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the socket is closed")
        self._transport.sendto(message)

    def local(self) -> tuple[str, int]:
        if self._transport is None:
            raise ConnectionError("the socket is closed")
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.close()


def _liveness_tls() -> ssl.SSLContext:
    """TLS without a look at the certificate: a probe asks whether somebody answers and carries nothing secret.
    Calls go through Kamailio, which checks the certificate by its own rules."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _TcpWire(asyncio.Protocol):
    """One TCP or TLS connection, framed by Content-Length."""

    def __init__(self, received: Callable[[bytes], None], broken: Callable[[], None]) -> None:
        self._received, self._broken = received, broken
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._closed = False

    @classmethod
    async def open(
        cls, to: SipAddress, local_host: str, received: Callable[[bytes], None], broken: Callable[[], None]
    ) -> "_TcpWire":
        loop = asyncio.get_running_loop()
        tls = _liveness_tls() if to.transport == "tls" else None
        _, wire = await loop.create_connection(
            lambda: cls(received, broken), to.host, to.port, local_addr=(local_host, 0), ssl=tls
        )
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _mark(transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages, self._rest = split_stream(self._rest + data)
        except ValueError:
            self.close()
            self._broken()
            return
        for message in messages:
            self._received(message)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed:
            self._broken()

    def send(self, message: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        self._transport.write(message)

    def local(self) -> tuple[str, int]:
        if self._transport is None:
            raise ConnectionError("the connection is closed")
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.abort()
