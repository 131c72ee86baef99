"""CORE. How fast recordings may go: the limit of the hour, and less while calls are up and the line fills.

Two rules, and the lower one holds. The limit of the hour is the site document's. The other one is a delay-based back-off after
LEDBAT (RFC 6817): what a packet waits beyond the shortest round trip of the last ten minutes is the queue that we and others
make on the line. The rate is what the line was seen to carry, more in proportion as the queue is shorter than `TARGET_MS`,
less as it is longer, and at `STOP_MS` nothing at all. (Turned by the queue alone, as in the RFC, it swung between a third of
the line and all of it: the queue is seen a round trip late, and a round trip is as long as the queue that is aimed at.)
Loss that grows beyond what the line always loses halves the rate. Without calls only the limit holds: then nobody waits
for the line, and the kernel's congestion control fills it. Opens nothing; times are seconds of one monotonic clock, handed in.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from appliance.site_model import UploadLimit

STEP_S = 0.1
"""The rate is judged so often: two round trips of a usual line."""
TARGET_MS = 25.0
"""Queueing delay that is aimed at while calls are up. RFC 6817 allows 100 ms for transfers beside anything; a call that crosses
two such queues would lose its ease (ITU-T G.114: 150 ms mouth to ear), and its jitter buffer holds 40 to 60 ms."""
STOP_MS = 120.0
"""From here on nothing is sent until the queue is shorter."""
RISE = 0.25
"""While the queue is empty the rate is this share above what the line was seen to carry, so that it finds more."""
RISE_AT_FIRST = 2.5
"""The same until the line was full once: from 2 to 20 Mbit/s in a second."""
FALL = 0.3
"""With a queue of twice `TARGET_MS` or longer it is this share below, so that the queue drains in two or three round trips."""
CARRIED_S = 3.0
"""What the line carries is the most that was acknowledged within this time (as BBR has it): not sending does not lower it."""
SPAN_S = 60.0
SPANS = 10
"""The base is the least round trip of ten spans of a minute (RFC 6817 section 3.4.2): a route that became longer is the new
base ten minutes later."""
LOSS_GROWTH = 0.03
"""Loss this much above the base halves the rate. Below it is what lossy lines do by themselves."""
LOSS_PAUSE_S = 1.0
"""So long a halving is let work before the next."""
LEAST_SHARE = 1 / 64
LEAST_BYTES_S = 8_000.0
"""The rate never falls below 64 kbit/s, but for a full stop: what is not sent for a week fills the disk."""
BEGIN_BYTES_S = 250_000.0
"""Where the rate begins when a call comes up and nothing is known: 2 Mbit/s."""
BURST_S = 0.05
"""The bucket holds what the rate gives in this time, and one slice at least."""
PIECE_BYTES_S = 32_000.0
"""A piece under way gets this rate at least, so fewer are under way when the rate is low: the centre gives a body up that
brings nothing for 15 s."""
SLICE_BYTES = 16 * 1024
"""Sent at once at most: one TLS record, 7 ms at 20 Mbit/s."""
KBIT = 1000 / 8
"""Bytes in a kbit."""
DAY_MINUTES = 24 * 60


def limit_bytes_s(limits: Iterable[UploadLimit], minute: int) -> float | None:
    """The lowest limit that holds at a minute of the site's day, None when none does. A window may go past midnight."""
    holding = [one.kbit_s * KBIT for one in limits if (minute - one.begin) % DAY_MINUTES < _length(one)]
    return min(holding, default=None)


def _length(limit: UploadLimit) -> int:
    return (limit.end - limit.begin) % DAY_MINUTES or DAY_MINUTES


@dataclass(frozen=True, slots=True)
class Seen:
    """The line at one moment. round_trips_ms: the newest by who measured it, each on a way of its own; loss_ratio: 0..1, of the
    link monitor's window; acknowledged_bytes_s: what arrived of ours of late."""

    calls: int = 0
    round_trips_ms: Mapping[str, float] = field(default_factory=dict)
    loss_ratio: float = 0.0
    acknowledged_bytes_s: float = 0.0


