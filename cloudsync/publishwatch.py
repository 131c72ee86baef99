"""Wakes held configuration polls when a site gets a new version, also one published by another process.

The store counts publishes (`serial`). While somebody waits, one small query every INTERVAL_S asks for that count,
for all waiters together; it works on any store and between processes, without a broker.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog

INTERVAL_S = 0.05
"""Half of the 100 ms within which a poll has to wake."""
FAILED_INTERVAL_S = 1.0
"""Pause after a query that failed: the store is locked or full, and asking faster does not help."""

log = structlog.get_logger()


class PublishWatch:
    """`run` is the task that looks; `waiter` is what a poll uses."""

    def __init__(
        self,
        last_serial: Callable[[], int],
        sites_since: Callable[[int], set[str]],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._last_serial = last_serial
        self._sites_since = sites_since
        self._interval_s = interval_s
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._somebody_waits = asyncio.Event()
        self.count = 0

    @contextlib.asynccontextmanager
    async def waiter(self, site_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set after each publish for the site that commits within the block.

        Look into the store after entering the block and before waiting: what came earlier is there already.
        """
        event = asyncio.Event()
        self._waiting.setdefault(site_id, set()).add(event)
        self.count += 1
        self._somebody_waits.set()
        try:
            yield event
        finally:
            self.count -= 1
            self._waiting[site_id].discard(event)
            if not self._waiting[site_id]:
                del self._waiting[site_id]
            if not self._waiting:
                self._somebody_waits.clear()

    async def run(self) -> None:
        """Look until cancelled. A store that fails is asked again later."""
        serial: int | None = None
        while True:
            try:
                if serial is None:
                    serial = await asyncio.to_thread(self._last_serial)
                await self._somebody_waits.wait()
                newest = await asyncio.to_thread(self._last_serial)
                if newest != serial:
                    self._wake(await asyncio.to_thread(self._sites_since, serial))
                    serial = newest
                await asyncio.sleep(self._interval_s)
            except Exception as error:  # whatever the store raises, polls must go on being served
                log.warning("centre.publish_watch_failed", error=str(error))
                await asyncio.sleep(FAILED_INTERVAL_S)

    def _wake(self, site_ids: set[str]) -> None:
        for site_id in site_ids:
            for event in self._waiting.get(site_id, ()):
                event.set()
