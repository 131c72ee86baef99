"""The emulator's TCP: connections end here and are opened again on the far side, so that they can be stalled or broken.

What a user-space relay cannot show: acknowledgements come from the emulator, so a sender learns of a black hole from its
own time-outs on unanswered requests, or when some hundred kilobytes are stuck, not from missing ACKs.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from dataclasses import dataclass

from tests.lab.impair import Lane
from tests.lab.link_state import DIRECTIONS, Kind, LineState

CHUNK_BYTES = 16384
CHUNKS_IN_FLIGHT = 16
"""More than this and the emulator stops reading: the sender feels the window close."""

BACKLOG = 128
FILL_WAIT_S = 0.03
"""A loopback connection that is not there after this found the accept queue full."""

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Listener:
    """Where connections are taken, in which direction their caller speaks, and where they go."""

    direction: str
    listen: tuple[str, int]
    source: str
    target: tuple[str, int]


class TcpRelay:
    """All connections of one listener."""

    def __init__(
        self,
        listener: Listener,
        lanes: dict[str, Lane],
        gates: dict[str, asyncio.Event],
        counts: dict[str, Counter[str]],
    ) -> None:
        """``gates`` are set while a direction passes anything."""
        self._at = listener
        self._lanes = lanes
        self._gates = gates
        self._counts = counts[listener.direction]
        self._all_counts = counts
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: dict[asyncio.Task[None], tuple[socket.socket, ...]] = {}
        self._fillers: list[socket.socket] = []
        self._kind = Kind.OPEN

    async def apply(self, state: LineState) -> None:
        """Change to ``state``. TCP needs both directions, so a cut in one of them is a cut of the handshake."""
        kind = state.kind if any(state.blocks(d) for d in DIRECTIONS) else Kind.OPEN
        before, self._kind = self._kind, kind
        if kind is before:
            return
        if kind in (Kind.REJECT, Kind.CLOSE):
            self._stop_listening()
            self._end_connections(reset=kind is Kind.REJECT)
        elif kind is Kind.DROP:
            self._listen()
            await self._swallow_handshakes()
        else:
            self._listen()
            self._answer_handshakes()

    def open(self) -> None:
        """Begin to listen. Raises ``OSError`` when the port is taken."""
        self._listen()
        self._answer_handshakes()

    def close(self) -> None:
        """End everything with a reset."""
        self._stop_listening()
        self._end_connections(reset=True)

    def _listen(self) -> None:
        if self._socket is not None:
            return
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.bind(self._at.listen)
        self._socket.listen(BACKLOG)

    def _stop_listening(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        for sock in (*self._fillers, *([self._socket] if self._socket else [])):
            sock.close()
        self._fillers.clear()
        self._socket = None

    async def _swallow_handshakes(self) -> None:
        """Fill the accept queue, so that the kernel leaves every further SYN unanswered, as a black hole does."""
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        assert self._socket is not None
        self._socket.listen(0)
        for _ in range(BACKLOG):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.bind((self._at.listen[0], 0))
            try:
                async with asyncio.timeout(FILL_WAIT_S):
                    await self._loop.sock_connect(filler, self._at.listen)
            except (TimeoutError, OSError):
                filler.close()
                return
            self._fillers.append(filler)

    def _answer_handshakes(self) -> None:
        assert self._socket is not None
        self._socket.listen(BACKLOG)
        if self._accepting is None:
            self._accepting = self._loop.create_task(self._accept(self._socket))

    async def _accept(self, listening: socket.socket) -> None:
        fillers = {filler.getsockname() for filler in self._fillers}
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        while True:
            caller, address = await self._loop.sock_accept(listening)
            if address in fillers:
                fillers.discard(address)
                caller.close()
                continue
            self._counts["connections"] += 1
            far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            task = self._loop.create_task(self._relay(caller, far))
            self._connections[task] = (caller, far)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        for sock in self._connections.pop(task, ()):
            sock.close()
        if not task.cancelled():
            task.exception()

    def _end_connections(self, *, reset: bool) -> None:
        for task, sockets in list(self._connections.items()):
            for sock in sockets:
                if reset:
                    _reset_on_close(sock)
            task.cancel()

    async def _relay(self, caller: socket.socket, far: socket.socket) -> None:
        for sock in (caller, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.bind((self._at.source, 0))
        back = DIRECTIONS[1 - DIRECTIONS.index(self._at.direction)]
        try:
            await self._gates[self._at.direction].wait()
            await self._loop.sock_connect(far, self._at.target)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(caller, far, self._at.direction))
                pumps.create_task(self._pump(far, caller, back))
        except* OSError:
            self._counts["broken"] += 1
            for sock in (caller, far):
                _reset_on_close(sock)

    async def _pump(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        queue: asyncio.Queue[tuple[float | None, bytes]] = asyncio.Queue(CHUNKS_IN_FLIGHT)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._drain(queue, sink, direction))
            while True:
                data = await self._loop.sock_recv(source, CHUNK_BYTES)
                self._all_counts[direction]["stream_bytes"] += len(data)
                await queue.put((self._lanes[direction].chunk(self._loop.time(), len(data)), data))
                if not data:
                    return

    async def _drain(
        self, queue: asyncio.Queue[tuple[float | None, bytes]], sink: socket.socket, direction: str
    ) -> None:
        while True:
            departure, data = await queue.get()
            while departure is None:
                # Everything is being lost: the sender retransmits until the line is better.
                await asyncio.sleep(0.2)
                departure = self._lanes[direction].chunk(self._loop.time(), len(data))
            wait_s = departure - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await self._gates[direction].wait()
            if not data:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            await self._loop.sock_sendall(sink, data)


def _reset_on_close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
