"""Knows each site's newest version, and wakes held configuration polls when it grows, also by another process's publish.

The store counts publishes (`serial`). While somebody waits, one small query every INTERVAL_S asks for that count,
for all waiters together; it works on any store and between processes, without a broker. A held poll asks the store nothing.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

INTERVAL_S = 0.05
"""Half of the 100 ms within which a poll has to wake."""
FAILED_INTERVAL_S = 1.0
"""Pause after a query that failed: the store is locked or full, and asking faster does not help."""

log = structlog.get_logger()

_Waiter = tuple[int, asyncio.Future[bool]]
"""The version that a waiter has, and what it waits for."""


class PublishWatch:
    """`run` is the task that looks; `newer` is what a poll uses."""

    def __init__(
        self,
        last_serial: Callable[[], int],
        versions_since: Callable[[int], Mapping[str, int]],
        interval_s: float = INTERVAL_S,
    ) -> None:
        """versions_since: the newest version of each site that got one after the publish of that number."""
        self._last_serial = last_serial
        self._versions_since = versions_since
        self._interval_s = interval_s
        self._versions: dict[str, int] = {}
        self._waiting: dict[str, dict[str, _Waiter]] = {}
        self._somebody_waits = asyncio.Event()
        self._ends = False
        self.count = 0

    async def newer(self, site_id: str, holder: str, have: int, wait_s: float) -> bool:
        """True as soon as the site has a version above `have`; False after `wait_s`, when the centre ends, or when another
        poll of the same `holder` takes this one's place: its connection is gone, as after a cut line."""
        self._somebody_waits.set()
        if self._versions.get(site_id, 0) > have:
            return True
        if self._ends:
            return False
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        holders = self._waiting.setdefault(site_id, {})
        if holder in holders:
            _settle(holders[holder][1], False)
        holders[holder] = (have, future)
        self.count += 1
        timer = loop.call_later(wait_s, _settle, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            self.count -= 1
            if holders.get(holder, (0, None))[1] is future:
                del holders[holder]
            if not holders and self._waiting.get(site_id) is holders:
                del self._waiting[site_id]

    def let_go(self) -> None:
        """The centre ends: answer all that is held now, and hold nothing any more."""
        self._ends = True
        for holders in self._waiting.values():
            for _, future in holders.values():
                _settle(future, False)

    async def run(self) -> None:
        """Look until cancelled. A store that fails is asked again later."""
        serial = 0
        while True:
            try:
                await self._somebody_waits.wait()
                if not self._waiting:  # one look for those who did not have to wait: what is known may be old
                    self._somebody_waits.clear()
                newest = await asyncio.to_thread(self._last_serial)
                if newest < serial:  # an older store was restored
                    serial, self._versions = 0, {}
                if newest != serial:
                    self._heard(await asyncio.to_thread(self._versions_since, serial))
                    serial = newest
                await asyncio.sleep(self._interval_s)
            except Exception as error:  # whatever the store raises, polls must go on being served
                log.warning("centre.publish_watch_failed", error=str(error))
                await asyncio.sleep(FAILED_INTERVAL_S)

    def _heard(self, versions: Mapping[str, int]) -> None:
        self._versions.update(versions)
        for site_id in versions.keys() & self._waiting.keys():
            for have, future in self._waiting[site_id].values():
                if self._versions[site_id] > have:
                    _settle(future, True)


def _settle(future: asyncio.Future[bool], newer: bool) -> None:
    if not future.done():
        future.set_result(newer)
