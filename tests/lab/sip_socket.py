"""The wire of the lab's plain user agent: one UDP socket, or a TCP listener and the connections it made or took."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from tests.lab import sipmsg

Peer = tuple[str, int] | asyncio.StreamWriter
"""Where a message goes: an address, or the connection that a request came on."""


class SipSocket:
    """Takes and sends whole messages; ``take`` gets each with the way back."""

    def __init__(self, address: str, port: int, transport: str, take: Callable[[bytes, Peer], None]) -> None:
        """``transport`` is udp or tcp."""
        self._at = (address, port)
        self._transport = transport
        self._take = take
        self._datagrams: asyncio.DatagramTransport | None = None
        self._listener: asyncio.Server | None = None
        self._streams: dict[tuple[str, int], asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Bind. Raises ``OSError`` when the port is taken."""
        if self._transport == "udp":
            loop = asyncio.get_running_loop()
            self._datagrams, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._take), local_addr=self._at
            )
        else:
            self._listener = await asyncio.start_server(self._stream, *self._at)

    async def close(self) -> None:
        """Close everything."""
        for task in list(self._tasks):
            task.cancel()
        if self._datagrams is not None:
            self._datagrams.close()
        for writer in self._streams.values():
            writer.close()
        if self._listener is not None:
            self._listener.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, data: bytes, to: Peer) -> None:
        """Send bytes as they are; over TCP a connection is made when there is none."""
        if isinstance(to, asyncio.StreamWriter):
            to.write(data)
        elif self._datagrams is not None:
            self._datagrams.sendto(data, to)
        elif to in self._streams:
            self._streams[to].write(data)
        else:
            self._task(self._connect_and_send(data, to))

    async def _connect_and_send(self, data: bytes, to: tuple[str, int]) -> None:
        try:
            reader, writer = await asyncio.open_connection(*to, local_addr=(self._at[0], 0))
        except OSError:
            return
        self._streams[to] = writer
        writer.write(data)
        self._task(self._stream(reader, writer))

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                whole, rest = sipmsg.split_stream(rest + data)
                for message in whole:
                    self._take(message, writer)
        writer.close()
        for peer, known in list(self._streams.items()):
            if known is writer:
                del self._streams[peer]

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Peer], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr)
