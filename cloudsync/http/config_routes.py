"""Routes: the site document by long poll, and what became of it."""

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from cloudsync import wire
from cloudsync.http.context import Box, PartsOf
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.models import ConfigStatusBody, EnvelopeModel
from cloudsync.http.strict import StrictRoute
from cloudsync.service import access, configuration

router = APIRouter(route_class=StrictRoute, tags=["configuration"], responses=ERROR_RESPONSES)


@router.get(
    wire.PATH_CONFIG,
    response_model=EnvelopeModel,
    responses={204: {"description": "Nothing newer within wait_s."}},
)
async def config(
    request: Request,
    parts: PartsOf,
    who: Box,
    have: Annotated[int, Query(ge=0, lt=2**31, description="the version that the box has")] = 0,
    wait_s: Annotated[float, Query(ge=0, le=wire.LONG_POLL_MAX_S, description="how long to hold")] = 0,
) -> Response:
    """The newest document above `have`; held up to `wait_s` until there is one."""
    async with parts.watch.waiter(who.site_id) as published:
        envelope = await run_in_threadpool(configuration.newest, parts.centre, who.site_id, have)
        try:
            async with asyncio.timeout(wait_s):
                while (
                    envelope is None and wait_s > 0
                ):  # woken also late, by a version that the box has by now
                    await published.wait()
                    published.clear()
                    await run_in_threadpool(access.require_not_revoked, parts.centre, who)
                    envelope = await run_in_threadpool(configuration.newest, parts.centre, who.site_id, have)
        except TimeoutError:
            return Response(status_code=204)
    return Response(status_code=204) if envelope is None else JSONResponse(asdict(envelope))


@router.post(wire.PATH_CONFIG_STATUS, status_code=204)
def config_status(parts: PartsOf, who: Box, body: ConfigStatusBody) -> None:
    """What became of a version on the box."""
    configuration.report(parts.centre, who, body.version, wire.ConfigState(body.state), body.problems)
