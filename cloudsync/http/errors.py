"""Whatever goes wrong becomes one JSON shape: {key, message, hint, problems}. Nothing internal leaves the process."""

import errno
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from appliance.errors import KyusaiError
from cloudsync.http.limits import BodyRefused
from cloudsync.metrics import CentreMetrics
from cloudsync.refusals import NotFound, Refused
from cloudsync.throttle import Throttle
from cloudsync.wire import ErrorKey, Json, WireError

RETRY_AFTER_S = 5
"""What a box is told when the store cannot take anything now."""
PROBLEMS_SHOWN = 20

log = structlog.get_logger()


class ErrorAnswers:
    """Handlers of one application: they answer, count, and log what was refused."""

    def __init__(self, metrics: CentreMetrics) -> None:
        self._metrics = metrics
        self._throttle = Throttle()

    def install(self, app: FastAPI) -> None:
        """Register every handler."""
        for kind, handler in self._handlers().items():
            app.add_exception_handler(kind, handler)
        app.add_exception_handler(Exception, self._bug)

    async def answer(self, request: Request, error: Exception) -> Response:
        """The answer to an error outside of the framework's routes."""
        for kind, handler in self._handlers().items():
            if isinstance(error, kind):
                return await handler(request, error)
        return await self._bug(request, error)

    def _handlers(self) -> dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]:
        return {
            Refused: self._refused,
            KyusaiError: self._other_of_ours,
            WireError: self._wire,
            RequestValidationError: self._validation,
            HTTPException: self._http,
            DBAPIError: self._store,
            OSError: self._disk,
            ClientDisconnect: self._gone,
        }

    def _answer(
        self,
        request: Request,
        status: int,
        key: str,
        message: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
        problems: list[Json] | None = None,
    ) -> JSONResponse:
        self._metrics.refusals.labels(key).inc()
        left_out = self._throttle.admit(key, time.monotonic())
        if left_out is not None:
            source = request.client.host if request.client else ""
            box = getattr(request.state, "box_id", "")
            log.warning(
                "centre.refused",
                key=key,
                status=status,
                reason=message,
                source=source,
                box=box,
                path=request.url.path[:200],
                left_out=left_out,
            )
        body = {"key": key, "message": message, "hint": hint, "problems": problems or []}
        return JSONResponse(body, status, dict(headers or {}))

    async def _refused(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)  # noqa: S101 - registered for this class
        return self._answer(request, error.status, error.key, error.message, error.hint, error.headers)

    async def _other_of_ours(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, KyusaiError)  # noqa: S101 - registered for this class
        status = 404 if isinstance(error, NotFound) else 400
        return self._answer(request, status, error.key, error.message, error.hint)

    async def _wire(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, WireError)  # noqa: S101 - registered for this class
        status = 413 if error.key in ("too_large", "too_many_records") else 400
        return self._answer(request, status, f"body.{error.key}", error.message, error.hint)

    async def _validation(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        problems = [
            {"path": ".".join(str(part) for part in found["loc"]), "message": found["msg"]}
            for found in error.errors()[:PROBLEMS_SHOWN]
        ]
        return self._answer(
            request,
            422,
            ErrorKey.MALFORMED,
            f"{len(error.errors())} fields of the request do not fit",
            "`problems` names each; /openapi.json describes the request.",
            problems=problems,
        )

    async def _http(self, request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, BodyRefused):
            return await self._refused(request, error.refused)
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        key = f"http.{error.status_code}"
        return self._answer(request, error.status_code, key, str(error.detail), "", error.headers)

    async def _store(self, request: Request, error: Exception) -> JSONResponse:
        log.error("centre.store_failed", error=str(getattr(error, "orig", error)))
        return self._unavailable(request, 503, "the store cannot take this now")

    async def _disk(self, request: Request, error: Exception) -> JSONResponse:
        log.error("centre.disk_failed", error=str(error))
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        return self._unavailable(request, 507 if full else 503, "the centre's disk cannot take this now")

    def _unavailable(self, request: Request, status: int, message: str) -> JSONResponse:
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return self._answer(request, status, ErrorKey.UNAVAILABLE, message, "Keep it and try later.", headers)

    async def _gone(self, request: Request, error: Exception) -> JSONResponse:
        return self._answer(request, 400, "body.cut_off", "the connection ended within the body")

    async def _bug(self, request: Request, error: Exception) -> JSONResponse:
        log.error("centre.internal_error", path=request.url.path[:200], exc_info=error)
        return self._answer(request, 500, "centre.internal", "the centre has a fault; its log says which")


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused: {key, message, hint, problems}"},
    "5XX": {"description": "Not taken: {key, message, hint, problems}; try later"},
}
"""For the OpenAPI description of every route."""
