"""What may stand between a box and its centre at its worst: it repeats, delays, truncates, swallows, and makes up answers.

It speaks TLS with the centre's own certificate, so that nothing but its deeds gives it away. One request per connection.
"""

import asyncio
import contextlib
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.helpers.centre_box import ADDRESS

PAGE = b"<html><title>Welcome</title>Please accept the terms of use.</html>"
TOUCHED = ("/v1/records", "/v1/recordings", "/v1/ledger", "/v1/enrolment")
"""Paths that it meddles with: the centre locks out who repeats itself at the door."""
LATE_S = (0.02, 0.6)
"""How late what was held back reaches the centre."""
DRIP_BYTES = 7
HONEST = 0.35
"""Share of requests that pass untouched."""

Deed = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class HostileProxy:
    """Meddles with requests until `honest` is set. done: how often it did what."""

    def __init__(self, port: int, server_pem: Path, seed: int) -> None:
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(server_pem)
        self._chance = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self.honest = False
        self.done: Counter[str] = Counter()
        self._deeds: dict[str, Deed] = {
            "answer swallowed": self._swallow,
            "sent twice": self._twice,
            "sent late": self._late,
            "sent again later": self._again,
            "request truncated": self._cut_request,
            "answer truncated": self._cut_answer,
            "page instead": self._page,
            "page after all": self._page_after,
            "error page": self._error,
            "answer in drips": self._drip,
        }

    async def start(self) -> str:
        """Listen; gives the URL."""
        self._server = await asyncio.start_server(self._accepted, ADDRESS, 0, ssl=self._context)
        return f"https://{ADDRESS}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Let go of everything."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until all that was held back has reached the centre."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await _read_request(reader)
            await self._choose(request)(request, writer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _choose(self, request: bytes) -> Deed:
        path = request.split(b" ", 2)[1].decode()
        if self.honest or not path.startswith(TOUCHED) or self._chance.random() < HONEST:
            return self._pass
        name = self._chance.choice(tuple(self._deeds))
        self.done[name] += 1
        return self._deeds[name]

    async def _centre(self, request: bytes) -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(ADDRESS, self._port, ssl=context)
        try:
            writer.write(request)
            return await _read_answer(reader)
        finally:
            writer.transport.abort()

    def _send_later(self, request: bytes) -> None:
        async def later() -> None:
            await asyncio.sleep(self._chance.uniform(*LATE_S))
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._centre(request)

        task = asyncio.create_task(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(await self._centre(request))

    async def _swallow(self, request: bytes, _writer: asyncio.StreamWriter) -> None:
        await self._centre(request)

    async def _twice(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        answers = await asyncio.gather(self._centre(request), self._centre(request))
        writer.write(self._chance.choice(answers))

    async def _late(self, request: bytes, _writer: asyncio.StreamWriter) -> None:
        self._send_later(request)

    async def _again(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(await self._centre(request))
        self._send_later(request)

    async def _cut_request(self, request: bytes, _writer: asyncio.StreamWriter) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(0.1):
                await self._centre(head + b"\r\n\r\n" + body[: len(body) // 2])

    async def _cut_answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        answer = await self._centre(request)
        writer.write(answer[: self._chance.randrange(len(answer))])

    async def _page(self, _request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(_html(b"200 OK"))

    async def _page_after(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        await self._centre(request)
        writer.write(_html(b"200 OK"))

    async def _error(self, _request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(_html(b"502 Bad Gateway"))

    async def _drip(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        answer = await self._centre(request)
        for at in range(0, len(answer), DRIP_BYTES):
            writer.write(answer[at : at + DRIP_BYTES])
            await writer.drain()
            await asyncio.sleep(0.001)


def _html(status: bytes) -> bytes:
    length = str(len(PAGE)).encode()
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: text/html\r\nContent-Length: " + length
    return head + b"\r\nConnection: close\r\n\r\n" + PAGE


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(_length(head))


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(_length(head))
    return head[:-2] + b"Connection: close\r\n\r\n" + body


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
