"""Tells the centre what wrong PINs and access codes have locked, and when it opened again. Adapter: FreeSWITCH's variables.

They are looked at now and then, so that calls in which somebody guesses need no process of ours. What is locked already when the
agent starts is told once more: the lock may be news.
"""

import asyncio
import contextlib
from collections.abc import Callable

from agent.schedules import Api
from appliance.freeswitch.ask import FreeSwitchSilent
from appliance.freeswitch.pin_locks import Lock, locks_in

LOOK_S = 5.0
"""A lock holds for twenty minutes."""


class PinLocks:
    """One per agent. api: a command of FreeSWITCH. tell: takes a lock and whether it holds now, for the centre."""

    def __init__(self, api: Api, tell: Callable[[Lock, bool], None]) -> None:
        self._api = api
        self._tell = tell
        self._known: frozenset[Lock] = frozenset()

    async def run(self) -> None:
        """For ever."""
        while True:
            with contextlib.suppress(FreeSwitchSilent):
                self.seen(locks_in(await self._api("global_getvar")))
            await asyncio.sleep(LOOK_S)

    def seen(self, now: frozenset[Lock]) -> None:
        """Tell what is new since the last look."""
        for one in sorted(now ^ self._known):
            self._tell(one, one in now)
        self._known = now