class LeastOfLate:
    """The least value of the last `SPANS` spans."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque(maxlen=SPANS)

    def add(self, now_s: float, value: float) -> float:
        """Take a value in; gives the least."""
        if not self._spans or now_s - self._spans[-1][0] >= SPAN_S:
            self._spans.append((now_s, value))
        elif value < self._spans[-1][1]:
            self._spans[-1] = (self._spans[-1][0], value)
        return min(least for _, least in self._spans)


class Yielding:
    """The rate beside calls. `step` every `STEP_S`. queue_ms: the queue as last seen."""

    def __init__(self) -> None:
        self._base_ms: dict[str, LeastOfLate] = {}
        self._base_loss = LeastOfLate()
        self._carried: deque[tuple[float, float]] = deque()
        self._filled = False
        self._share = 1.0
        self._halve_at_s = 0.0
        self.queue_ms = 0.0

    def step(self, now_s: float, seen: Seen, limit: float | None) -> float | None:
        """Bytes per second from now on; None for as many as the line takes, 0 for none at all."""
        queues_ms = [
            newest_ms - self._base_ms.setdefault(source, LeastOfLate()).add(now_s, newest_ms)
            for source, newest_ms in seen.round_trips_ms.items()
        ]
        self.queue_ms = max(queues_ms, default=0.0)
        lost_more = seen.loss_ratio - self._base_loss.add(now_s, seen.loss_ratio)
        carried = self._most_carried(now_s, seen.acknowledged_bytes_s)
        if not seen.calls:
            self._filled = False
            return limit
        if self.queue_ms >= STOP_MS:
            return 0.0
        rate = max(self._share_for_loss(now_s, lost_more) * self._beside_calls(carried), LEAST_BYTES_S)
        return rate if limit is None else min(rate, limit)

    def _beside_calls(self, carried: float) -> float:
        off = max((TARGET_MS - self.queue_ms) / TARGET_MS, -1.0)
        self._filled = self._filled or off < 0.5
        rise = RISE if self._filled else RISE_AT_FIRST
        rate = carried * (1 + (rise if off > 0 else FALL) * off)
        return rate if self._filled else max(rate, BEGIN_BYTES_S)

    def _share_for_loss(self, now_s: float, lost_more: float) -> float:
        """Halved each `LOSS_PAUSE_S` while more is lost than usual, doubled while it is not, 1 at most."""
        if now_s >= self._halve_at_s:
            self._halve_at_s = now_s + LOSS_PAUSE_S
            self._share = max(self._share / 2, LEAST_SHARE) if lost_more > LOSS_GROWTH else self._share * 2
            self._share = min(self._share, 1.0)
        return self._share

    def _most_carried(self, now_s: float, acknowledged_bytes_s: float) -> float:
        while self._carried and self._carried[-1][1] <= acknowledged_bytes_s:
            self._carried.pop()
        self._carried.append((now_s, acknowledged_bytes_s))
        while now_s - self._carried[0][0] > CARRIED_S:
            self._carried.popleft()
        return self._carried[0][1]


def pieces_at_once(rate: float | None, most: int) -> int:
    """How many pieces may be under way at a rate (bytes per second, None: without limit); none when nothing is sent."""
    if rate is None:
        return most
    return min(max(int(rate / PIECE_BYTES_S), 1), most) if rate else 0


class Bucket:
    """A token bucket that may go into debt: whoever takes waits until it is paid, so the mean rate holds to the byte."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._tokens = 0.0
        self._at_s = 0.0

    def set_rate(self, now_s: float, rate: float | None) -> None:
        """From now on. None: without limit."""
        self._fill(now_s)
        self._rate = rate

    def take(self, now_s: float, count: int) -> float:
        """Take `count` bytes; gives the seconds to wait before they are sent. With a rate of 0 nothing is taken, and a step
        is to be waited before the next try."""
        self._fill(now_s)
        if self._rate is None:
            return 0.0
        if self._tokens > 0:
            self._tokens -= count
            return 0.0
        return STEP_S if not self._rate else min(-self._tokens / self._rate + 0.001, STEP_S)

    def _fill(self, now_s: float) -> None:
        if self._rate is not None:
            most = max(self._rate * BURST_S, 1.0)
            self._tokens = min(self._tokens + self._rate * max(now_s - self._at_s, 0.0), most)
        else:
            self._tokens = 1.0
        self._at_s = now_s
