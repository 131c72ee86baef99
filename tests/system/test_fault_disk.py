"""The disk fills under a real box: calls go on, recordings stop first and say so, no call record is lost."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from appliance.kamailio.recording_order import BY_JOURNAL, OFF, TABLE
from appliance.media.naming import parse_capture_name
from tests.helpers.fault_lab import LOCAL, SmallDisk, cdrs_of, heard_both_ways, metric, small_disk, wait_event
from tests.lab.kamailio import RpcFailed
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISK_MIB = 64
"""LOW below 6.4 MiB, FULL below 1.9 MiB."""
LOW_LEFT, FULL_LEFT = 4 << 20, 1 << 20


@dataclass
class Rig:
    lab: Lab
    disk: SmallDisk

    async def wait_state(self, state: str, recording: bool) -> None:
        async def reached() -> bool:
            status = await self.lab.box.status()
            return (status["disk_state"], status["recording_allowed"]) == (state, recording)

        await wait_until(reached, f"the disk is {state}")

    async def call(self) -> PhoneCall:
        call = await self.lab.phones["201"].call("202")
        await heard_both_ways(self.lab, call, "202")
        return call

    def captures_of(self, call: PhoneCall) -> list[Path]:
        found = self.lab.box.layout.pcaps_dir.glob("*.pcap")
        return [path for path in found if parse_capture_name(path.name)[0] == call.call_id]

    async def clear(self, stopped: int) -> None:
        self.disk.clear()
        await self.wait_state("ample", True)
        await wait_event(self.lab, "recording_resumed", stopped)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    try:
        mounted = small_disk(tmp_path_factory.mktemp("disk") / "state", DISK_MIB)
        disk = mounted.__enter__()
    except PermissionError as error:
        pytest.skip(str(error))
    try:
        parts = Parts(phones=2, centre=True, agent=True, media=True, **LOCAL)
        lab = Lab(parts, document={"record": "all"})
        state = lab.box.layout.state_dir
        state.parent.mkdir(parents=True)
        state.symlink_to(disk.path)
        async with lab:
            yield Rig(lab, disk)
    finally:
        mounted.__exit__(None, None, None)


async def test_little_room_stops_new_recordings_says_so_and_calls_go_on(rig: Rig) -> None:
    recorded = await rig.call()
    rig.disk.leave(LOW_LEFT)
    await rig.wait_state("low", False)
    event = await wait_event(rig.lab, "recording_stopped")
    allowed = await metric(rig.lab, "kyusai_recording_allowed")
    await recorded.hangup()
    refused = await rig.call()
    assert rig.captures_of(refused) == []
    await refused.hangup()
    records = await cdrs_of(rig.lab, [recorded, refused])
    assert (event["reason"], event["state"]) == ("disk", "low")
    assert allowed == 0
    assert records[recorded.call_id]["recording_refused"] == ""
    assert (records[refused.call_id]["recording_refused"], records[refused.call_id]["recordings"]) == (
        "disk",
        [],
    )
    await rig.clear(1)


async def test_full_disk_ends_the_captures_under_way_but_no_call_and_loses_no_record(rig: Rig) -> None:
    recorded = await rig.call()
    (capture,) = rig.captures_of(recorded)
    rig.disk.leave(FULL_LEFT)
    await rig.wait_state("full", False)
    await wait_event(rig.lab, "recording_stopped", 2)
    finished = rig.lab.box.layout.metadata_dir / f"rtpengine-meta-{capture.stem}.txt"
    await wait_until(lambda: finished.exists() or not capture.exists(), "the capture is finished")
    rig.disk.leave(0)
    await heard_both_ways(rig.lab, recorded, "202")
    later = await rig.call()
    await later.hangup()
    await recorded.hangup()
    await rig.clear(2)
    again = await rig.call()
    assert len(rig.captures_of(again)) == 1
    await again.hangup()
    records = await cdrs_of(rig.lab, [recorded, later, again])
    told = {call.call_id: records[call.call_id]["recording_refused"] for call in (recorded, later, again)}
    assert told == {recorded.call_id: "", later.call_id: "disk", again.call_id: ""}


async def test_without_an_agent_kamailio_itself_stops_recordings_when_its_journal_finds_no_room(
    rig: Rig,
) -> None:
    await rig.lab.box.kill("agent")
    rig.disk.leave(0)
    unaware = await rig.call()
    await wait_until(lambda: said_by_the_journal(rig.lab), "the journal says that there is no room")
    refused = await rig.call()
    await refused.hangup()
    await unaware.hangup()
    rig.disk.clear()
    await rig.lab.box.start("agent")
    records = await cdrs_of(rig.lab, [unaware, refused])
    assert records[refused.call_id]["recording_refused"] == "disk"
    assert all(record["disposition"] == "answered" for record in records.values())


async def said_by_the_journal(lab: Lab) -> bool:
    try:
        answer = await lab.box.rpc.call("htable.get", TABLE, BY_JOURNAL)
    except RpcFailed:
        return False
    return bool(answer["item"]["value"] == OFF)
