"""ADAPTER for the kernel's TCP: how the connections behave that carry recordings, and what the kernel knows of them.

Congestion control: BBR where the kernel offers it and lets this process choose it. It judges a line by what arrives and not
by what is lost: at 1 % loss and 50 ms it fills a line of 20 Mbit/s of which CUBIC fills an eighth (measured). Where it is
not to be had the default stays, and several connections make up for some of it. Packets are marked DSCP LE (RFC 8622),
"lower effort", which routers that know it send after everything else, and any other router treats like the rest.
"""

import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WANTED = (b"bbr",)
"""Congestion controls that survive loss, the best first."""
LE_DSCP = 1
"""RFC 8622: codepoint 000001."""
BULK_PRIORITY = 2
"""SO_PRIORITY `TC_PRIO_BULK` (linux/pkt_sched.h): the box's own queue sends calls first as well."""
UNSENT_BYTES = 64 * 1024
"""TCP_NOTSENT_LOWAT: what has been handed to the kernel and not sent stays small, so that a stop is a stop."""
_TCP_NOTSENT_LOWAT = 25
FRESH_MS = 1000
"""A connection that got no acknowledgement for so long says nothing of the line now."""
_INFO_BYTES = 128
UNDER_WAY = 8
"""Packets under way from which on a connection's round trip counts. With fewer the far side delays its acknowledgements (40 ms),
which would look like a queue just when we make none; and what is not under way cannot wait."""
_FIELDS = (("=I", 24), ("=I", 56), ("=I", 68), ("=Q", 120))
"""Where tcpi_unacked, tcpi_last_ack_recv (ms), tcpi_rtt (us) and tcpi_bytes_acked lie in `struct tcp_info` (linux/tcp.h), which
is part of the kernel's interface."""

Option = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
"""As httpx takes them."""
Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]


def congestion_control() -> str:
    """The name of what recordings are sent with here; "" for the kernel's default."""
    for name in WANTED:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)
            except OSError:
                continue
            return name.decode()
    return ""


def options(url: str) -> list[Option]:
    """Options of a socket that carries recordings to this centre (its host is a literal address)."""
    found: list[Option] = [
        (socket.SOL_SOCKET, socket.SO_PRIORITY, BULK_PRIORITY),
        (socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES),
    ]
    name = congestion_control()
    if name:
        found.append((socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode()))
    if ipaddress.ip_address(urlsplit(url).hostname or "").version == 6:
        found.append((socket.IPPROTO_IPV6, socket.IPV6_TCLASS, LE_DSCP << 2))
    else:
        found.insert(0, (socket.IPPROTO_IP, socket.IP_TOS, LE_DSCP << 2))  # it sets SO_PRIORITY too
    return found


class BulkLine:
    """The connections that are open. Give `trace` to httpx's requests (extension "trace"): it learns of each."""

    def __init__(self) -> None:
        self._sockets: list[Any] = []
        self._before: dict[int, int] = {}
        self._acknowledged = 0

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpcore at each of its steps."""
        if event == "connection.connect_tcp.complete":
            raw = info["return_value"].get_extra_info("socket")
            self._sockets = [one for one in self._sockets if one.fileno() >= 0]
            self._before = {key: self._before.get(key, 0) for key in map(id, self._sockets)}
            if raw is not None:
                self._sockets.append(raw)
                self._before[id(raw)] = 0

    def look(self) -> tuple[float | None, int]:
        """The median of the connections' smoothed round trips (ms, None while none is busy), and the bytes that were
        acknowledged on all of them since the beginning. Does not block."""
        round_trips = []
        for one in self._sockets:
            info = _info(one)
            if info is None:
                continue
            if info.round_trip_ms and info.acknowledged_ms_ago <= FRESH_MS and info.under_way >= UNDER_WAY:
                round_trips.append(info.round_trip_ms)
            self._acknowledged += max(info.acknowledged_bytes - self._before.get(id(one), 0), 0)
            self._before[id(one)] = info.acknowledged_bytes
        round_trips.sort()
        return round_trips[len(round_trips) // 2] if round_trips else None, self._acknowledged


@dataclass(frozen=True, slots=True)
class _Info:
    """Of `struct tcp_info`. under_way: packets; round_trip_ms: smoothed, 0 before the first."""

    under_way: int
    round_trip_ms: float
    acknowledged_ms_ago: int
    acknowledged_bytes: int


def _info(one: Any) -> _Info | None:
    try:
        raw = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return None
    if len(raw) < _INFO_BYTES:
        return None
    under_way, last_ack_ms, rtt_us, acked = (struct.unpack_from(kind, raw, at)[0] for kind, at in _FIELDS)
    return _Info(under_way, rtt_us / 1000, last_ack_ms, acked)
