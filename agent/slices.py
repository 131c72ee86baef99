"""A request body that is sent in slices, each when its sender is allowed to go on. Sends nothing itself."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from agent.pace import SLICE_BYTES


class Pace(Protocol):
    """Who may send when. `agent.pacer` is one."""

    async def __call__(self, count: int) -> None:
        """Wait until `count` bytes may go."""

    def piece(self) -> AbstractAsyncContextManager[None]:
        """Held while a piece is under way; waits for its turn."""


class NoLimit:
    """The pace of a line without a limit."""

    async def __call__(self, count: int) -> None:
        """Never waits."""

    def piece(self) -> AbstractAsyncContextManager[None]:
        """Never waits."""
        return nullcontext()


class Sliced:
    """The bytes of a body, slice by slice. It can be sent again: each iteration begins at the first."""

    def __init__(self, data: bytes, pace: Pace) -> None:
        self._data = data
        self._pace = pace

    def __len__(self) -> int:
        return len(self._data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The slices."""
        for begin in range(0, len(self._data), SLICE_BYTES):
            part = self._data[begin : begin + SLICE_BYTES]
            await self._pace(len(part))
            yield part
