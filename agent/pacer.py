"""Holds recordings back: asks the clock, the calls and the line every `STEP_S`, and lets `pace` say how fast to send.

One for all connections of a box. Whoever sends awaits it before each slice of `SLICE_BYTES`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.bulk_line import BulkLine
from agent.pace import STEP_S, Bucket, Seen, Yielding, limit_bytes_s, pieces_at_once
from appliance.site_model import Site

PIECES_MAX = 64
"""More than any box has connections."""
ARRIVED_SPAN_S = 0.3
"""What arrives is measured over this long."""

Monitor = Callable[[], tuple[float | None, float]]
"""The link monitor's newest round trip (ms, None for none) and loss (0..1) of the line to the cloud."""


def no_monitor() -> tuple[float | None, float]:
    """Of a box without upstreams."""
    return None, 0.0


class Pacer:
    """`run` for ever; await the object itself with a number of bytes before they are sent.

    site: the site in use; calls: calls that are up; line: the connections that recordings use.
    """

    def __init__(
        self,
        site: Callable[[], Site | None],
        calls: Callable[[], int],
        line: BulkLine,
        monitor: Monitor = no_monitor,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._site = site
        self._calls = calls
        self._line = line
        self._monitor = monitor
        self._wall = wall
        self._bucket = Bucket()
        self._yielding = Yielding()
        self._under_way = 0
        self._marks: list[tuple[float, int]] = []
        self.rate_bytes_s: float | None = None
        self.limit_bytes_s: float | None = None

    @property
    def queue_ms(self) -> float:
        """What packets waited on the line, as last seen."""
        return self._yielding.queue_ms

    async def __call__(self, count: int) -> None:
        """Wait until `count` bytes may go."""
        loop = asyncio.get_running_loop()
        while wait_s := self._bucket.take(loop.time(), count):
            await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def piece(self) -> AsyncIterator[None]:
        """While this holds one piece is under way; waits for its turn first."""
        while self._under_way >= pieces_at_once(self.rate_bytes_s, PIECES_MAX):
            await asyncio.sleep(STEP_S)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def run(self) -> None:
        """Judge the line for ever. Does not block."""
        while True:
            self.step(asyncio.get_running_loop().time())
            await asyncio.sleep(STEP_S)

    def step(self, now_s: float) -> None:
        """One look."""
        round_trip_ms, loss_ratio = self._monitor()
        own_ms, acknowledged = self._line.look()
        found = {"monitor": round_trip_ms, "own": own_ms}
        newest = {source: one for source, one in found.items() if one is not None}
        seen = Seen(self._calls(), newest, loss_ratio, self._lately(now_s, acknowledged))
        self.limit_bytes_s = self._limit()
        self.rate_bytes_s = self._yielding.step(now_s, seen, self.limit_bytes_s)
        self._bucket.set_rate(now_s, self.rate_bytes_s)

    def _lately(self, now_s: float, acknowledged_bytes: int) -> float:
        self._marks.append((now_s, acknowledged_bytes))
        while len(self._marks) > 2 and now_s - self._marks[1][0] >= ARRIVED_SPAN_S:
            self._marks.pop(0)
        (then_s, then), (last_s, last) = self._marks[0], self._marks[-1]
        return (last - then) / (last_s - then_s) if last_s > then_s else 0.0

    def _limit(self) -> float | None:
        site = self._site()
        if site is None or not site.upload_limits:
            return None
        local = self._wall().astimezone(ZoneInfo(site.time_zone))
        return limit_bytes_s(site.upload_limits, local.hour * 60 + local.minute)
