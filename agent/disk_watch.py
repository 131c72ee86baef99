"""ADAPTER. Watches the file system of `state_dir`, and the one in memory where a box keeps its audio there, and carries out what
`disk` decides: tells Kamailio to record no new calls, tells rtpengine to end the captures under way, and reports each change.

What Kamailio is told expires by itself (`recording_order.TTL_S`): a dead agent never keeps a site unrecorded.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.disk import LOOK_S, OF_AUDIO, DiskState, Use, allows, next_state
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
    """A file system now: which one, and bytes as an unprivileged process may use them."""

    device: int = 0
    free_bytes: int = 0
    total_bytes: int = 0


def measure(path: Path) -> Room:
    """The room where `path` lies. Raises OSError."""
    found = os.statvfs(path)
    return Room(path.stat().st_dev, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


class Place(StrEnum):
    """What is watched. MEMORY: the file system of audio, where that is another than the disk's."""

    DISK = "disk"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Change:
    """A state that changed."""

    place: Place
    before: DiskState
    after: DiskState
    room: Room


Changed = Callable[[Change], object]
"""Told before anything has stopped, while there is room to write it down."""


class DiskWatch:
    """State of a box's disk, and of the memory that its audio lies in. `run` for ever.

    path: `state_dir`. audio: where audio lies in the clear. audio_state: as `state`, of the memory; AMPLE where audio is on the
    disk: that is the disk's business then.
    """

    def __init__(
        self, path: Path, audio: Path, rpc: KamailioRpc, ng: NgClient, log: Logger, changed: Changed
    ) -> None:
        self._path = path
        self._audio = audio
        self._rpc = rpc
        self._ng = ng
        self._log = log
        self._changed = changed
        self._stop_at_s = 0.0
        self._no_told = False
        self.state = self.audio_state = DiskState.AMPLE
        self.room = Room()

    def allows(self, use: Use) -> bool:
        """Whether something may still take room."""
        return allows(self.state, use) and (use not in OF_AUDIO or allows(self.audio_state, use))

    async def run(self) -> None:
        """Look and act every `LOOK_S`. A failed look raises OSError and is tried again by the supervisor."""
        while True:
            self.room, memory = await asyncio.to_thread(self._measure)
            self.state = self._judge(Place.DISK, self.state, self.room)
            self.audio_state = self._judge(Place.MEMORY, self.audio_state, memory)
            await self._publish()
            await self._end_captures()
            await asyncio.sleep(LOOK_S)

    def _measure(self) -> tuple[Room, Room | None]:
        disk = measure(self._path)
        try:
            audio = measure(self._audio)
        except OSError:  # it is gone, and nothing is recorded there: the disk is watched all the same
            return disk, None
        return disk, audio if audio.device != disk.device else None

    def _judge(self, place: Place, before: DiskState, room: Room | None) -> DiskState:
        after = next_state(before, room.free_bytes, room.total_bytes) if room else DiskState.AMPLE
        if after is not before:
            self._changed(Change(place, before, after, room or Room()))
        return after

    async def _publish(self) -> None:
        no = not self.allows(Use.NEW_RECORDING)
        try:
            if no:
                await self._rpc.call("htable.sets", TABLE, BY_AGENT, OFF)
            elif self._no_told:
                await self._rpc.call("htable.delete", TABLE, BY_AGENT)
        except RpcRefused as error:
            if no:  # what has expired already cannot be deleted
                self._log.warning("disk_not_published", about=error.key, reason=error.message)
        except RpcError as error:  # Kamailio away: a no expires by itself
            self._log.warning("disk_not_published", about=error.key, reason=error.message)
        self._no_told = no

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
