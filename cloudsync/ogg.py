"""A part of an Ogg/Opus recording, by seconds: the pages that hold it, numbered and dated anew. Pure; decodes no audio.

Ogg is a row of pages (RFC 3533), each with the time at its end (granule position; Opus counts 48,000 a second, RFC 7845
section 4). The first two pages say what the audio is; they are kept, and of the rest those that overlap the part: it begins
and ends at a page, at most a second before and after what was asked for.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CAPTURE = b"OggS"
GRANULES_PER_S = 48_000
HEAD = struct.Struct("<4sBBqIIIB")
"""Capture pattern, version, flags, granule position, serial, page number, checksum, segments."""
HEAD_PAGES = 2
LAST = 0x04
"""Flag of the last page."""
NO_GRANULE = -1
"""No packet ends on the page."""
_POLYNOMIAL = 0x04C11DB7


class NotOggError(Exception):
    """The bytes are not a row of Ogg pages."""


class NoAudioError(Exception):
    """Nothing lies in the part that was asked for. duration_s: how long the recording is."""

    def __init__(self, duration_s: float) -> None:
        super().__init__(f"the recording lasts {duration_s:.1f} s")
        self.duration_s = duration_s


@dataclass(frozen=True, slots=True)
class Page:
    """flags, granule, serial: as in the page's head; rest: its segment table and its packets."""

    flags: int
    granule: int
    serial: int
    segments: int
    rest: bytes


def pages(parts: Iterable[bytes]) -> Iterator[Page]:
    """The pages of a stream that comes in parts of any size. Raises NotOggError."""
    buffer = bytearray()
    for part in parts:
        buffer += part
        at = 0
        while (size := _page_bytes(buffer, at)) and at + size <= len(buffer):
            _, _, flags, granule, serial, _, _, segments = HEAD.unpack_from(buffer, at)
            yield Page(flags, granule, serial, segments, bytes(buffer[at + HEAD.size : at + size]))
            at += size
        del buffer[:at]
    if buffer:
        raise NotOggError(f"{len(buffer)} bytes behind the last whole page")


def cut(found: Iterable[Page], from_s: float, to_s: float) -> Iterator[bytes]:
    """The pages of a recording from one moment to another (seconds from its beginning), as the bytes of a recording.

    Raises NoAudioError, before the first byte, when there is nothing between them.
    """
    begin, end = int(from_s * GRANULES_PER_S), to_s * GRANULES_PER_S
    before, number, base = 0, HEAD_PAGES, 0
    heads: list[Page] = []
    held: Page | None = None
    for index, page in enumerate(found):
        if index < HEAD_PAGES:
            heads.append(page)
            continue
        starts, ends = before, page.granule if page.granule != NO_GRANULE else before
        before = ends
        if ends <= begin and page.granule != NO_GRANULE:
            base = ends
            continue
        if starts >= end or end <= begin:
            if held is None:
                continue  # to its end: how long is it?
            break
        if held is None:
            yield from (_written(head, place, head.granule, head.flags) for place, head in enumerate(heads))
        else:
            yield _written(held, number, _moved(held, base), held.flags & ~LAST)
            number += 1
        held = page
    if held is None:
        raise NoAudioError(before / GRANULES_PER_S)
    yield _written(held, number, _moved(held, base), held.flags | LAST)


def seconds(found: Iterable[Page]) -> float:
    """How long a recording is, by the time at its end."""
    return max((page.granule for page in found), default=0) / GRANULES_PER_S


def _moved(page: Page, base: int) -> int:
    return page.granule if page.granule == NO_GRANULE else page.granule - base


def _page_bytes(buffer: bytearray, at: int) -> int:
    """The size of the page that begins there; 0 while its head is not whole."""
    if len(buffer) - at < HEAD.size:
        return 0
    if buffer[at : at + 4] != CAPTURE:
        raise NotOggError("no page begins where one should")
    segments = buffer[at + HEAD.size - 1]
    table = at + HEAD.size
    if len(buffer) < table + segments:
        return 0
    return HEAD.size + segments + sum(buffer[table : table + segments])


def _written(page: Page, number: int, granule: int, flags: int) -> bytes:
    fields = (CAPTURE, 0, flags, granule, page.serial, number)
    bare = HEAD.pack(*fields, 0, page.segments) + page.rest
    return HEAD.pack(*fields, _checksum(bare), page.segments) + page.rest


def _table() -> tuple[int, ...]:
    result = []
    for value in range(256):
        remainder = value << 24
        for _ in range(8):
            remainder = remainder << 1 ^ (_POLYNOMIAL if remainder & 0x80000000 else 0)
        result.append(remainder & 0xFFFFFFFF)
    return tuple(result)


_TABLE = _table()


def _checksum(data: bytes) -> int:
    """CRC-32 as RFC 3533 section 6 has it: not reflected, begins at 0."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _TABLE[crc >> 24 ^ byte]
    return crc
