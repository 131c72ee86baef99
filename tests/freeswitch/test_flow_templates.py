"""Templates answered by a real FreeSWITCH, and schedules set by hand that outlive its restart."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from appliance.freeswitch.flow_templates import TEMPLATES, part
from tests.lab.box import kyusai
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

ALL_DAY = {"opens": "00:00", "closes": "24:00", "holidays": "none"}
CLOSURE = "emergency-closure-closure"


def document() -> dict[str, Any]:
    """All templates, open on every day of the week; nobody is at the desk."""
    merged: dict[str, Any] = {"call_control": "local", "prompts": list(SHORT)}
    for name, template in TEMPLATES.items():
        given = {"language": "en", "desk": "203", "sales": "202", "help": "202", "support": "202"} | ALL_DAY
        known = {key: value for key, value in given.items() if key in template.settings}
        for field, rows in part(name, known).items():
            merged.setdefault(field, []).extend(rows)
    for schedule in merged["schedules"]:
        schedule["hours"][0]["days"] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    return merged


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(
        phones=3, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True, agent=True
    )
    async with Lab(parts, document()) as lab:
        await lab.phones["203"].behave(refuse=True)
        yield lab


async def calls(lab: Lab, number: str, prompt: str) -> PhoneCall:
    """A call to a number, in which a prompt is heard."""
    call = await lab.phones["201"].call(number)
    await lab.hears(call, prompt)
    return call


async def restart_freeswitch(lab: Lab) -> None:
    await lab.box.kill("freeswitch")
    await lab.box.start("freeswitch")


async def by_hand(lab: Lab) -> dict[str, Any]:
    """What the box's status says of schedules."""
    return {one["schedule"]: one for one in (await lab.box.status())["schedules"]}


async def test_the_reception_answers_and_its_menu_leads_on(lab: Lab) -> None:
    call = await calls(lab, "700", "main_menu")
    await call.dtmf("1")
    await lab.phones["202"].wait_incoming()
    await call.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await call.hangup()


async def test_a_contact_centre_connects_with_an_agent(lab: Lab) -> None:
    await lab.phones["201"].unregister()
    await lab.phones["201"].register()
    call = await lab.phones["203"].call("720")
    await wait_until(lambda: lab.phones["201"].calls[-1].incoming, "the agent rings", 20)
    await call.wait_hears(lab.phones["201"].tone_hz, timeout_s=10)
    await call.hangup()


async def test_a_closure_set_from_a_telephone_outlives_freeswitch_and_is_in_the_status(lab: Lab) -> None:
    await (await calls(lab, "730", "nobody")).hangup()
    await (await calls(lab, "*62", "set_closed")).hangup()
    assert {name: (one["state"], one["by"]) for name, one in (await by_hand(lab)).items()} == {
        CLOSURE: ("closed", "201")
    }
    await lab.box.kill("agent")
    await restart_freeswitch(lab)
    call = await calls(lab, "730", "emergency_closure")
    await call.dtmf("9")
    await call.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await call.hangup()
    await (await calls(lab, "*63", "set_automatic")).hangup()
    await (await calls(lab, "730", "nobody")).hangup()
    await lab.box.start("agent")

    async def forgotten() -> bool:
        return not await by_hand(lab)

    await wait_until(forgotten, "the agent has found what a telephone set without it", 20)


async def test_what_a_command_sets_holds_until_its_end_without_any_process_of_ours(lab: Lab) -> None:
    zone = ZoneInfo("Asia/Tokyo")
    box = ("--box", str(lab.box.toml))
    tomorrow = (datetime.now(zone) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    await kyusai("schedule", "closed", "out-of-hours-hours", "--until", tomorrow, *box)
    await (await calls(lab, "710", "closed")).hangup()
    await lab.box.kill("agent")
    await restart_freeswitch(lab)
    await (await calls(lab, "710", "closed")).hangup()
    await lab.box.start("agent")
    listed = json.loads(await kyusai("schedule", "list", "--json", *box))
    assert [one["state"] for one in listed if one["schedule"] == "out-of-hours-hours"] == ["closed"]
    await kyusai("schedule", "automatic", "out-of-hours-hours", *box)
    await (await calls(lab, "710", "nobody")).hangup()
    assert await by_hand(lab) == {}


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    assert [one for one in lab.box.freeswitch.faults() if "Socket Error" not in one] == []
