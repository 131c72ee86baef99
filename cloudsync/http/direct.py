"""ASGI middleware: the routes that thousands of boxes ask all the time, without the framework's way to them.

Finding a route, solving its dependencies and checking its answer cost FastAPI several times what a heartbeat costs. An endpoint
that takes nothing but the request is called at once; its route stands in the framework as well, and in the API's description.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from cloudsync.http.errors import ErrorAnswers

DIRECT = "direct"
"""Marks such a route by its name."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Direct:
    """Around the framework, within what limits and counts."""

    def __init__(self, api: FastAPI, routers: Sequence[APIRouter], errors: ErrorAnswers) -> None:
        self._api = api
        self._errors = errors
        self._routes = {
            (method, route.path): route
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute) and route.name.endswith(DIRECT)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._api(scope, receive, send)
            return
        scope["app"], scope["route"] = self._api, route
        request = Request(scope, receive)
        try:
            response = await cast(Endpoint, route.endpoint)(request)
        except Exception as error:  # whatever it is, the box gets an answer
            response = await self._errors.answer(request, error)
        await response(scope, receive, send)
