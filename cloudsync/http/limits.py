"""ASGI middleware: how large a request body may be and how slowly it may come. Knows no route but its limit."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudsync import wire
from cloudsync.refusals import Refused

IDLE_S = 15.0
"""A body that brings nothing for so long is given up: three retransmissions of a bad link fit in."""
TOTAL_S = 60.0
"""A JSON body or batch has to be there within a minute: 2 MiB at 280 kbit/s."""
PIECE_TOTAL_S = 600.0
"""A piece of a recording: 16 MiB at 225 kbit/s. What came before the end is kept."""


class BodyRefused(HTTPException):
    """A refusal from within the reading of a body; FastAPI lets an HTTPException of its own through."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.status, refused.message)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Limit:
    """For one request body."""

    size_bytes: int
    total_s: float


def limit_for(method: str, path: str) -> Limit:
    """The limit that holds for a request."""
    if method == "PATCH" and path.startswith(f"{wire.PATH_RECORDINGS}/"):
        return Limit(wire.UPLOAD_PIECE_BYTES_MAX, PIECE_TOTAL_S)
    if method == "PUT" and path.startswith(f"{wire.PATH_RECORDINGS}/"):
        return Limit(wire.PIECE_BYTES_MAX, PIECE_TOTAL_S)
    if path == wire.PATH_RECORDS:
        return Limit(wire.BATCH_BYTES_MAX, TOTAL_S)
    return Limit(wire.JSON_BYTES_MAX, TOTAL_S)


class BodyLimits:
    """Counts and times the body as the application reads it; a lying Content-Length gains nothing."""

    def __init__(self, app: ASGIApp, idle_s: float = IDLE_S) -> None:
        self._app = app
        self._idle_s = idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with a guarded `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = limit_for(scope["method"], scope["path"])
        await self._app(scope, self._guarded(scope, receive, limit), send)

    def _guarded(self, scope: Scope, receive: Receive, limit: Limit) -> Callable[[], Awaitable[Message]]:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = not declared.isdigit() or int(declared) > limit.size_bytes
        deadline_s = asyncio.get_running_loop().time() + limit.total_s
        seen_bytes = 0
        complete = False

        async def guarded() -> Message:
            nonlocal seen_bytes, complete
            if complete:
                return await receive()
            if too_large:
                raise _too_large(limit)
            left_s = deadline_s - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(min(self._idle_s, left_s)):
                    message = await receive()
            except TimeoutError:
                raise _too_slow() from None
            if message["type"] != "http.request":
                return message
            seen_bytes += len(message.get("body", b""))
            if seen_bytes > limit.size_bytes:
                raise _too_large(limit)
            complete = not message.get("more_body", False)
            return message

        return guarded


def _too_large(limit: Limit) -> BodyRefused:
    return BodyRefused(
        Refused(
            413,
            wire.ErrorKey.TOO_LARGE,
            f"the body is larger than {limit.size_bytes} bytes",
            "Send less at once.",
            headers={"Connection": "close"},
        )
    )


def _too_slow() -> BodyRefused:
    return BodyRefused(
        Refused(
            408,
            wire.ErrorKey.TOO_SLOW,
            f"the body stopped coming for {IDLE_S:g} s, or took too long",
            "Try again with smaller pieces.",
            headers={"Connection": "close"},
        )
    )
