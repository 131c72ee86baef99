"""CORE. Finds table rows in the raw pages of a damaged SQLite file, where the tree above them cannot be walked.

Knows the file format (sqlite.org/fileformat2.html, sections 1.3, 1.6, 2.1) and nothing of what the rows mean: whoever
uses them must be able to prove each (spool records carry their hash). Rows that were deleted may turn up again.
"""

from collections.abc import Iterator
from mmap import mmap
from typing import Any

Pages = bytes | mmap
"""The file's bytes, read or mapped: a month's spool need not fit into memory."""

HEADER_BYTES = 100
_LEAF_TABLE = 0x0D
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_PAYLOAD_MAX_BYTES = 1_000_000
"""No spool record comes near; a larger length is damage."""


def rows(data: Pages, columns: int) -> Iterator[tuple[Any, ...]]:
    """Every row of `columns` columns on a leaf page of any table; the first value is the row id. Never raises."""
    size = page_bytes(data)
    if not size:
        return
    for start in range(0, len(data) - size + 1, size):
        head = start + (HEADER_BYTES if start == 0 else 0)
        if data[head] != _LEAF_TABLE:
            continue
        count = int.from_bytes(data[head + 3 : head + 5], "big")
        for n in range(min(count, size // 4)):
            place = head + 8 + 2 * n
            cell = start + int.from_bytes(data[place : place + 2], "big")
            try:
                row = _cell(data, cell, size)
            except (IndexError, ValueError, KeyError):
                continue
            if row is not None and len(row) == columns:
                yield row


def page_bytes(data: Pages) -> int:
    """The size of a page, by the beginning of a database; 0 where it cannot be read."""
    size = int.from_bytes(data[16:18], "big")
    size = 65536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else 0


def _cell(data: Pages, at: int, size: int) -> tuple[Any, ...] | None:
    length, at = _varint(data, at)
    row_id, at = _varint(data, at)
    if not 0 < length <= _PAYLOAD_MAX_BYTES:
        return None
    return _values(_payload(data, at, length, size), row_id)


def _payload(data: Pages, at: int, length: int, size: int) -> bytes:
    """The row's bytes, followed through overflow pages (section 1.6; pages of the spool have no reserved end)."""
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    if length <= most:
        return data[at : at + length]
    local = least + (length - least) % (size - 4)
    local = local if local <= most else least
    payload = bytearray(data[at : at + local])
    page = int.from_bytes(data[at + local : at + local + 4], "big")
    while page and len(payload) < length:
        start = (page - 1) * size
        payload += data[start + 4 : start + size]
        page = int.from_bytes(data[start : start + 4], "big")
    return bytes(payload[:length])


def _values(payload: bytes, row_id: int) -> tuple[Any, ...]:
    head_bytes, at = _varint(payload, 0)
    kinds = []
    while at < head_bytes:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[Any] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if values and values[0] is None:  # an INTEGER PRIMARY KEY is stored as the row id
        values[0] = row_id
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind in _INTEGER_BYTES:
        end = at + _INTEGER_BYTES[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind < 12:
        raise ValueError("a kind of value that the spool has not")
    end = at + (kind - 12) // 2
    if end > len(payload):
        raise ValueError("the row ends early")
    return (payload[at:end].decode("utf-8") if kind % 2 else payload[at:end]), end


def _varint(data: Pages, at: int) -> tuple[int, int]:
    value = 0
    for n in range(9):
        byte = data[at + n]
        if n == 8:
            return (value << 8) | byte, at + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at + n + 1
    raise ValueError("no varint")
