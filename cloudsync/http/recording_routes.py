"""Routes: resumable upload of recordings (after draft-ietf-httpbis-resumable-upload: Upload-Offset, PATCH)."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from cloudsync import wire
from cloudsync.http.context import Box, Parts, PartsOf
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.models import OffsetAnswer, RecordingAnswer, RecordingBody
from cloudsync.http.strict import StrictRoute
from cloudsync.refusals import Refused
from cloudsync.service import recordings as rules
from cloudsync.storage import Upload
from cloudsync.store.recordings import Recording
from cloudsync.wire import RecordingState

ACKNOWLEDGE_EVERY_BYTES = 4 * 1024 * 1024
"""Within one long PATCH so much may be lost to a crash; each step costs two fsyncs."""
WRITE_BYTES = 256 * 1024
"""Pieces of the stream are gathered to this size before a thread writes them."""
PIECE_TYPE = "application/offset+octet-stream"

router = APIRouter(route_class=StrictRoute, tags=["recordings"], responses=ERROR_RESPONSES)

RecordingId = Annotated[str, Path(pattern=f"^{wire.RECORDING_ID_PATTERN}$")]


@router.post(wire.PATH_RECORDINGS, response_model=OffsetAnswer, status_code=201)
def offer(parts: PartsOf, who: Box, body: RecordingBody) -> JSONResponse:
    """Begin an upload (201) or find one that is there (200); `offset` is where PATCH goes on, `pieces` what PUT brought."""
    known, new = rules.offer(parts.centre, who, wire.RecordingOffer(**body.model_dump()))
    known = known if new else rules.settle(parts.centre, rules.find(parts.centre, who, body.id))
    headers = {"Upload-Offset": str(known.offset_bytes), "Location": f"{wire.PATH_RECORDINGS}/{known.id}"}
    answer = {"offset": known.offset_bytes, "pieces": rules.pieces(parts.centre, known)}
    return JSONResponse(answer, 201 if new else 200, headers)


@router.head(f"{wire.PATH_RECORDINGS}/{{recording_id}}", status_code=204)
def offset(parts: PartsOf, who: Box, recording_id: RecordingId) -> Response:
    """Where the upload stands, in Upload-Offset."""
    known = rules.settle(parts.centre, rules.find(parts.centre, who, recording_id))
    return Response(status_code=204, headers=_offset_headers(known.offset_bytes, known))


@router.get(f"{wire.PATH_RECORDINGS}/{{recording_id}}", response_model=RecordingAnswer)
def state(parts: PartsOf, who: Box, recording_id: RecordingId) -> dict[str, Any]:
    """State and, once stored, the signed receipt."""
    found = rules.find(parts.centre, who, recording_id)
    known = rules.settle(parts.centre, found)
    if known.complete and not found.complete:
        parts.metrics.recordings_stored.inc()
    return {
        "id": known.id,
        "state": RecordingState.STORED if known.complete else known.state,
        "offset": known.offset_bytes,
        "receipt": json.loads(known.receipt) if known.receipt else None,
    }


@router.patch(
    f"{wire.PATH_RECORDINGS}/{{recording_id}}",
    status_code=204,
    openapi_extra={
        "requestBody": {"content": {PIECE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def piece(
    request: Request,
    parts: PartsOf,
    who: Box,
    recording_id: RecordingId,
    upload_offset: Annotated[int, Header(ge=0)],
) -> Response:
    """Append bytes at Upload-Offset; the answer's Upload-Offset counts what is on disk for good."""
    if request.headers.get("content-type") != PIECE_TYPE:
        raise Refused(415, "recording.content_type", f"the Content-Type of a piece is {PIECE_TYPE}")
    part, known = await run_in_threadpool(rules.open_part, parts.centre, who, recording_id, upload_offset)
    try:
        try:
            await _receive(request, parts, part, known)
        finally:
            reached = await run_in_threadpool(_acknowledge, parts, part, known, upload_offset)
        if reached == known.bytes:
            known = await run_in_threadpool(rules.complete, parts.centre, known)
            parts.metrics.recordings_stored.inc()
    finally:
        part.close()
    return Response(status_code=204, headers=_offset_headers(reached, known))


@router.put(
    f"{wire.PATH_RECORDINGS}/{{recording_id}}/pieces/{{begin}}",
    status_code=204,
    openapi_extra={
        "requestBody": {
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        }
    },
)
async def put_piece(
    request: Request,
    parts: PartsOf,
    who: Box,
    recording_id: RecordingId,
    begin: Annotated[int, Path(ge=0, lt=wire.RECORDING_BYTES_MAX)],
    content_digest: Annotated[str, Header(max_length=256)],
    if_match: Annotated[str, Header(max_length=256)],
) -> Response:
    """Store the piece that begins at a byte, in any order and over any number of connections; 204 when it is on disk.

    If-Match holds the `cipher_sha256` of the offer in quotes. Once all pieces are there GET gives the receipt."""
    data = await request.body()
    known = await run_in_threadpool(
        rules.take_piece,
        parts.centre,
        who,
        recording_id,
        begin,
        data,
        content_digest,
        if_match.strip().strip('"'),
    )
    parts.metrics.recording_bytes.inc(len(data))
    complete = known.complete
    return Response(status_code=204, headers={"Upload-Complete": "?1" if complete else "?0"})


async def _receive(request: Request, parts: Parts, part: Upload, known: Recording) -> None:
    """Write the stream, acknowledging now and then; what was written before an error stays written."""
    pending = bytearray()
    unacknowledged_bytes = 0
    try:
        async for chunk in request.stream():
            pending += chunk
            if len(pending) >= WRITE_BYTES:
                unacknowledged_bytes += len(pending)
                await run_in_threadpool(rules.append, part, known, bytes(pending))
                pending.clear()
            if unacknowledged_bytes >= ACKNOWLEDGE_EVERY_BYTES:
                await run_in_threadpool(rules.acknowledge, parts.centre, part, known)
                unacknowledged_bytes = 0
    finally:
        if pending:
            await run_in_threadpool(rules.append, part, known, bytes(pending))


def _acknowledge(parts: Parts, part: Upload, known: Recording, began_at: int) -> int:
    reached = rules.acknowledge(parts.centre, part, known)
    parts.metrics.recording_bytes.inc(max(0, reached - began_at))
    return reached


def _offset_headers(offset_bytes: int, known: Recording) -> dict[str, str]:
    complete = known.complete
    return {
        "Upload-Offset": str(offset_bytes),
        "Upload-Complete": "?1" if complete else "?0",
        "Cache-Control": "no-store",
    }
