"""Request bodies as strict JSON: UTF-8, no NaN, no infinity, no lone surrogates. What passes can be stored and sent."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from cloudsync.http.limits import BodyRefused
from cloudsync.refusals import Refused
from cloudsync.wire import ErrorKey, Json, WireError, canonical_json, parse_json

Body = TypeVar("Body", bound=BaseModel)


def strict_json(body: bytes) -> Json:
    """The body decoded. Raises BodyRefused `body.malformed` (400)."""
    try:
        value = parse_json(body)
        canonical_json(value).encode()
    except (WireError, ValueError, RecursionError) as error:
        raise BodyRefused(Refused(400, ErrorKey.MALFORMED, f"the body is not JSON: {error}"[:200])) from None
    return value


async def body_of(request: Request, model: type[Body]) -> Body:
    """The body of a request outside of the framework's routes, refused as within them."""
    value = strict_json(await request.body())
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(
            [problem | {"loc": ("body", *problem["loc"])} for problem in error.errors()]
        ) from None


class StrictRequest(Request):
    """A request whose `json` refuses what Python's parser takes and JSON does not."""

    async def json(self) -> Json:
        """The body. Raises BodyRefused `body.malformed` (400)."""
        return strict_json(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body through StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler around a StrictRequest."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
