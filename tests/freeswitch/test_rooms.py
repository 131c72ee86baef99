"""Conference rooms, parking places, schedules set by hand, digits as SIP INFO, callers with hostile names."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from appliance.freeswitch import code_xml
from tests.lab.box import kyusai
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]

CODE = "40718"
HOSTILE = "Bob ${hupall(normal_clearing)} %0A'`reboot`"


def announced(node_id: str, prompt: str) -> dict[str, object]:
    return {"id": node_id, "do": "hangup", "prompts": [prompt]}


HOURS = {
    "id": "hours",
    "language": "en",
    "nodes": [
        {
            "id": "when",
            "do": "schedule",
            "schedule": "always",
            "open": "open",
            "closed": "closed",
            "holiday": "holiday",
        },
        announced("open", "welcome"),
        announced("closed", "closed"),
        announced("holiday", "holiday"),
    ],
}
LINE = {
    "id": "line",
    "language": "en",
    "nodes": [
        {
            "id": "look",
            "do": "branch",
            "on": "link",
            "cases": [{"matches": "UP", "then": "up"}, {"matches": "DOWN", "then": "down"}],
            "otherwise": "unknown",
        },
        announced("up", "welcome"),
        announced("down", "emergency_closure"),
        announced("unknown", "nobody"),
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=3, cloud_phones=0, gateway=False, carrier=False, freeswitch=True)
    document = {
        "call_control": "local",
        "prompts": SHORT,
        "applications": [
            {"number": "702", "kind": "conference", "access_code": CODE, "language": "en"},
            {"number": "703", "kind": "conference"},
            {"number": "771", "kind": "parking", "fallback": "202", "return_s": 10},
            {"number": "780", "kind": "flow", "flow": "hours"},
            {"number": "781", "kind": "flow", "flow": "line"},
            {"number": "*21", "kind": "schedule_closed", "schedule": "always", "language": "en"},
            {"number": "*22", "kind": "schedule_automatic", "schedule": "always", "language": "en"},
        ],
        "schedules": [
            {
                "id": "always",
                "hours": [
                    {
                        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                        "from": "00:00",
                        "to": "24:00",
                    }
                ],
            }
        ],
        "flows": [HOURS, LINE],
    }
    lab = Lab(parts, document)
    lab.phones["203"] = lab.make_phone("203", display=HOSTILE.replace('"', ""), extra=(), digits="info")
    async with lab:
        yield lab


def tone(lab: Lab, number: str) -> int:
    return lab.phones[number].tone_hz


async def test_three_who_know_the_code_hear_each_other(lab: Lab) -> None:
    calls = []
    for number in ("201", "202", "203"):
        call = await lab.phones[number].call("702")
        await lab.hears(call, "enter_code")
        await call.dtmf(CODE)
        calls.append(call)
    await calls[0].wait_hears(tone(lab, "202"), tone(lab, "203"), timeout_s=10)
    await calls[1].wait_hears(tone(lab, "201"), tone(lab, "203"), timeout_s=10)
    await calls[2].wait_hears(tone(lab, "201"), tone(lab, "202"), timeout_s=10)
    for call in calls:
        await call.dtmf("#")
    await asyncio.sleep(1)
    assert [call.state for call in calls] == ["established"] * 3, "a # behind the code throws nobody out"
    await calls[1].hangup()
    await calls[0].wait_hears(tone(lab, "203"), timeout_s=10)


async def test_a_wrong_code_opens_no_room_and_the_third_ends_the_call(lab: Lab) -> None:
    inside = await lab.phones["201"].call("702")
    await lab.hears(inside, "enter_code")
    await inside.dtmf(CODE)
    call = await lab.phones["202"].call("702")
    for _ in range(3):
        await lab.hears(call, "enter_code")
        await call.dtmf("11111")
        await lab.hears(call, "wrong_code")
    await call.wait("closed", 15)


@pytest.mark.parametrize("number", ["201", "203"], ids=["RFC 4733", "SIP INFO"])
@pytest.mark.parametrize(
    "pressed", [f"11111{CODE}", f"11111#22222#{CODE}#"], ids=["bare", "with the end key"]
)
async def test_a_code_that_is_pressed_during_the_word_on_a_wrong_one_counts(
    lab: Lab, number: str, pressed: str
) -> None:
    """The end key of a number that was complete without it costs no try: there are three."""
    inside = await lab.phones["202"].call("702")
    await lab.hears(inside, "enter_code")
    await inside.dtmf(CODE)
    call = await lab.phones[number].call("702")
    await lab.hears(call, "enter_code")
    await call.dtmf(pressed)
    await call.wait_hears(tone(lab, "202"), timeout_s=10)


async def test_many_wrong_codes_lock_the_number_for_everybody_who_is_being_asked(lab: Lab) -> None:
    """They are counted across calls, and a guess that is under way has no use of being right."""
    assert lab.box.freeswitch is not None
    api = lab.box.freeswitch.api
    await api("global_setvar", f"ky_code_tries_702={'x' * (code_xml.WRONG_MAX - 1)}")
    last, late = [await lab.phones[number].call("702") for number in ("201", "202")]
    for call in (last, late):
        await lab.hears(call, "enter_code")
    await last.dtmf("11111")
    await lab.hears(last, "wrong_code")
    await last.wait("closed", 15)
    await late.dtmf(CODE)
    await lab.hears(late, "code_locked")
    await late.wait("closed", 15)
    log = (lab.box.layout.freeswitch_log_dir / "freeswitch.log").read_text()
    assert "the code of 702 was wrong 12 times: it locks" in log
    shown = json.loads(await kyusai("lock", "--json", "--box", lab.box.toml))
    assert shown == [{"what": "code", "name": "702"}]
    await kyusai("lock", "open", "702", "--box", lab.box.toml)
    assert json.loads(await kyusai("lock", "--json", "--box", lab.box.toml)) == []
    for digits, counted in (("11111", "x"), (CODE, "")):
        call = await lab.phones["203"].call("702")
        await lab.hears(call, "enter_code")
        await call.dtmf(digits)
        await lab.hears(call, "wrong_code") if counted else await asyncio.sleep(2)
        told = (await api("global_getvar", "ky_code_tries_702")).strip()
        assert told.removeprefix("-ERR no reply") == counted
        await call.hangup()


async def test_a_parked_call_is_fetched_by_whoever_dials_its_place(lab: Lab) -> None:
    parked = await lab.phones["201"].call("202")
    met = lab.phones["202"].current()
    await met.wait("established")
    await met.transfer("771")
    fetched = await lab.phones["203"].call("771")
    await fetched.wait_hears(tone(lab, "201"), timeout_s=10)
    current = lab.phones["201"].current()
    await current.wait_hears(tone(lab, "203"), timeout_s=10)
    assert parked.state == "closed" or parked is current


async def test_a_call_that_nobody_fetches_goes_to_the_fallback(lab: Lab) -> None:
    before = len(lab.phones["202"].calls)
    call = await lab.phones["201"].call("771")
    met = await lab.phones["202"].wait_incoming(timeout_s=30) if before == 0 else None
    if met is None:
        await wait_until(lambda: len(lab.phones["202"].calls) > before, "202 is called", 30)
        met = lab.phones["202"].calls[-1]
    await met.wait("established", 10)
    await call.wait_hears(tone(lab, "202"), timeout_s=10)


async def test_a_code_closes_the_site_by_hand_and_another_opens_it_again(lab: Lab) -> None:
    for code, said, announced in (("*21", "set_closed", "closed"), ("*22", "set_automatic", "welcome")):
        order = await lab.phones["201"].call(code)
        await lab.hears(order, said)
        await order.wait("closed", 10)
        call = await lab.phones["202"].call("780")
        await lab.hears(call, announced)
        await call.wait("closed", 10)


async def test_a_flow_knows_how_the_line_to_the_cloud_is(lab: Lab) -> None:
    for state, announced in (("UP", "welcome"), ("DOWN", "emergency_closure")):
        await lab.box.set_link_state(state)
        call = await lab.phones["201"].call("781")
        await lab.hears(call, announced)


async def test_a_caller_s_hostile_name_changes_nothing(lab: Lab) -> None:
    """Phone 203 is called "${hupall(normal_clearing)}": neither its own nor anybody's call ends by it."""
    first = await lab.phones["201"].call("703")
    second = await lab.phones["203"].call("703")
    await first.wait_hears(tone(lab, "203"), timeout_s=10)
    await second.wait_hears(tone(lab, "201"), timeout_s=10)


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    assert "\n".join(lab.box.freeswitch.faults()) == ""
