"""Routes: recordings that site documents name as prompts, piece by piece."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response

from cloudsync import wire
from cloudsync.http.context import Box, PartsOf
from cloudsync.http.errors import ERROR_RESPONSES
from cloudsync.http.strict import StrictRoute
from cloudsync.refusals import Refused
from cloudsync.service import prompts

router = APIRouter(route_class=StrictRoute, tags=["prompts"], responses=ERROR_RESPONSES)


@router.get(
    f"{wire.PATH_PROMPTS}/{{sha256}}",
    status_code=206,
    response_class=Response,
    responses={206: {"content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}}},
)
def prompt(
    parts: PartsOf,
    who: Box,
    sha256: Annotated[str, Path(pattern=f"^{wire.SHA256_PATTERN}$")],
    range_: Annotated[str, Header(alias="Range", max_length=64)] = "bytes=0-",
) -> Response:
    """A piece of a prompt from the Range's first byte on (RFC 9110, 14.2), 256 KiB at most; the whole has that SHA-256."""
    found = re.fullmatch(r"bytes=([0-9]{1,12})-", range_, re.ASCII)
    if found is None:
        raise Refused(416, "prompt.range", f"Range {range_[:40]!r}: bytes=N- is understood")
    begin = int(found[1])
    data, size_bytes = prompts.piece(parts.centre, who, sha256, begin)
    if not data:
        raise Refused(416, "prompt.range", f"the prompt has {size_bytes} bytes, none from {begin} on")
    headers = {"Content-Range": f"bytes {begin}-{begin + len(data) - 1}/{size_bytes}"}
    return Response(data, 206, headers, media_type="audio/wav")
