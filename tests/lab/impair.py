"""What a bad line does to one direction of traffic: when each packet leaves, if it does. Pure; time and chance are given.

Datagrams are lost, delayed, overtaken and dropped from a full queue as on the wire. A TCP stream, which ends at the
emulator, shows loss as its endpoints would see it: a lost chunk arrives after a retransmission time-out.
"""

import random
from dataclasses import dataclass

QUEUE_S = 0.5
"""A throttled line drops datagrams that would wait longer than this, as a router with a shallow queue does."""

OVERTAKEN_BY_S = 0.03
"""How late a reordered datagram leaves: more than one 20 ms voice packet, so that another overtakes it."""

RETRANSMISSION_S = 0.2
"""Linux's smallest TCP retransmission time-out (TCP_RTO_MIN); doubles with each loss of the same chunk."""

MAX_LOSSES = 5
"""A chunk of a stream is taken as lost at most this often in a row: 6.2 s of delay."""


@dataclass(frozen=True)
class Impairment:
    """One direction's faults; the default is a perfect line."""

    loss: float = 0.0
    """Share of packets lost, 0 to 1."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Added to the delay, evenly distributed between 0 and this."""
    reorder: float = 0.0
    """Share of datagrams that another one overtakes, 0 to 1."""
    bits_per_s: float = 0.0
    """Rate limit; 0 is none."""

    def __post_init__(self) -> None:
        """Refuse what no line can do."""
        for name, value, most in (("loss", self.loss, 1.0), ("reorder", self.reorder, 1.0)):
            if not 0 <= value <= most:
                raise ValueError(f"{name} {value}: must be 0 to {most:g}")
        for name, value in (
            ("delay_ms", self.delay_ms),
            ("jitter_ms", self.jitter_ms),
            ("bits_per_s", self.bits_per_s),
        ):
            if value < 0:
                raise ValueError(f"{name} {value}: must not be negative")


class Lane:
    """One direction of the line and what is on its way."""

    def __init__(self, chance: random.Random, impairment: Impairment | None = None) -> None:
        """``chance`` decides losses and jitter; seed it for a run that repeats."""
        self.impairment = impairment or Impairment()
        self._chance = chance
        self._free_at = 0.0
        self._last_departure = 0.0

    def datagram(self, now: float, size_bytes: int) -> float | None:
        """When a datagram that arrives ``now`` leaves (seconds, same clock), or ``None`` when it is lost."""
        fault = self.impairment
        if fault == _PERFECT:
            return now
        if fault.loss and self._chance.random() < fault.loss:
            return None
        if fault.bits_per_s and self._free_at - now > QUEUE_S:
            return None
        departure = self._through(now, size_bytes)
        if fault.reorder and self._chance.random() < fault.reorder:
            return departure + OVERTAKEN_BY_S
        return self._in_order(departure)

    def chunk(self, now: float, size_bytes: int) -> float | None:
        """When a chunk of a TCP stream leaves; ``None`` when it never does (everything is lost)."""
        fault = self.impairment
        if fault == _PERFECT:
            return now
        if fault.loss >= 1:
            return None
        retransmitted_s = 0.0
        for lost in range(MAX_LOSSES):
            if self._chance.random() >= fault.loss:
                break
            retransmitted_s += RETRANSMISSION_S * 2**lost
        # Only this chunk's own stream has to wait for it; the stream's sender keeps the order.
        return self._through(now, size_bytes) + retransmitted_s

    def _through(self, now: float, size_bytes: int) -> float:
        fault = self.impairment
        departure = now
        if fault.bits_per_s:
            self._free_at = max(now, self._free_at) + size_bytes * 8 / fault.bits_per_s
            departure = self._free_at
        jitter_ms = self._chance.uniform(0, fault.jitter_ms) if fault.jitter_ms else 0.0
        return departure + (fault.delay_ms + jitter_ms) / 1000

    def _in_order(self, departure: float) -> float:
        self._last_departure = max(departure, self._last_departure)
        return self._last_departure


_PERFECT = Impairment()
