"""ADAPTER for zstandard: a batch of records as it travels, in the best coding that the centre takes. Keeps no state."""

import zstandard

from cloudsync.wire import CODING_GZIP, CODING_ZSTD, gzip_batch

LEVEL = 1
"""zstd's own first level: a batch of 500 call records has 166 bytes for each, 178 at level 3 and 188 as gzip, and takes the
box a microsecond for each instead of gzip's twenty (docs/benchmarks.md)."""


def best(accepted: str) -> str:
    """The coding for the next batch, from the `Accept-Encoding` of the centre's answer; "" of a centre that names none."""
    words = [word.partition(";")[0].strip().lower() for word in accepted.split(",")]
    return CODING_ZSTD if CODING_ZSTD in words else CODING_GZIP


def coded(plain: bytes, coding: str) -> bytes:
    """The batch in `coding`. Blocks for a few milliseconds."""
    if coding == CODING_ZSTD:
        return zstandard.ZstdCompressor(level=LEVEL).compress(plain)
    return gzip_batch(plain)
