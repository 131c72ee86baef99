"""Route for an authorised listener: the audio of one recording, decrypted as it is read, with byte ranges (RFC 9110)."""

import re
import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cloudsync import wire
from cloudsync.age_stream import SealedFile
from cloudsync.http.context import PartsOf, source
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.refusals import Refused
from cloudsync.service import listening

NOTED_AGAIN_S = 300.0
"""A player asks for a recording in many pieces; the audit trail has a line for each listening, not for each piece."""
NOTED_MOST = 1000

router = APIRouter(tags=["listening"], responses=ERROR_RESPONSES)
_bearer = HTTPBearer(auto_error=False, description="From `kyusai recordings token`; names one recording.")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_noted: dict[str, float] = {}


@router.get(wire.PATH_LISTEN)
@router.head(wire.PATH_LISTEN)
def listen(
    request: Request,
    parts: PartsOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    kyusai_key: Annotated[str, Header(max_length=200)],
    byte_range: Annotated[str, Header(alias="Range", max_length=200)] = "",
) -> Response:
    """The audio that the token names. `Kyusai-Key`: the tenant's private key, used for this request and not kept."""
    token = credentials.credentials if credentials else ""
    who = listening.listener(parts.centre, token)
    known, audio = listening.hear(
        parts.centre, who, kyusai_key, source(request), note=_is_new(token, time.monotonic())
    )
    begin, end = _span(byte_range, audio.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Disposition": f'inline; filename="{known.id}.ogg"',
        "Content-Length": str(end - begin),
    }
    partial = (begin, end) != (0, audio.size)
    if partial:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{audio.size}"
    status, kind = 206 if partial else 200, "audio/ogg" if known.format.startswith("ogg") else "audio/*"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    return StreamingResponse(_bytes(audio, begin, end), status, headers, kind)


def _bytes(audio: SealedFile, begin: int, end: int) -> Iterator[bytes]:
    yield from audio.read(begin, end)


def _span(asked: str, size: int) -> tuple[int, int]:
    """The bytes to give; all for no range and for one that we do not understand. Raises Refused `range.outside` (416)."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or not any(found.groups()):
        return 0, size
    first, last = found.groups()
    if first:
        begin, end = int(first), min(int(last) + 1, size) if last else size
    else:
        begin, end = max(size - int(last), 0), size
    if begin >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Refused(416, "range.outside", f"the audio has {size} bytes", headers=headers)
    return begin, end


def _is_new(token: str, now_s: float) -> bool:
    """Whether this listening has no line in the audit trail yet."""
    for old in (
        [one for one, until_s in _noted.items() if until_s <= now_s] if len(_noted) > NOTED_MOST else ()
    ):
        del _noted[old]
    if _noted.get(token, 0.0) > now_s:
        return False
    _noted[token] = now_s + NOTED_AGAIN_S
    return True
