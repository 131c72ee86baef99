"""The watch over the disk and over the memory for audio. A failure lets one fill, or stops recording without a reason."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from agent import disk_watch
from agent.disk import DiskState, Use
from agent.disk_watch import Change, DiskWatch, Room
from appliance.media.ng import NgClient

GIB = 1 << 30
DISK, AUDIO = Path("/disk"), Path("/audio")
AMPLE, TIGHT = Room(1, 50 * GIB, 100 * GIB), Room(1, 1 * GIB, 100 * GIB)
ROOMY, FILLED = Room(2, GIB, GIB), Room(2, 1 << 20, GIB)


class Rpc:
    def __init__(self) -> None:
        self.called: list[str] = []

    async def call(self, method: str, *_arguments: object) -> Any:
        self.called.append(method)


class Engine(NgClient):
    """Holds two calls."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:9")
        self.stopped: list[str] = []

    def calls(self, limit: int) -> list[str]:
        return ["a", "b"][:limit]

    def stop_recording(self, call_id: str) -> None:
        self.stopped.append(call_id)


class Rig:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rooms = {DISK: AMPLE, AUDIO: ROOMY}
        self.rpc, self.engine, self.told = Rpc(), Engine(), list[Change]()
        monkeypatch.setattr(disk_watch, "measure", self.measure)
        monkeypatch.setattr(disk_watch, "LOOK_S", 0.0)
        self.watch = DiskWatch(
            DISK,
            AUDIO,
            self.rpc,  # type: ignore[arg-type]
            self.engine,
            CapturingLogger(),
            self.told.append,
        )

    def measure(self, path: Path) -> Room:
        if path not in self.rooms:
            raise FileNotFoundError(path)
        return self.rooms[path]

    async def look(self, disk: Room, audio: Room | None) -> list[str]:
        """What Kamailio is told in the next looks."""
        self.rooms = {DISK: disk} | ({AUDIO: audio} if audio else {})
        self.rpc.called.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await self.watch.run()
        return self.rpc.called


async def test_memory_that_fills_stops_recording_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    assert await rig.look(AMPLE, ROOMY) == []
    assert set(await rig.look(AMPLE, FILLED)) == {"htable.sets"}
    assert [(one.place, one.after, one.room) for one in rig.told] == [("memory", DiskState.FULL, FILLED)]
    assert (rig.watch.state, rig.watch.audio_state) == (DiskState.AMPLE, DiskState.FULL)
    assert not rig.watch.allows(Use.NEW_RECORDING)
    assert rig.watch.allows(Use.EVENT)
    assert rig.engine.stopped[:2] == ["a", "b"]
    assert await rig.look(AMPLE, ROOMY) == ["htable.delete"], "said once, when there is room again"
    assert rig.watch.allows(Use.NEW_RECORDING)
    assert rig.told[-1].after is DiskState.AMPLE


async def test_recording_begins_again_when_both_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    assert set(await rig.look(TIGHT, FILLED)) == {"htable.sets"}
    assert set(await rig.look(AMPLE, FILLED)) == {"htable.sets"}
    assert await rig.look(AMPLE, ROOMY) == ["htable.delete"]


async def test_audio_on_the_disk_is_the_disk_s_business(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    assert set(await rig.look(TIGHT, TIGHT)) == {"htable.sets"}
    assert [one.place for one in rig.told] == ["disk"]
    assert rig.watch.audio_state is DiskState.AMPLE


async def test_without_the_place_of_audio_the_disk_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    assert await rig.look(AMPLE, None) == []
    assert set(await rig.look(TIGHT, None)) == {"htable.sets"}
