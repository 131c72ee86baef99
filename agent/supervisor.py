"""Keeps the agent's tasks running: one that fails is started again with back-off and counted; the others go on.

Knows asyncio and nothing of what the tasks do.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

BACKOFF_FIRST_S = 0.5
"""The longest wait before the first restart. Waits are between a tenth of their limit and the limit: thousands of boxes
whose polls were cut in the same moment must not come back in the same moment."""
JITTER_LEAST = 0.1

BACKOFF_CAP_S = 60.0
"""Longest wait: a fault that lasts is tried about once in half a minute."""

SETTLED_S = 60.0
"""A task that ran for so long begins at the first wait again."""

Work = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class TaskFigures:
    """What the status tells of one task. last_error: type and text of its last failure, or ""."""

    running: bool = False
    restarts: int = 0
    last_error: str = ""


class Supervisor:
    """Starts, restarts and stops named tasks. failed: called with name, exception and the wait before the restart.
    jitter: a new number from 0 to 1 with each call."""

    def __init__(
        self,
        failed: Callable[[str, BaseException, float], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._failed = failed
        self._jitter = jitter
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.figures: dict[str, TaskFigures] = {}

    def start(self, name: str, work: Work) -> None:
        """Run `work()` for ever under `name`; raises `ValueError` when the name is taken."""
        if name in self._tasks:
            raise ValueError(f"a task named {name!r} runs already")
        self.figures[name] = TaskFigures()
        self._tasks[name] = asyncio.create_task(self._keep(name, work), name=name)

    async def stop(self, *names: str) -> None:
        """Cancel the named tasks, or all, and wait until they have given back what they hold."""
        tasks = [self._tasks.pop(name) for name in (names or tuple(self._tasks)) if name in self._tasks]
        for task in tasks:
            self.figures.pop(task.get_name(), None)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, work: Work) -> None:
        figures = self.figures[name]
        loop = asyncio.get_running_loop()
        limit_s = BACKOFF_FIRST_S
        while True:
            began_s = loop.time()
            figures.running = True
            try:
                await work()
                error: BaseException = RuntimeError("the task ended by itself")
            except Exception as failure:
                error = failure
            figures.running = False
            figures.restarts += 1
            figures.last_error = f"{type(error).__name__}: {error}"
            limit_s = BACKOFF_FIRST_S if loop.time() - began_s > SETTLED_S else limit_s
            wait_s = limit_s * (JITTER_LEAST + (1 - JITTER_LEAST) * self._jitter())
            self._failed(name, error, wait_s)
            await asyncio.sleep(wait_s)
            limit_s = min(BACKOFF_CAP_S, limit_s * 2)
