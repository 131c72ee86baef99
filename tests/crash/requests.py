"""Counts what boxes ask their centre for, so that something can happen at the n-th request and not at a time of the clock."""

import asyncio
from typing import Any


class Requests:
    """Within one event loop. Hand `began` to whoever asks."""

    def __init__(self) -> None:
        self._count = 0
        self._wanted = 0
        self._there = asyncio.Event()

    def began(self) -> None:
        """One more."""
        self._count += 1
        if self._count >= self._wanted:
            self._there.set()

    async def further(self, more: int, *, or_until: "asyncio.Future[Any]") -> None:
        """Return when `more` requests have begun from now on, or `or_until` is over."""
        self._wanted = self._count + more
        self._there.clear()
        if more:
            there = asyncio.ensure_future(self._there.wait())
            await asyncio.wait([there, or_until], return_when=asyncio.FIRST_COMPLETED)
            there.cancel()
