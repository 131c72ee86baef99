"""Held polls without a store. A failure means a site that does not hear of its version, or is told of one it has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from cloudsync.publishwatch import PublishWatch


class Published:
    """The store's word: a serial for each publish."""

    def __init__(self) -> None:
        self.publishes: list[tuple[str, int]] = []
        self.asked = 0

    def last_serial(self) -> int:
        self.asked += 1
        return len(self.publishes)

    def versions_since(self, serial: int) -> Mapping[str, int]:
        return dict(self.publishes[serial:])


@contextlib.asynccontextmanager
async def running(store: Published) -> AsyncIterator[PublishWatch]:
    watch = PublishWatch(store.last_serial, store.versions_since, interval_s=0.005)
    task = asyncio.create_task(watch.run())
    yield watch
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_publish_wakes_those_of_the_site_who_have_less() -> None:
    store = Published()
    store.publishes = [("a", 3), ("b", 7)]
    async with running(store) as watch:
        behind = asyncio.create_task(watch.newer("a", "a-1", 3, 20))
        ahead = asyncio.create_task(watch.newer("a", "a-2", 9, 0.3))
        other = asyncio.create_task(watch.newer("b", "b-1", 7, 0.3))
        while watch.count < 3:
            await asyncio.sleep(0.001)
        store.publishes.append(("a", 4))
        assert await asyncio.wait_for(behind, 10)
        assert [await ahead, await other] == [False, False]
        assert watch.count == 0


async def test_centre_that_ends_answers_what_it_holds_and_holds_nothing_any_more() -> None:
    async with running(Published()) as watch:
        held = [asyncio.create_task(watch.newer(site, f"{site}-1", 3, 600)) for site in "ab"]
        while watch.count < 2:
            await asyncio.sleep(0.001)
        watch.let_go()
        async with asyncio.timeout(60):
            assert await asyncio.gather(*held) == [False, False]
            assert not await watch.newer("a", "a-1", 3, 600)


async def test_version_published_before_the_poll_is_told_at_once() -> None:
    store = Published()
    store.publishes = [("a", 3)]
    async with running(store) as watch:
        assert await asyncio.wait_for(watch.newer("a", "a-1", 2, 20), 10)
        assert await watch.newer("a", "a-1", 2, 20)


async def test_poll_of_the_same_box_takes_the_place_of_the_one_before() -> None:
    async with running(Published()) as watch:
        first = asyncio.create_task(watch.newer("a", "a-1", 3, 20))
        await asyncio.sleep(0)
        second = asyncio.create_task(watch.newer("a", "a-1", 3, 20))
        assert await asyncio.wait_for(first, 10) is False
        assert watch.count == 1
        second.cancel()


async def test_older_store_that_was_restored_is_believed() -> None:
    store = Published()
    store.publishes = [("b", 1), ("a", 5)]
    async with running(store) as watch:
        assert await asyncio.wait_for(watch.newer("a", "a-1", 2, 20), 10)
        store.publishes = [("a", 1)]
        while await watch.newer("a", "a-1", 2, 0.02):
            await asyncio.sleep(0.005)
        waiting = asyncio.create_task(watch.newer("a", "a-1", 2, 20))
        store.publishes += [("a", 6)]
        assert await asyncio.wait_for(waiting, 10)


async def test_nobody_waiting_asks_the_store_nothing() -> None:
    store = Published()
    async with running(store) as watch:
        await watch.newer("a", "a-1", 0, 0.02)
        await asyncio.sleep(0.05)
        asked = store.asked
        await asyncio.sleep(0.1)
        assert store.asked == asked
