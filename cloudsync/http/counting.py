"""ASGI middleware: counts and times answers by route template, never by path."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudsync.metrics import CentreMetrics

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH"})


class Counting:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, metrics: CentreMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and count it when its answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()
        status = 0

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(method, route, str(status or "none")).inc()
            self._metrics.request_seconds.labels(route).observe(time.monotonic() - began_s)
