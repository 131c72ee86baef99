"""Routes: the site document by long poll, and what became of it."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from cloudsync import wire
from cloudsync.http.context import parts_in, token_of
from cloudsync.http.direct import DIRECT
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.models import ConfigStatusBody, EnvelopeModel
from cloudsync.http.strict import body_of
from cloudsync.refusals import Refused
from cloudsync.service.polls import Ask
from cloudsync.store.boxes import Configured

router = APIRouter(tags=["configuration"], responses=ERROR_RESPONSES)

_HAVE_MAX = 2**31 - 1
_DESCRIBED: dict[str, Any] = {
    "security": [{"HTTPBearer": []}],
    "parameters": [
        {
            "name": "have",
            "in": "query",
            "description": "the version that the box has",
            "schema": {"type": "integer", "minimum": 0, "maximum": _HAVE_MAX, "default": 0},
        },
        {
            "name": "wait_s",
            "in": "query",
            "description": "how long to hold",
            "schema": {"type": "number", "minimum": 0, "maximum": wire.LONG_POLL_MAX_S, "default": 0},
        },
    ],
}


@router.get(
    wire.PATH_CONFIG,
    name=f"config {DIRECT}",
    response_model=EnvelopeModel,
    responses={204: {"description": "Nothing newer within wait_s."}},
    openapi_extra=_DESCRIBED,
)
async def config(request: Request) -> Response:
    """The newest document above `have`; held up to `wait_s` until there is one. One poll of a box is held at a time."""
    parts, token = parts_in(request), token_of(request)
    have, wait_s = (
        int(_number(request, "have", int, _HAVE_MAX)),
        _number(request, "wait_s", float, wire.LONG_POLL_MAX_S),
    )
    who = await parts.desks.identities.ask(token)
    request.state.box_id = who.box_id
    if wait_s > 0 and not await parts.watch.newer(who.site_id, who.box_id, have, wait_s):
        return Response(status_code=204)
    envelope = await parts.desks.documents.ask(Ask(token, have))
    if envelope is None:
        return Response(status_code=204)
    return Response(msgspec.json.encode(envelope), media_type="application/json")


def _number(request: Request, name: str, kind: type[int] | type[float], most: float) -> float:
    """A number of the query, 0 without it. Raises Refused `body.malformed` (422)."""
    text = request.query_params.get(name, "0")
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise Refused(
            422, wire.ErrorKey.MALFORMED, f"{name}={text[:40]!r} is no number from 0 to {most:g}", _HINT
        )
    return value


_HINT = "/openapi.json describes the request."


@router.post(
    wire.PATH_CONFIG_STATUS,
    name=f"config status {DIRECT}",
    status_code=204,
    openapi_extra={
        "security": _DESCRIBED["security"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ConfigStatusBody.model_json_schema()}},
        },
    },
)
async def config_status(request: Request) -> Response:
    """What became of a version on the box. When a version goes out to all sites, thousands tell at the same time."""
    parts = parts_in(request)
    who = await parts.desks.identities.ask(token_of(request))
    request.state.box_id = who.box_id
    body = await body_of(request, ConfigStatusBody)
    problems = wire.canonical_json(wire.reasons_kept(wire.reasons_from(body.problems, body.details)))
    await parts.desks.reports.ask((who, Configured(who.box_id, body.version, body.state, problems)))
    return Response(status_code=204)
