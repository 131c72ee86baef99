"""CORE. The log that `shim.c` leaves, as values: every change below a folder, and every sync, in their order."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

_HEADER = struct.Struct("<10Q")
HEAD_BYTES = _HEADER.size
BUSY_AT, STOP_AT = HEAD_BYTES - 16, HEAD_BYTES - 8
"""Where in the head the process says that it is within a change, and the harness that it must not begin another."""
_ENTRY = struct.Struct("<IIQQII")
KINDS = ("write", "sync", "name", "send", "receive")
"""Sorts of points at which a process can be killed, in the shim's order."""


class Op(IntEnum):
    """What happened; `shim.c` has the same numbers."""

    NEW = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_FOLDER = 5
    RENAME = 6
    UNLINK = 7
    LINK = 8
    MKDIR = 9
    RMDIR = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One change or sync. offset: where a WRITE begins, the size that TRUNCATE sets. first: bytes written, or a path;
    second: the other path of RENAME and LINK."""

    op: Op
    ino: int = 0
    offset: int = 0
    first: bytes = b""
    second: bytes = b""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the last process came. points: in all; counts: by kind; killed: the kind of point where it died, "" if not."""

    points: int
    counts: dict[str, int]
    killed: str


def reached(log: bytes) -> Reached:
    """The head of the log."""
    _, points, killed, *counts, _, _ = _HEADER.unpack_from(log)
    return Reached(points, dict(zip(KINDS, counts, strict=True)), KINDS[killed - 1] if killed else "")


def entries(log: bytes) -> Iterator[Entry]:
    """All entries in their order."""
    (used, *_) = _HEADER.unpack_from(log)
    at, end = _HEADER.size, _HEADER.size + used
    while at < end:
        size, op, ino, offset, first, second = _ENTRY.unpack_from(log, at)
        data = at + _ENTRY.size
        yield Entry(
            Op(op),
            ino,
            offset,
            bytes(log[data : data + first]),
            bytes(log[data + first : data + first + second]),
        )
        at += size
