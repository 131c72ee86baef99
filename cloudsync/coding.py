"""ADAPTER for zstandard: the content codings of a batch. Knows what may come in, and how large it may become."""

import zstandard

from cloudsync.wire import CODING_GZIP, CODING_ZSTD, WireError, gunzip

IDENTITY = "identity"
CODINGS = (CODING_ZSTD, CODING_GZIP)
"""What a box may choose from, the better first; announced with every answer to a batch."""
WINDOW_BYTES_MAX = 8 * 1024 * 1024
"""Memory that a body may ask for beside the batch itself: as much as RFC 8878 wants every decoder to have."""
PIECE_BYTES = 64
"""Of the coded body at a time, where it does not say how large it becomes: zstd's largest expansion (a block of 128 KiB
from 4 bytes) makes 2 MiB of it."""


def plain(body: bytes, coding: str, limit_bytes: int) -> bytes:
    """The body without its coding, at most `limit_bytes` of it. `coding` is one of CODINGS, or IDENTITY.

    Raises WireError `bad_gzip`, `bad_zstd` or `too_large`.
    """
    if coding == CODING_GZIP:
        return gunzip(body, limit_bytes)
    return _unzstd(body, limit_bytes) if coding == CODING_ZSTD else body


def _unzstd(body: bytes, limit_bytes: int) -> bytes:
    try:
        said_bytes = zstandard.frame_content_size(body)
        if said_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        inflater = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX)
        if said_bytes >= 0:
            return inflater.decompress(body, allow_extra_data=False)
        return _grown(inflater, body, limit_bytes)
    except zstandard.ZstdError as error:
        raise WireError("bad_zstd", f"the body is not zstd: {error}", "Send the batch again.") from error


def _grown(inflater: zstandard.ZstdDecompressor, body: bytes, limit_bytes: int) -> bytes:
    """A frame that does not say how large it is, in pieces: it may be a bomb."""
    frame = inflater.decompressobj()
    pieces: list[bytes] = []
    total_bytes = 0
    for begin in range(0, len(body), PIECE_BYTES):
        pieces.append(frame.decompress(body[begin : begin + PIECE_BYTES]))
        total_bytes += len(pieces[-1])
        if total_bytes > limit_bytes:
            raise _too_large(limit_bytes)
    if not frame.eof:
        raise WireError("bad_zstd", "the zstd body ends early", "Send the batch again.")
    return b"".join(pieces)


def _too_large(limit_bytes: int) -> WireError:
    return WireError(
        "too_large", f"the body inflates to more than {limit_bytes} bytes", "Send smaller batches."
    )
