"""What many ask one by one is done for all of them at once: one transaction and one way to a thread for hundreds of requests.

One batch is under way at a time; what comes meanwhile is the next one. Whoever asks alone does not wait. Knows asyncio and
nothing of what is done.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Given = TypeVar("Given")


class Gathering(Generic[Asked, Given]):
    """`do` is called in a thread with a batch, and gives for each of it an answer, or an exception that is raised there.

    most: of one batch. pause_s: between the beginnings of two batches, once `busy_per_s` are asked or more; below that a
    batch begins as soon as the one before has ended.
    """

    def __init__(
        self,
        do: Callable[[Sequence[Asked]], Sequence[Given | Exception]],
        *,
        most: int,
        pause_s: float = 0.0,
        busy_per_s: float = 0.0,
    ) -> None:
        self._do = do
        self._most = most
        self._pause_s = pause_s
        self._busy_per_s = busy_per_s
        self._waiting: deque[tuple[Asked, asyncio.Future[Given]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def ask(self, one: Asked) -> Given:
        """The answer for this one. Raises what was given for it, or what `do` raised for the batch as a whole."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Given] = loop.create_future()
        self._waiting.append((one, future))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                began_s = loop.time()
                count = await self._batch()
                pause_s = began_s + self._pause_s - loop.time()
                if (
                    count >= self._busy_per_s * self._pause_s
                    and pause_s > 0
                    and len(self._waiting) < self._most
                ):
                    await asyncio.sleep(pause_s)
        finally:
            self._running = None

    async def _batch(self) -> int:
        batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            answers = await asyncio.to_thread(self._do, [one for one, _ in batch])
        except Exception as error:  # whatever it is, everybody hears it
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # whoever asked has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        return len(batch)
