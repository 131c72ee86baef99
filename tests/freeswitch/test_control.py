"""The controller's commands against a real FreeSWITCH and telephones: who hears whom afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from appliance.freeswitch import commands
from appliance.freeswitch.commands import Ear
from tests.lab.freeswitch import FreeSwitch
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=3, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True)
    document = {
        "call_control": "local",
        "applications": [{"number": "700", "kind": "flow", "flow": "direct"}],
        "flows": [DIRECT],
    }
    async with Lab(parts, document) as lab:
        yield lab


class Talk:
    """Telephones 201 and 202 in a call that FreeSWITCH holds."""

    def __init__(self, lab: Lab, caller: PhoneCall, callee: PhoneCall, legs: dict[str, str]) -> None:
        self.lab, self.caller, self.callee, self.legs = lab, caller, callee, legs

    @property
    def freeswitch(self) -> FreeSwitch:
        assert self.lab.box.freeswitch is not None
        return self.lab.box.freeswitch

    def tone(self, number: str) -> int:
        return self.lab.phones[number].tone_hz

    async def order(self, line: str) -> str:
        return await self.freeswitch.api(*line.split(" "))


async def channels(freeswitch: FreeSwitch) -> list[dict[str, Any]]:
    found = json.loads(await freeswitch.api("show", "channels", "as", "json"))
    return list(found.get("rows", []))


@pytest_asyncio.fixture(loop_scope="module")
async def talk(lab: Lab) -> AsyncIterator[Talk]:
    assert lab.box.freeswitch is not None
    caller = await lab.phones["201"].call("700")
    callee = lab.phones["202"]
    await wait_until(lambda: [one for one in callee.calls if one.state == "established"], "202 talks", 10)
    met = callee.current()
    await caller.wait_hears(lab.phones["202"].tone_hz)
    legs = {row["direction"]: row["uuid"] for row in await channels(lab.box.freeswitch)}
    yield Talk(lab, caller, met, legs)
    await lab.tidy()

    async def empty() -> bool:
        assert lab.box.freeswitch is not None
        return not await channels(lab.box.freeswitch)

    await wait_until(empty, "FreeSWITCH holds no call", 30, 0.2)


async def supervise(talk: Talk, ear: Ear) -> PhoneCall:
    settings = talk.freeswitch.box.freeswitch
    kamailio = f"{settings.address}:{settings.kamailio_port}"
    phone = talk.lab.phones["203"]
    before = len(phone.calls)
    order = asyncio.create_task(talk.order(commands.supervise(talk.legs["outbound"], "203", ear, kamailio)))
    met = await phone.wait_incoming(before + 1, 10)
    await met.wait("established", 10)
    assert (await order).startswith("+OK")
    return met


async def test_a_listener_hears_both_and_nobody_hears_him(talk: Talk) -> None:
    ear = await supervise(talk, Ear.LISTEN)
    await ear.wait_hears(talk.tone("201"), talk.tone("202"), timeout_s=8)
    await talk.caller.wait_hears(talk.tone("202"))
    await talk.callee.wait_hears(talk.tone("201"))
    await ear.hangup()
    await talk.caller.wait_hears(talk.tone("202"))


async def test_a_whisper_is_heard_by_the_agent_alone(talk: Talk) -> None:
    ear = await supervise(talk, Ear.WHISPER)
    await talk.callee.wait_hears(talk.tone("201"), talk.tone("203"), timeout_s=8)
    await talk.caller.wait_hears(talk.tone("202"))
    await ear.wait_hears(talk.tone("201"), talk.tone("202"))


async def test_a_supervisor_who_joins_is_heard_by_both(talk: Talk) -> None:
    ear = await supervise(talk, Ear.JOIN)
    await talk.callee.wait_hears(talk.tone("201"), talk.tone("203"), timeout_s=8)
    await talk.caller.wait_hears(talk.tone("202"), talk.tone("203"))
    await ear.wait_hears(talk.tone("201"), talk.tone("202"))


async def test_a_transferred_caller_talks_to_the_new_telephone(talk: Talk) -> None:
    assert (await talk.order(commands.transfer(talk.legs["inbound"], "203"))).startswith("+OK")
    await talk.callee.wait("closed", 10)
    await talk.caller.wait_hears(talk.tone("203"), timeout_s=10)


async def test_hanging_up_ends_the_call_on_both_sides(talk: Talk) -> None:
    assert (await talk.order(commands.hang_up(talk.legs["inbound"]))).startswith("+OK")
    await talk.caller.wait("closed", 10)
    await talk.callee.wait("closed", 10)
