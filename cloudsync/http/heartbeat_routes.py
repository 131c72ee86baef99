"""Route: heartbeats."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from cloudsync import wire
from cloudsync.http.context import parts_in, source, token_of
from cloudsync.http.direct import DIRECT
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.models import HeartbeatAnswer
from cloudsync.refusals import Refused
from cloudsync.service.telemetry import Beat

router = APIRouter(tags=["records"], responses=ERROR_RESPONSES)

_DESCRIBED: dict[str, Any] = {
    "security": [{"HTTPBearer": []}],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
}


@router.post(
    wire.PATH_HEARTBEAT, name=f"heartbeat {DIRECT}", response_model=HeartbeatAnswer, openapi_extra=_DESCRIBED
)
async def heartbeat(request: Request) -> Response:
    """Keep the newest telemetry of the box."""
    beat = _beat(await request.body(), source(request))
    answer = await parts_in(request).desks.heartbeats.ask((token_of(request), beat))
    given = {
        "server_time_utc": answer.server_time_utc,
        "revoked": False,
        "config_version": answer.config_version,
        "key_id": answer.key_id,
        "lease": answer.lease,
        "cloned": answer.cloned,
        "rotate_key": answer.rotate_key,
    }
    return Response(msgspec.json.encode(given), media_type="application/json")


def _beat(body: bytes, address: str) -> Beat:
    """The body as it is kept. Raises Refused `body.malformed` (400) for what is no JSON object."""
    try:
        told = msgspec.json.decode(body)
        if isinstance(told, dict):
            return Beat(body.decode(), told, address)
        message = "a heartbeat is a JSON object"
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"the body is not JSON: {error}"[:200]
    raise Refused(400, wire.ErrorKey.MALFORMED, message)
