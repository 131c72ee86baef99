"""A child that is spoken to in JSON lines over its pipes: orders with answers, and events in between."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.processes import WAIT_S, Process

ORDER_TIMEOUT_S = 15.0


class OrderRefused(RuntimeError):
    """The child answered an order with an error."""


class Worker:
    """The parent's end of one such child."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        folder: Path,
        on_event: Callable[[dict[str, Any]], None],
        env: Mapping[str, str] | None = None,
    ) -> None:
        """``on_event`` gets every event in the order in which the child said them."""
        self.process = Process(name, argv, folder, env=env, pipes=True)
        self._on_event = on_event
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._listening: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self, timeout_s: float = 2 * WAIT_S) -> None:
        """Start the child and wait until it says that it is ready."""
        await self.process.start()
        self._listening = asyncio.create_task(self._listen())
        await self.process.wait(self._ready.is_set, "ready", timeout_s)

    async def stop(self) -> None:
        """Ask the child to end, and make it end."""
        child = self.process.child
        if child is not None and child.stdin is not None and self.process.running:
            with contextlib.suppress(ConnectionError):
                child.stdin.write(b'{"do": "quit"}\n')
                await child.stdin.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    await child.wait()
        await self.process.stop()
        await self._stopped()

    async def kill(self) -> None:
        """End the child as a power cut would: no BYE, no unregistering."""
        await self.process.kill()
        await self._stopped()

    async def ask(self, order: str, within_s: float = ORDER_TIMEOUT_S, /, **arguments: Any) -> Any:
        """Give an order and return its answer. Raises ``OrderRefused`` with the child's words, ``TimeoutError``."""
        child = self.process.child
        if child is None or child.stdin is None or not self.process.running:
            raise OrderRefused(f"{self.process.name} is not running\n{self.process.log_tail()}")
        self._number += 1
        number = self._number
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        child.stdin.write(json.dumps({"id": number, "do": order, **arguments}).encode() + b"\n")
        try:
            async with asyncio.timeout(within_s):
                return await answer
        finally:
            self._answers.pop(number, None)

    async def _listen(self) -> None:
        child = self.process.child
        assert child is not None
        assert child.stdout is not None
        while line := await child.stdout.readline():
            message = json.loads(line)
            if "event" not in message:
                answer = self._answers.get(message["id"])
                if answer is not None and not answer.done():
                    if "error" in message:
                        answer.set_exception(OrderRefused(f"{self.process.name}: {message['error']}"))
                    else:
                        answer.set_result(message["ok"])
            elif message["event"] == "ready":
                self._ready.set()
            else:
                self._on_event(message)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(OrderRefused(f"{self.process.name} ended\n{self.process.log_tail()}"))

    async def _stopped(self) -> None:
        if self._listening is not None:
            await self._listening
            self._listening = None
        self._ready.clear()
