"""CORE. Whether SQLite's write-ahead log is whole, and which of its pages are, where it is not.

SQLite reads a log up to the first frame of which the checksum is wrong, and takes that for its end
(sqlite.org/fileformat2.html, section 4): one flipped bit takes back every transaction behind it without a word. What lies behind
can be told from leftovers of an earlier log by the salts of its frames, and from the unsynced end that a power cut leaves by the
transactions that follow: each was synced before the next began. Each frame can be proved by itself, since the one before carries
the checksum that it goes on from. Opens nothing.
"""

import struct
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from mmap import mmap

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
_MAGIC = 0x377F0682
_WORD = 0xFFFFFFFF

Data = bytes | mmap


class Found(StrEnum):
    """What a log is like."""

    WHOLE = "whole"
    CUT = "cut"
    """The last transaction is not whole, as a power cut leaves one that nobody was told of; or it is damaged, or the end of the
    one before is, which looks the same."""
    DAMAGED = "damaged"
    """Transactions that were synced do not count any more for SQLite."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A page in the log. page: its number, from 1; commit_pages: how many the database then has, 0 within a transaction. begin:
    of its image. whole: number and image are what was written; sound: so is the rest, by which SQLite knows it."""

    page: int
    commit_pages: int
    begin: int
    whole: bool
    sound: bool


@dataclass(frozen=True, slots=True)
class Log:
    """What is in a log, in its order. problem: for people, "" for none."""

    found: Found
    page_bytes: int
    frames: tuple[Frame, ...] = ()
    problem: str = ""


def look(data: Data, page_bytes: int) -> Log:
    """Read a log. page_bytes: of the database. Takes a second for 16 MB. Never raises."""
    size = FRAME_HEADER_BYTES + page_bytes
    count = max(len(data) - HEADER_BYTES, 0) // size
    if not count:
        return Log(Found.WHOLE, page_bytes)
    order = _order(data)
    sound = _header_is_sound(data, page_bytes, order)
    salts = data[16:24] if sound else data[HEADER_BYTES + 8 : HEADER_BYTES + 16]
    begins = range(HEADER_BYTES, HEADER_BYTES + count * size, size)
    last = max((n for n, begin in enumerate(begins) if data[begin + 8 : begin + 16] == salts), default=-1)
    frames = tuple(_frames(data, begins[: last + 1], salts, page_bytes, order))
    good = next((n for n, frame in enumerate(frames) if not frame.sound), len(frames)) if sound else 0
    if sound and good == len(frames):
        return Log(Found.WHOLE, page_bytes, frames)
    what = f"frame {good + 1} of {len(frames)}" if sound else f"the header before {len(frames)} frames"
    told = frames[good:-1] if sound else frames
    if any(frame.commit_pages and frame.whole for frame in told):
        return Log(Found.DAMAGED, page_bytes, frames, f"the log beside it is damaged: {what}")
    return Log(
        Found.CUT, page_bytes, frames, f"the log beside it ends in the middle of a transaction: {what}"
    )


def newest_pages(log: Log) -> tuple[dict[int, int], int]:
    """Page -> where its newest whole image begins in the log, up to the last commit; and how many pages the database has then, 0
    where no commit can be read."""
    commits = [n for n, frame in enumerate(log.frames) if frame.commit_pages and frame.whole]
    if not commits:
        return {}, 0
    upto = log.frames[: commits[-1] + 1]
    pages = {frame.page: frame.begin for frame in upto if frame.whole and frame.page}
    return pages, log.frames[commits[-1]].commit_pages


def _order(data: Data) -> str:
    """How its words are read for a checksum, which the magic number says; if that is damaged, as this machine writes them."""
    magic = int.from_bytes(data[:4], "big")
    if magic & ~1 != _MAGIC:
        return "<" if sys.byteorder == "little" else ">"
    return ">" if magic & 1 else "<"


def _header_is_sound(data: Data, page_bytes: int, order: str) -> bool:
    magic, _, page, *_, first, second = struct.unpack(">8I", data[:HEADER_BYTES])
    stated = 65536 if page == 1 else page
    return magic & ~1 == _MAGIC and stated == page_bytes and _sum(data[:24], (0, 0), order) == (first, second)


def _frames(data: Data, begins: range, salts: bytes, page_bytes: int, order: str) -> list[Frame]:
    """A frame is proved by its own sum, or by the next one's where its own is what was damaged."""
    found: list[Frame] = []
    before = computed = struct.unpack(">2I", data[24:HEADER_BYTES])
    for begin in begins:
        page, commit_pages = struct.unpack(">2I", data[begin : begin + 8])
        stated = struct.unpack(">2I", data[begin + 16 : begin + 24])
        image = begin + FRAME_HEADER_BYTES
        summed = data[begin : begin + 8] + data[image : image + page_bytes]
        own = _sum(summed, before, order)
        if own != stated and found and _sum(summed, computed, order) == stated:
            own, found[-1] = stated, replace(found[-1], whole=True)
        whole = own == stated
        found.append(Frame(page, commit_pages, image, whole, whole and data[begin + 8 : begin + 16] == salts))
        before, computed = stated, own
    return found


def _sum(data: bytes, before: tuple[int, ...], order: str) -> tuple[int, ...]:
    first, second = before
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
