"""Request bodies as strict JSON: UTF-8, no NaN, no infinity, no lone surrogates. What passes can be stored and sent."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from cloudsync.http.limits import BodyRefused
from cloudsync.refusals import Refused
from cloudsync.wire import ErrorKey, Json, WireError, canonical_json, parse_json


class StrictRequest(Request):
    """A request whose `json` refuses what Python's parser takes and JSON does not."""

    async def json(self) -> Json:
        """The body. Raises BodyRefused `body.malformed` (400)."""
        try:
            value = parse_json(await self.body())
            canonical_json(value).encode()
        except (WireError, ValueError, RecursionError) as error:
            raise BodyRefused(
                Refused(400, ErrorKey.MALFORMED, f"the body is not JSON: {error}"[:200])
            ) from None
        return value


class StrictRoute(APIRoute):
    """A route that reads its body through StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler around a StrictRequest."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
