"""Route: records."""

from collections import Counter

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from cloudsync import wire
from cloudsync.coding import CODINGS, IDENTITY
from cloudsync.http.context import Parts, parts_in, token_of
from cloudsync.http.direct import DIRECT
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.limits import BodyRefused
from cloudsync.http.models import BatchAnswer, BatchBody
from cloudsync.ingest import encode_answer
from cloudsync.refusals import Refused
from cloudsync.service import records as record_rules
from cloudsync.service.access import BoxIdentity

_ACCEPTED = {"Accept-Encoding": ", ".join(CODINGS)}
"""What may be sent here (RFC 7694)."""

router = APIRouter(tags=["records"], responses=ERROR_RESPONSES)

_DESCRIBED = {
    "security": [{"HTTPBearer": []}],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": BatchBody.model_json_schema()}},
        "description": "JSON, commonly with Content-Encoding zstd or gzip; the answer's Accept-Encoding names what may"
        " be sent. Each record is judged by itself. With `Prefer: return=minimal` one word may stand for all records:"
        " {status, count, ids_sha256}.",
    },
}


@router.post(
    wire.PATH_RECORDS, name=f"records {DIRECT}", response_model=BatchAnswer, openapi_extra=_DESCRIBED
)
async def records(request: Request) -> Response:
    """Store a batch; the answer comes after the commit, one result for each record."""
    parts = parts_in(request)
    who = await parts.desks.identities.ask(token_of(request))
    request.state.box_id = who.box_id
    coding = request.headers.get("content-encoding", IDENTITY).lower()
    if coding not in (IDENTITY, *CODINGS):
        raise Refused(
            415,
            "body.encoding",
            f"Content-Encoding {coding[:40]!r}",
            "Send zstd, gzip or plain JSON.",
            headers=_ACCEPTED,
        )
    body = await request.body()
    if coding != IDENTITY and len(body) > wire.BATCH_GZIP_BYTES_MAX:
        raise BodyRefused(
            Refused(
                413,
                wire.ErrorKey.TOO_LARGE,
                f"a batch of {len(body)} compressed bytes is above {wire.BATCH_GZIP_BYTES_MAX}",
                "Send smaller batches.",
            )
        )
    short = request.headers.get("prefer", "").replace(" ", "").lower() == wire.PREFER_SHORT
    return await run_in_threadpool(_take, parts, who, body, coding, short)


def _take(parts: Parts, who: BoxIdentity, body: bytes, coding: str, short: bool) -> Response:
    merged = record_rules.take_body(parts.centre, who, body, coding=coding)
    if merged.all_new:
        parts.metrics.records.labels(str(wire.ItemStatus.STORED)).inc(len(merged.to_store))
    else:
        for status, count in Counter([str(result.status) for result in merged.results]).items():
            parts.metrics.records.labels(status).inc(count)
    return Response(encode_answer(merged, short=short), media_type="application/json", headers=_ACCEPTED)
