"""One direction of a line: a rate, a bounded queue, loss after it, and a delay. Pure: packets are sizes, times are handed in.

The order is that of a real line: a packet waits its turn behind those before it, or is dropped because the queue is full; it
takes its share of the rate; then the line may lose it, whatever it is.
"""

from dataclasses import dataclass, field
from random import Random

ETHERNET_BYTES = 14
"""Counted with each packet, as a line's provider counts."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of one direction. rate_bit_s: of Ethernet frames; delay_s: one way; loss: 0..1; queue_bytes: waiting at most."""

    rate_bit_s: float = 20e6
    delay_s: float = 0.025
    loss: float = 0.01
    queue_bytes: int = 256_000


@dataclass(slots=True)
class Fate:
    """What became of packets of one sort."""

    packets: int = 0
    lost_on_line: int = 0
    lost_in_queue: int = 0


@dataclass(slots=True)
class Way:
    """One direction. calls, rest: what became of UDP and of everything else; queue_most_bytes: the longest queue."""

    shape: Shape
    chance: Random
    calls: Fate = field(default_factory=Fate)
    rest: Fate = field(default_factory=Fate)
    queue_most_bytes: int = 0
    _free_at_s: float = 0.0

    def arrive(self, now_s: float, size: int, call: bool) -> float | None:
        """A packet of `size` bytes begins its way; when it is to be handed over, None when it never is."""
        fate = self.calls if call else self.rest
        fate.packets += 1
        begin_s = max(self._free_at_s, now_s)
        waiting = int((begin_s - now_s) * self.shape.rate_bit_s / 8)
        self.queue_most_bytes = max(self.queue_most_bytes, waiting)
        if waiting + size > self.shape.queue_bytes:
            fate.lost_in_queue += 1
            return None
        self._free_at_s = begin_s + (size + ETHERNET_BYTES) * 8 / self.shape.rate_bit_s
        if self.chance.random() < self.shape.loss:
            fate.lost_on_line += 1
            return None
        return self._free_at_s + self.shape.delay_s
