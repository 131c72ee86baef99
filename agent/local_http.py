"""ADAPTER. A very small HTTP/1.1 server: GET of a few fixed paths, on a Unix socket or a TCP address.

For the local status, Prometheus, and what root does at the box: POST is served on the Unix socket alone, to root and the
agent's own user. Every connection serves one request within `REQUEST_S`, or `ACTION_S` once a POST has come.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

HEAD_MAX_BYTES = 8192
"""Largest request head."""

REQUEST_S = 5.0
"""A connection that has not been served by then is closed."""

BODY_MAX_BYTES = 65536
"""Largest body of a POST: some fields and their values."""

ACTION_S = 120.0
"""An action may have to wait for another one's watch, and then for its own."""

CONNECTIONS_MAX = 32
"""Connections at once; more are closed at once."""

SOCKET_MODE = 0o660
"""The status names phones and calls in progress: for the agent's group, not for everybody."""

Page = Callable[[], tuple[str, bytes]]
"""Gives content type and body."""


Reply = tuple[str, str, bytes]
"""Status line, content type and body."""

Action = Callable[[bytes], Awaitable[Reply]]
"""Does what a body asks for."""


class LocalHttp:
    """One server. `pages`: path -> page; `actions`: path -> what a POST does, on the Unix socket only."""

    def __init__(self, pages: Mapping[str, Page], actions: Mapping[str, Action] | None = None) -> None:
        self._pages = pages
        self._actions = actions or {}
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
                    action = self._actions.get(_path(head)) if head.startswith(b"POST ") else None
                    body = b"" if action is None else await reader.readexactly(_length(head))
                async with asyncio.timeout(REQUEST_S if action is None else ACTION_S):
                    answer = self.respond(head) if action is None else await _act(action, body, writer)
                    writer.write(answer)
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
        method, path = head.partition(b" ")[0], _path(head)
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


async def _act(action: Action, body: bytes, writer: asyncio.StreamWriter) -> bytes:
    """Whoever goes away meanwhile does not stop what was begun."""
    if not _is_trusted(writer):
        return _answer("403 Forbidden", "text/plain", b"for root only\n")
    try:
        return _answer(*await asyncio.shield(asyncio.ensure_future(action(body))))
    except Exception as error:  # an action with a bug must not stop the agent
        return _answer("500 Internal Server Error", "text/plain", f"{type(error).__name__}\n".encode())


def _is_trusted(writer: asyncio.StreamWriter) -> bool:
    """Whether root or the agent's own user asks: the kernel knows, on a Unix socket."""
    peer = writer.get_extra_info("socket")
    if peer is None or peer.family != socket.AF_UNIX:
        return False
    size = struct.calcsize("3i")
    _pid, uid, _gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid in (0, os.geteuid())


def _path(head: bytes) -> str:
    return head.partition(b" ")[2].partition(b" ")[0].partition(b"?")[0].decode("latin-1")


def _length(head: bytes) -> int:
    """Bytes of the body; 0 for a length that is missing, none, or above the limit."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
            return length if length <= BODY_MAX_BYTES else 0
    return 0


def _answer(status: str, content_type: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
