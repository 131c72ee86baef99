"""A call's audio as packets: 50 a second each way, and what the other end hears of them (RFC 3550 loss and jitter).

`python -m tests.bench.rtp_flow OWN OTHER` sends G.711 packets until its standard input ends, waits for those still under way,
and prints JSON. The packets are marked EF as a call's are.
"""

import json
import select
import socket
import statistics
import struct
import sys
import time
from contextlib import suppress

from tests.bench.link_tun import punctual

PORT = 30_000
INTERVAL_S = 0.020
PAYLOAD_BYTES = 160
"""20 ms of G.711."""
LAST_S = 1.0
"""Heard on for so long after the last packet was sent."""
EF_TOS = 0xB8
CLOCK_HZ = 8000


class Heard:
    """What came in: numbers and the jitter of RFC 3550 section 6.4.1, in milliseconds."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.jitter_ms = 0.0
        self.jitters_ms: list[float] = []
        self._transit_ms: float | None = None

    def add(self, number: int, sent_ms: float, now_ms: float) -> None:
        """A packet. sent_ms: when it was due to be sent, by the sender's count of packets."""
        self.numbers.add(number)
        transit_ms = now_ms - sent_ms
        if self._transit_ms is not None:
            self.jitter_ms += (abs(transit_ms - self._transit_ms) - self.jitter_ms) / 16
            self.jitters_ms.append(self.jitter_ms)
        self._transit_ms = transit_ms


def main(own: str, other: str) -> None:
    """The process."""
    punctual()
    heard, sent = Heard(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
        flow.bind((own, PORT))
        flow.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EF_TOS)
        flow.setblocking(False)
        begin_s, end_s = time.monotonic(), None
        while end_s is None or time.monotonic() < end_s:
            now_s = time.monotonic()
            due_s = begin_s + sent * INTERVAL_S
            if end_s is None and now_s >= due_s:
                head = struct.pack("!BBHII", 0x80, 0, sent & 0xFFFF, sent * PAYLOAD_BYTES, sent)
                with suppress(OSError):  # nobody is there yet
                    flow.sendto(head + bytes(PAYLOAD_BYTES), (other, PORT))
                sent += 1
                continue
            readers = [flow] if end_s is not None else [flow, sys.stdin]
            wait_s = (end_s or due_s) - now_s
            ready, _, _ = select.select(readers, [], [], max(wait_s, 0))
            if sys.stdin in ready:
                end_s = time.monotonic() + LAST_S
            if flow in ready:
                try:
                    packet = flow.recv(2048)
                except OSError:
                    continue
                (number,) = struct.unpack_from("!I", packet, 8)
                heard.add(number, number * INTERVAL_S * 1000, time.monotonic() * 1000)
    print(
        json.dumps(
            {
                "sent": sent,
                "heard": sorted(heard.numbers)[:1] + sorted(heard.numbers)[-1:],
                "received": len(heard.numbers),
                "jitter_ms": {
                    "mean": round(statistics.fmean(heard.jitters_ms or [0.0]), 2),
                    "max": round(max(heard.jitters_ms[50:] or [0.0]), 2),
                },
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
