"""Spans of bytes of an upload that are there, as (begin, end) with end not included. Pure; opens nothing.

The names of the pieces are the account of an upload: a piece has its name only once all of its bytes are on the disk.
So what is not there is a gap between spans, never zeros in a file.
"""

import re
from collections.abc import Iterable

Span = tuple[int, int]

NAME = re.compile(r"(\d{15})-(\d{15})")
"""How a piece is called, in a folder and in a bucket."""


def name_of(begin: int, end: int) -> str:
    """The name of the piece with these bytes; names sort as their begins."""
    return f"{begin:015d}-{end:015d}"


def span_of(name: str) -> Span | None:
    """Inverse of `name_of`; None for what is no piece (something unfinished that a crash left behind)."""
    found = NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same bytes as few spans, in order, none touching another."""
    result: list[Span] = []
    for begin, end in sorted(spans):
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        elif begin < end:
            result.append((begin, end))
    return result


def chain(spans: Iterable[Span]) -> list[Span]:
    """Of pieces that may overlap, those to read one after the other from 0 on; ends at the first gap."""
    found = sorted(spans)
    result: list[Span] = []
    reached = 0
    while True:
        fitting = [span for span in found if span[0] <= reached < span[1]]
        if not fitting:
            return result
        result.append(max(fitting, key=lambda span: span[1]))
        reached = result[-1][1]


def covers(spans: Iterable[Span], size_bytes: int) -> bool:
    """Whether no byte of 0..size_bytes is missing."""
    found = chain(spans)
    return bool(found) and found[-1][1] == size_bytes
