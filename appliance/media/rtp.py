"""CORE: RTP packets (RFC 3550 section 5.1) and the order they were sent in."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

REORDER_DEPTH = 16
"""Packets held back to put late ones in their place: 320 ms of 20 ms packets, more than any jitter worth listening to."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """at_s: when it was captured; sequence and timestamp as sent (16 and 32 bits)."""

    at_s: float
    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes


def parse(at_s: float, data: bytes) -> RtpPacket | None:
    """The packet, or None for anything else on the port: RTCP (RFC 5761 section 4), STUN, DTLS, noise."""
    if len(data) < 12 or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F <= 95:
        return None
    start = 12 + (data[0] & 0x0F) * 4
    if data[0] & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + int.from_bytes(data[start + 2 : start + 4], "big") * 4
    end = len(data) - data[-1] if data[0] & 0x20 else len(data)
    if not start <= end:
        return None
    return RtpPacket(
        at_s,
        int.from_bytes(data[8:12], "big"),
        data[1] & 0x7F,
        int.from_bytes(data[2:4], "big"),
        int.from_bytes(data[4:8], "big"),
        data[start:end],
    )


def in_order(packets: Iterable[RtpPacket], depth: int = REORDER_DEPTH) -> Iterator[RtpPacket]:
    """The packets of one direction in sending order, each once. A new SSRC starts a new sequence and is never mixed
    with the one before."""
    held: list[tuple[int, int, int, RtpPacket]] = []
    seen: set[tuple[int, int]] = set()
    epoch, ssrc, last = 0, -1, 0
    for count, packet in enumerate(packets):
        if packet.ssrc != ssrc:
            epoch, ssrc, last = epoch + 1, packet.ssrc, packet.sequence
        step = (packet.sequence - last + 0x8000) % 0x10000 - 0x8000
        extended = last + step
        last = max(last, extended)
        if (epoch, extended) in seen:
            continue
        seen.add((epoch, extended))
        if len(seen) > 64 * depth:
            seen = {(e, s) for e, s in seen if e == epoch and s > last - 8 * depth}
        heapq.heappush(held, (epoch, extended, count, packet))
        if len(held) > depth:
            yield heapq.heappop(held)[3]
    while held:
        yield heapq.heappop(held)[3]
