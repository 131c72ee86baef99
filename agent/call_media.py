"""ADAPTER. Asks rtpengine about calls: which it still relays, and how well they were heard. Runs in threads.

rtpengine is asked for nothing that a call waits for. It may be gone: then the answer is None or empty, and it is not
asked about quality again for `SILENT_PAUSE_S`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from agent.call_quality import Quality, quality_of
from appliance.media.ng import NgClient, RtpengineSilent

TIMEOUT_S = 0.3
"""It answers in under a millisecond on the same machine; call records must not wait long for a figure."""
SILENT_PAUSE_S = 5.0
"""After it did not answer."""


class CallMedia:
    """One rtpengine. address: "127.0.0.1:2223". clock: monotonic seconds."""

    def __init__(self, address: str, clock: Callable[[], float]) -> None:
        self._ng = NgClient(address, TIMEOUT_S)
        self._clock = clock
        self._ask_at_s = 0.0

    async def known(self, call_ids: Iterable[str]) -> frozenset[str] | None:
        """Those of the calls that rtpengine still relays; None when it does not answer."""
        return await asyncio.to_thread(self._known, tuple(call_ids))

    async def quality(self, call_ids: Iterable[str]) -> Mapping[str, Quality | None]:
        """Quality so far of each call about which rtpengine was asked; None: it knows nothing of it. Calls that are
        missing are to be asked about again."""
        if self._clock() < self._ask_at_s:
            return {}
        return await asyncio.to_thread(self._quality, tuple(call_ids))

    def _known(self, call_ids: tuple[str, ...]) -> frozenset[str] | None:
        try:
            return frozenset(call_id for call_id in call_ids if self._ng.knows(call_id))
        except (RtpengineSilent, OSError):
            return None

    def _quality(self, call_ids: tuple[str, ...]) -> dict[str, Quality | None]:
        told: dict[str, Quality | None] = {}
        try:
            for call_id in call_ids:
                told[call_id] = quality_of(self._ng.command("query", call_id=call_id))
        except (RtpengineSilent, OSError):
            self._ask_at_s = self._clock() + SILENT_PAUSE_S
        return told
