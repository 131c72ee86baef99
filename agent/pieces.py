"""Which pieces of a recording are still to be sent. Pure; opens nothing.

The centre says which spans of bytes it has on disk. What it does not name is cut into pieces here, so the size of a piece may
change at any time without losing what is there.
"""

from collections.abc import Iterable

Span = tuple[int, int]
"""Bytes from begin to end, end not included."""


def missing(held: Iterable[Span], size_bytes: int, piece_bytes: int) -> list[Span]:
    """Pieces of at most `piece_bytes` that cover all of 0..size_bytes but `held`, in order.

    A short rest of a gap is given to the piece before it, but for the recording's own end: the centre takes no crumbs.
    """
    result: list[Span] = []
    for begin, end in _gaps(held, size_bytes):
        while end - begin > piece_bytes + (0 if end == size_bytes else piece_bytes // 2):
            result.append((begin, begin + piece_bytes))
            begin += piece_bytes
        result.append((begin, end))
    return result


def held_bytes(held: Iterable[Span], size_bytes: int) -> int:
    """How many bytes of 0..size_bytes the spans cover, overlaps counted once."""
    return size_bytes - sum(end - begin for begin, end in _gaps(held, size_bytes))


def _gaps(held: Iterable[Span], size_bytes: int) -> list[Span]:
    gaps: list[Span] = []
    reached = 0
    for begin, end in sorted(held):
        if begin > reached:
            gaps.append((reached, min(begin, size_bytes)))
        reached = max(reached, end)
    if reached < size_bytes:
        gaps.append((reached, size_bytes))
    return [(begin, end) for begin, end in gaps if begin < end]
