"""A recording is paused by a telephone's code, by order and through re-INVITEs: what was said meanwhile is in no file, and
what was said otherwise is on the side of who said it, with the line to the cloud up and cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pyrage
import pytest
import pytest_asyncio

from tests.lab import recorded
from tests.lab.box import kyusai
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

DIRECT = {
    "id": "direct",
    "language": "en",
    "nodes": [
        {"id": "desk", "do": "transfer", "number": "202", "unanswered": "bye"},
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}
TENANT = pyrage.x25519.Identity.generate()
LISTENED_S = 1.5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(
        phones=4, cloud_phones=0, gateway=False, carrier=False, freeswitch=True, control=True, agent=True, media=True,
    )  # fmt: skip
    document = {
        "call_control": "local",
        "record": "all",
        "applications": [{"number": "700", "kind": "flow", "flow": "direct"}],
        "flows": [DIRECT],
        "recording": {"recipients": [str(TENANT.to_public())], "pause_code": "*70", "resume_code": "*71"},
    }
    async with Lab(parts, document) as lab:
        yield lab


def sizes(lab: Lab) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in lab.box.layout.pcaps_dir.glob("*.pcap")}


def files(lab: Lab) -> set[Path]:
    return set(lab.box.layout.recordings_dir.glob("*.age"))


async def settled(lab: Lab) -> dict[str, int]:
    """The captures, once they have not grown for half a second; None grows while all are paused."""
    before = sizes(lab)
    await asyncio.sleep(0.5)
    now = sizes(lab)
    return now if now == before else {}


async def test_a_telephone_s_code_pauses_and_a_hold_meanwhile_does_not_resume(
    lab: Lab, tmp_path: Path
) -> None:
    before = files(lab)
    caller = await lab.phones["201"].call("202")
    await caller.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await asyncio.sleep(LISTENED_S)
    await caller.dtmf("*70")
    paused = await wait_until(lambda: settled(lab), "nothing is captured", 10)
    await caller.hold()
    await caller.resume()
    await caller.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await asyncio.sleep(LISTENED_S)
    assert sizes(lab) == paused, "a re-INVITE has begun the recording anew"
    await caller.dtmf("*71")
    await wait_until(lambda: len(sizes(lab)) > len(paused), "a second capture", 10)
    await asyncio.sleep(LISTENED_S)
    await caller.hangup()
    for found in await listened(lab, before, 2, tmp_path):
        assert found.length_s < 2 * LISTENED_S + 2, "the pause is in neither"


async def listened(lab: Lab, before: set[Path], count: int, folder: Path) -> list[recorded.Recorded]:
    """The recordings made since, once there are so many: 201 is on the left of each, 202 on the right, and nobody else."""
    await wait_until(
        lambda: len(files(lab) - before) >= count and not sizes(lab), f"{count} recordings", 60, 0.2
    )
    made = []
    for path in files(lab) - before:
        plain = folder / f"{path.stem}.ogg"
        pyrage.decrypt_file(str(path), str(plain), [TENANT])
        found = recorded.load(plain)
        for channel, number, other in ((found.left, "201", "202"), (found.right, "202", "201")):
            assert recorded.spans(channel, found.rate_hz, lab.phones[number].tone_hz), number
            assert not recorded.spans(channel, found.rate_hz, lab.phones[other].tone_hz), other
        made.append(found)
    assert len(made) == count
    return made


@pytest.mark.parametrize("state", ["UP", "DOWN"])
async def test_an_order_pauses_all_legs_of_a_call_in_an_application(
    lab: Lab, tmp_path: Path, state: str
) -> None:
    await (lab.link.restore() if state == "UP" else lab.link.cut("drop"))
    await lab.box.wait_link_state(state, timeout_s=30)
    before = files(lab)
    caller = await lab.phones["201"].call("700")
    await caller.wait_hears(lab.phones["202"].tone_hz, timeout_s=15)
    begun = await wait_until(lambda: len(sizes(lab)) >= 1 and sizes(lab), "it is recorded", 10)
    box = ("--box", lab.box.toml)
    await kyusai("call", "record", "201", "pause", *box)
    paused = await wait_until(lambda: settled(lab), "nothing is captured", 10)
    assert len(paused) == len(begun)
    answer = json.loads(json.dumps(await kyusai("call", "record", "201", "pause", *box)))
    assert "already" in answer
    await kyusai("call", "record", "201", "resume", *box)
    await wait_until(lambda: len(sizes(lab)) == 2 * len(paused), "captures go on", 10)
    await asyncio.sleep(LISTENED_S)
    await caller.hangup()
    await listened(lab, before, 2 * len(paused), tmp_path)


async def test_the_capture_of_a_call_that_is_not_recorded_can_be_begun_by_nobody_outside(lab: Lab) -> None:
    caller = await lab.phones["203"].call("204")
    await caller.wait_hears(lab.phones["204"].tone_hz, timeout_s=10)
    before = sizes(lab)
    await caller.dtmf("*71")
    await asyncio.sleep(1)
    assert set(sizes(lab)) <= set(before), "a resume without a pause begins nothing"
    await caller.hangup()
