"""ADAPTER. Watches the file system of `state_dir` and carries out what `disk` decides: tells Kamailio to record no new
calls, tells rtpengine to end the captures under way, and reports each change.

What Kamailio is told expires by itself (`recording_order.TTL_S`): a dead agent never keeps a site unrecorded.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.disk import LOOK_S, DiskState, Use, allows, next_state
from agent.kamailio_rpc import KamailioRpc, RpcError, RpcRefused
from agent.logs import Logger
from appliance.kamailio.recording_order import BY_AGENT, OFF, TABLE
from appliance.media.ng import NgClient, RtpengineSilent

STOPPED_AT_ONCE = 500
"""Captures ended in one look; the next look takes the next."""

STOP_AGAIN_S = 10.0
"""A re-INVITE begins the capture of its call anew; so often it is ended again."""


@dataclass(frozen=True, slots=True)
class Room:
    """The file system now, in bytes as an unprivileged process may use them."""

    free_bytes: int = 0
    total_bytes: int = 0


def measure(path: Path) -> Room:
    """The room where `path` lies. Raises OSError."""
    found = os.statvfs(path)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


Changed = Callable[[DiskState, DiskState, Room], object]
"""Told of a change: before, after, room. It is told before anything has stopped, while there is room to write it down."""


class DiskWatch:
    """State of one disk. `run` for ever."""

    def __init__(self, path: Path, rpc: KamailioRpc, ng: NgClient, log: Logger, changed: Changed) -> None:
        self._path = path
        self._rpc = rpc
        self._ng = ng
        self._log = log
        self._changed = changed
        self._stop_at_s = 0.0
        self.state = DiskState.AMPLE
        self.room = Room()

    def allows(self, use: Use) -> bool:
        """Whether something may still take room."""
        return allows(self.state, use)

    async def run(self) -> None:
        """Look and act every `LOOK_S`. A failed look raises OSError and is tried again by the supervisor."""
        while True:
            self.room = await asyncio.to_thread(measure, self._path)
            before = self.state
            after = next_state(before, self.room.free_bytes, self.room.total_bytes)
            if after is not before:
                self._changed(before, after, self.room)
                self.state = after
            await self._publish(before)
            await self._end_captures()
            await asyncio.sleep(LOOK_S)

    async def _publish(self, before: DiskState) -> None:
        try:
            if not self.allows(Use.NEW_RECORDING):
                await self._rpc.call("htable.sets", TABLE, BY_AGENT, OFF)
            elif not allows(before, Use.NEW_RECORDING):
                await self._rpc.call("htable.delete", TABLE, BY_AGENT)
        except RpcRefused as error:
            if not self.allows(Use.NEW_RECORDING):  # what has expired already cannot be deleted
                self._log.warning("disk_not_published", about=error.key, reason=error.message)
        except RpcError as error:  # Kamailio away: a no expires by itself
            self._log.warning("disk_not_published", about=error.key, reason=error.message)

    async def _end_captures(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self.allows(Use.RUNNING_RECORDING) or now_s < self._stop_at_s:
            return
        self._stop_at_s = now_s + STOP_AGAIN_S
        try:
            count = await asyncio.to_thread(self._stop_all)
        except RtpengineSilent as error:
            self._log.warning("captures_not_stopped", about="rtpengine", reason=str(error))
        else:
            self._log.info("captures_stopped", calls=count)

    def _stop_all(self) -> int:
        calls = self._ng.calls(STOPPED_AT_ONCE)
        for call_id in calls:
            self._ng.stop_recording(call_id)
        return len(calls)
