"""The emulator's datagrams: a symmetric NAT between the box's ports and the cloud's, which keeps every port number.

For every port P of the cloud there is a socket at the cloud's stand-in address, and for every port Q of the box one at the
box's stand-in. What the box sends from Q to stand-in:P leaves from box-stand-in:Q to cloud:P, and back.
"""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.lab.impair import Lane
from tests.lab.link_state import Kind, LineState

BATCH = 64
"""Datagrams taken from one socket before the others get their turn."""

LEARNED_MAX = 64
"""Ports translated beyond the stated ones, in each direction; a leak of sockets would otherwise go unnoticed."""

NOWHERE_PORT = 9
"""A socket connected to this port of its own address takes nothing from anybody: the kernel answers with ICMP."""


@dataclass(frozen=True)
class Side:
    """One end of the NAT: where its peer really is, and the stand-in that the peer talks to."""

    direction: str
    peer: str
    stand_in: str
    ports: tuple[int, ...]


class UdpRelay:
    """Moves datagrams between two sides; ``apply`` changes the line under them."""

    def __init__(
        self, box: Side, cloud: Side, lanes: dict[str, Lane], counts: dict[str, Counter[str]]
    ) -> None:
        """``box`` listens at the cloud's stand-in (its peer is the box), ``cloud`` at the box's."""
        self._sides = (box, cloud)
        self._lanes = lanes
        self._counts = counts
        self._sockets: dict[str, dict[int, socket.socket]] = {"up": {}, "down": {}}
        self._state = LineState()
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Bind every port. Raises ``OSError`` when one is taken."""
        for side in self._sides:
            self._bind(side, side.ports)

    def apply(self, state: LineState) -> None:
        """Change to ``state`` at once."""
        before, self._state = self._state, state
        for side in self._sides:
            was = before.blocks(side.direction) and before.kind is Kind.REJECT
            is_ = state.blocks(side.direction) and state.kind is Kind.REJECT
            if is_ and not was:
                # Connected elsewhere: arriving datagrams find no socket, while sending to any address still works.
                for sock in self._sockets[side.direction].values():
                    sock.connect((side.stand_in, NOWHERE_PORT))
            elif was and not is_:
                self._close(side)
                self._bind(side, side.ports)

    def close(self) -> None:
        """Close every socket."""
        for side in self._sides:
            self._close(side)

    def _bind(self, side: Side, ports: Iterable[int]) -> None:
        other = self._sides[1] if side is self._sides[0] else self._sides[0]
        for port in ports:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.bind((side.stand_in, port))
            self._sockets[side.direction][port] = sock
            self._loop.add_reader(sock, self._readable, sock, side, other, port)

    def _learn(self, side: Side, port: int) -> None:
        """A port that the far side uses of its own accord, as the agent's probes do: translate it as well."""
        if len(self._sockets[side.direction]) < len(side.ports) + LEARNED_MAX:
            with contextlib.suppress(OSError):
                self._bind(side, (port,))

    def _close(self, side: Side) -> None:
        for sock in self._sockets[side.direction].values():
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets[side.direction].clear()

    def _readable(self, sock: socket.socket, side: Side, other: Side, port: int) -> None:
        counts = self._counts[side.direction]
        leaving_sockets = self._sockets[other.direction]
        for _ in range(BATCH):
            try:
                data, (address, source_port) = sock.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:
                continue
            if address == side.peer and source_port not in leaving_sockets:
                self._learn(other, source_port)
            leaving = leaving_sockets.get(source_port)
            if address != side.peer or leaving is None:
                counts["strangers"] += 1
                continue
            counts["datagrams"] += 1
            counts["bytes"] += len(data)
            if self._state.blocks(side.direction):
                counts["dropped"] += 1
                continue
            now = self._loop.time()
            departure = self._lanes[side.direction].datagram(now, len(data))
            if departure is None:
                counts["dropped"] += 1
            elif departure <= now:
                self._send(leaving, data, (other.peer, port), counts)
            else:
                self._loop.call_at(departure, self._send_later, side, other, source_port, data, port)

    def _send_later(self, side: Side, other: Side, source_port: int, data: bytes, port: int) -> None:
        counts = self._counts[side.direction]
        leaving = self._sockets[other.direction].get(source_port)
        if leaving is None or self._state.blocks(side.direction):
            counts["dropped"] += 1
        else:
            self._send(leaving, data, (other.peer, port), counts)

    @staticmethod
    def _send(sock: socket.socket, data: bytes, to: tuple[str, int], counts: Counter[str]) -> None:
        try:
            sock.sendto(data, to)
        except OSError:
            counts["dropped"] += 1
        else:
            counts["passed"] += 1
