"""Route: records."""

from collections import Counter

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from cloudsync import wire
from cloudsync.coding import CODINGS, IDENTITY
from cloudsync.http.context import Box, Parts, PartsOf
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.limits import BodyRefused
from cloudsync.http.models import BatchAnswer, BatchBody
from cloudsync.http.strict import StrictRoute
from cloudsync.ingest import encode_results
from cloudsync.refusals import Refused
from cloudsync.service import records as record_rules
from cloudsync.service.access import BoxIdentity

_ACCEPTED = {"Accept-Encoding": ", ".join(CODINGS)}
"""What may be sent here (RFC 7694)."""

router = APIRouter(route_class=StrictRoute, tags=["records"], responses=ERROR_RESPONSES)


@router.post(
    wire.PATH_RECORDS,
    response_model=BatchAnswer,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": BatchBody.model_json_schema()}},
            "description": "JSON, commonly with Content-Encoding zstd or gzip; the answer's Accept-Encoding names what may"
            " be sent. Each record is judged by itself. With `Prefer: return=minimal` one word may stand for all records:"
            " {status, count, ids_sha256}.",
        }
    },
)
async def records(request: Request, parts: PartsOf, who: Box) -> Response:
    """Store a batch; the answer comes after the commit, one result for each record."""
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
    results = record_rules.take_body(parts.centre, who, body, coding=coding)
    for status, count in Counter([result.status for result in results]).items():
        parts.metrics.records.labels(str(status)).inc(count)
    return Response(encode_results(results, short=short), media_type="application/json", headers=_ACCEPTED)
