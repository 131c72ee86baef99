"""ADAPTER. A very small HTTP/1.1 server: GET of a few fixed paths, on a Unix socket or a TCP address.

For the local status and Prometheus only. Every connection serves one request within `REQUEST_S`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

HEAD_MAX_BYTES = 8192
"""Largest request head."""

REQUEST_S = 5.0
"""A connection that has not been served by then is closed."""

CONNECTIONS_MAX = 32
"""Connections at once; more are closed at once."""

SOCKET_MODE = 0o660
"""The status names phones and calls in progress: for the agent's group, not for everybody."""

Page = Callable[[], tuple[str, bytes]]
"""Gives content type and body."""


class LocalHttp:
    """One server. `pages`: path -> page."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._open = 0

    async def on_unix(self, path: Path) -> asyncio.Server:
        """Listen on a Unix socket, replacing one that a killed agent left. Raises `OSError`."""
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, path, limit=HEAD_MAX_BYTES)
        path.chmod(SOCKET_MODE)
        return server

    async def on_tcp(self, host: str, port: int) -> asyncio.Server:
        """Listen on a literal address. Raises `OSError`."""
        return await asyncio.start_server(self._serve, host, port, limit=HEAD_MAX_BYTES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= CONNECTIONS_MAX:
                async with asyncio.timeout(REQUEST_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self.respond(head))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def respond(self, head: bytes) -> bytes:
        """The whole answer to one request head."""
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        if method not in (b"GET", b"HEAD"):
            return _answer("405 Method Not Allowed", "text/plain", b"GET only\n", "Allow: GET, HEAD\r\n")
        page = self._pages.get(path)
        if page is None:
            return _answer("404 Not Found", "text/plain", b"no such page\n")
        try:
            content_type, body = page()
        except Exception as error:  # a page with a bug must not stop the agent
            return _answer("500 Internal Server Error", "text/plain", f"{type(error).__name__}\n".encode())
        return _answer("200 OK", content_type, body if method == b"GET" else b"")


def _answer(status: str, content_type: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
