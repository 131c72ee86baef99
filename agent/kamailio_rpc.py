"""ADAPTER. Kamailio's JSON-RPC over its Unix datagram socket (module `jsonrpcs`). Decides nothing.

The client's own socket has an abstract name that the kernel picks, so that Kamailio, which runs as another user,
may answer it. Kamailio answers in one datagram and says nothing at all when the answer does not fit its send buffer
(128 KiB after the kernel's doubling, measured): do not ask for dumps of a big site; `RpcSilent` says so.
"""

import asyncio
import itertools
import json
import secrets
import socket
from pathlib import Path
from typing import Any

from appliance.errors import KyusaiError

REPLY_S = 1.0
"""Kamailio answered in 3 ms (measured). Its one RPC process may be busy; the agent's second beat must not wait for it."""

DATAGRAM_MAX_BYTES = 262144
"""More than Kamailio can send in one datagram."""


class RpcError(KyusaiError):
    """Base of everything that can go wrong with a request."""


class RpcSilent(RpcError):
    """No answer in time, or no socket: Kamailio does not run, is busy, or the answer was too big to send."""


class RpcRefused(RpcError):
    """Kamailio answered with an error. code: its JSON-RPC code."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(
            "rpc.refused",
            f"Kamailio refused {method}: {code} {message}",
            method=method,
            code=code,
            detail=message,
        )
        self.code = code


class KamailioRpc:
    """Requests to one Kamailio. Opens its socket on first use and anew after Kamailio has been restarted."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._ids = itertools.count(secrets.randbelow(2**30))
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._socket: socket.socket | None = None

    async def call(self, method: str, *params: str | int, timeout_s: float = REPLY_S) -> Any:
        """The result of one request. Raises `RpcSilent`, `RpcRefused`."""
        loop = asyncio.get_running_loop()
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._waiting[number] = future
        request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": number}
        try:
            self._open(loop).sendto(json.dumps(request).encode(), self._path)
            async with asyncio.timeout(timeout_s):
                reply = await future
        except TimeoutError:
            raise _silent(method, f"no answer within {timeout_s:g} s") from None
        except OSError as error:
            raise _silent(method, error.strerror or str(error)) from error
        finally:
            self._waiting.pop(number, None)
        if "error" in reply:
            error_body = reply["error"] if isinstance(reply["error"], dict) else {}
            raise RpcRefused(method, int(error_body.get("code", 0)), str(error_body.get("message", "")))
        return reply.get("result")

    def close(self) -> None:
        """Give the socket back; requests under way run into their time limit."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _open(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        if self._socket is None:
            own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAM_MAX_BYTES)
            own.bind("")  # an abstract name of the kernel's choice
            loop.add_reader(own.fileno(), self._readable)
            self._socket = own
        return self._socket

    def _readable(self) -> None:
        if self._socket is None:
            return
        try:
            reply = json.loads(self._socket.recv(DATAGRAM_MAX_BYTES))
        except (OSError, ValueError):
            return
        number = reply.get("id") if isinstance(reply, dict) else None
        future = self._waiting.get(number) if isinstance(number, int) else None
        if future is not None and not future.done():
            future.set_result(reply)


def _silent(method: str, detail: str) -> RpcSilent:
    return RpcSilent(
        "rpc.silent",
        f"Kamailio did not answer {method}: {detail}",
        "Check that Kamailio runs: systemctl status kyusai-kamailio",
        method=method,
        detail=detail,
    )
