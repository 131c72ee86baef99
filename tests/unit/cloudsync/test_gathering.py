"""Requests that come together. A failure means a box that gets another's answer, or none."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from cloudsync.gathering import Gathering


class Store:
    """Answers with ten times the number; the gate holds a batch back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False

    def do(self, asked: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(asked))
        assert self.gate.wait(10)
        if self.broken:
            raise OSError("the disk is gone")
        return [ValueError("odd") if one == 13 else one * 10 for one in asked]


async def test_one_alone_is_done_at_once() -> None:
    store = Store()
    assert await Gathering(store.do, most=5).ask(4) == 40
    assert store.batches == [[4]]


async def test_what_comes_while_a_batch_is_under_way_is_the_next_batch() -> None:
    store = Store()
    desk = Gathering(store.do, most=3)
    store.gate.clear()
    asked = [asyncio.create_task(desk.ask(number)) for number in range(6)]
    while not store.batches:
        await asyncio.sleep(0.001)
    later = [asyncio.create_task(desk.ask(number)) for number in (6, 7)]
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(*asked, *later) == [number * 10 for number in range(8)]
    assert [len(batch) for batch in store.batches] == [3, 3, 2]


async def test_refusal_of_one_is_raised_to_that_one_only() -> None:
    desk = Gathering(Store().do, most=5)
    answers = await asyncio.gather(*(desk.ask(number) for number in (1, 13, 2)), return_exceptions=True)
    assert (answers[0], answers[2]) == (10, 20)
    assert isinstance(answers[1], ValueError)


async def test_broken_store_is_told_to_all_and_asked_again_afterwards() -> None:
    store = Store()
    desk = Gathering(store.do, most=5)
    store.broken = True
    answers = await asyncio.gather(desk.ask(1), desk.ask(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, OSError]
    store.broken = False
    assert await desk.ask(3) == 30


async def test_who_has_gone_does_not_disturb_the_others() -> None:
    store = Store()
    desk = Gathering(store.do, most=5)
    store.gate.clear()
    gone, stays = asyncio.create_task(desk.ask(1)), asyncio.create_task(desk.ask(2))
    while not store.batches:
        await asyncio.sleep(0.001)
    gone.cancel()
    store.gate.set()
    assert await stays == 20
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_many_wait_for_one_another_and_a_few_do_not() -> None:
    store = Store()
    few = Gathering(store.do, most=50, pause_s=5.0, busy_per_s=10.0)
    assert [await asyncio.wait_for(few.ask(number), 4) for number in range(3)] == [0, 10, 20]
    many = Gathering(store.do, most=50, pause_s=0.2, busy_per_s=0.0)
    await many.ask(1)
    asked = [asyncio.create_task(many.ask(number)) for number in range(5)]
    await asyncio.sleep(0.01)
    asked += [asyncio.create_task(many.ask(number)) for number in range(5, 10)]
    await asyncio.gather(*asked)
    assert store.batches[-1] == list(range(10))
