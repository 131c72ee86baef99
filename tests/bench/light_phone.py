"""Telephones without audio for the benchmarks: they answer every call after a fixed time, and time the calls they make."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from tests.lab import sipmsg
from tests.lab.sipcall import Incoming
from tests.lab.sipua import Ua

ANSWER_AFTER_S = 0.05
"""Between ringing and answering."""

BYE_S = 5.0
PORT = 4000
"""Of the audio that is described and never sent."""


@dataclass(frozen=True)
class Placed:
    """One call. connected: it was answered. ring_ms: post-dial delay, from the first INVITE to the first ringing or answer
    (a challenge in between included); ``None`` when there was neither. code: the last word, 0 for none."""

    connected: bool
    ring_ms: float | None
    code: int


class LightPhone:
    """One telephone, or a gateway. ``async with`` opens its socket."""

    def __init__(
        self,
        user: str,
        address: str,
        server: tuple[str, int] | None = None,
        *,
        password: str = "",
        domain: str = "",
        port: int = 5060,
    ) -> None:
        """See ``tests.lab.sipua.Ua``."""
        self.domain = domain
        self.ua = Ua(
            user, address, server, port=port, password=password, domain=domain, on_request=self._came
        )
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "LightPhone":
        """Open the socket."""
        await self.ua.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give up what still goes on and close the socket."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ua.__aexit__()

    async def register(self, expires_s: int = 3600) -> None:
        """Register; raises ``ConnectionRefusedError`` when refused, ``TimeoutError`` without an answer."""
        answer = await self.ua.register(expires_s)
        if answer.code != 200:
            raise ConnectionRefusedError(f"{self.ua.user}: {answer.code} {answer.reason}")

    async def call(self, number: str, limit_s: float = 10.0) -> Placed:
        """Call a number, hang up as soon as it is answered; give up after ``limit_s``. Never raises for a failed call."""
        began_s = time.monotonic()
        transaction = await self.ua.invite(f"sip:{number}@{self.domain}", challenge_s=limit_s)
        code = 0
        with contextlib.suppress(TimeoutError):
            code = (await transaction.wait(200, max(0.01, limit_s - (time.monotonic() - began_s)))).code
        rang_s = next((at for at, answer in transaction.responses if 100 < answer.code < 300), None)
        if 200 <= code < 300:
            self._do(self._hang_up(self.ua.bye(self.ua.dialog(transaction), BYE_S)))
        elif code == 0:
            self.ua.cancel(transaction)
        ring_ms = None if rang_s is None else (rang_s - transaction.sent_at) * 1000
        self.ua.received.clear()  # the agent under it keeps all that it hears; a benchmark makes thousands of calls
        return Placed(200 <= code < 300, ring_ms, code)

    def _came(self, incoming: Incoming) -> None:
        if incoming.request.method == "INVITE":
            incoming.reply(180, "Ringing")
            self._do(self._answer(incoming))
        else:
            incoming.reply(200, "OK")

    async def _answer(self, incoming: Incoming) -> None:
        await asyncio.sleep(ANSWER_AFTER_S)
        if not incoming.cancelled.is_set():
            with contextlib.suppress(TimeoutError):
                await self.ua.answer_until_acknowledged(incoming, sipmsg.sdp(self.ua.address, PORT))

    async def _hang_up(self, bye: Coroutine[Any, Any, sipmsg.Message]) -> None:
        with contextlib.suppress(TimeoutError):
            await bye

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
