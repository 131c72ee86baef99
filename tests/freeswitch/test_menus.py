"""Telephones that call applications: they listen, press keys and are led on."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.sipcall import Incoming
from tests.lab.sipua import Ua
from tests.lab.site_document import REALM

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

RECEPTION = {
    "id": "reception",
    "language": "en",
    "nodes": [
        {
            "id": "main",
            "do": "menu",
            "prompts": ["welcome"],
            "again": ["invalid"],
            "tries": 2,
            "wait_s": 1,
            "keys": [{"key": "1", "then": "sales"}, {"key": "2", "then": "ask"}, {"key": "*", "then": "bye"}],
            "timeout": "nobody",
            "invalid": "bye",
        },
        {"id": "sales", "do": "transfer", "number": "202", "unanswered": "nobody"},
        {
            "id": "ask",
            "do": "collect",
            "prompts": ["enter_extension"],
            "variable": "who",
            "least": 3,
            "most": 3,
            "pattern": "20[0-9]",
            "tries": 1,
            "wait_s": 2,
            "next": "dial",
            "failed": "bye",
        },
        {"id": "dial", "do": "transfer", "variable": "who", "unanswered": "nobody"},
        {"id": "nobody", "do": "hangup", "prompts": ["nobody"]},
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}
DIRECT = {
    "id": "direct",
    "language": "en",
    "nodes": [
        {"id": "there", "do": "transfer", "number": "202", "unanswered": "sorry"},
        {"id": "sorry", "do": "hangup", "prompts": ["nobody"]},
    ],
}
DOCUMENT = {
    "prompts": SHORT,
    "applications": [
        {"number": "700", "kind": "flow", "flow": "reception"},
        {"number": "701", "kind": "announcement", "prompts": ["closed"], "language": "en"},
        {"number": "702", "kind": "flow", "flow": "reception", "fallback": "203"},
        {"number": "703", "kind": "flow", "flow": "direct", "public_number": "+81312340703"},
    ],
    "flows": [RECEPTION, DIRECT],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=3, cloud_phones=0, cloud=False, carrier=False, freeswitch=True)
    lab = Lab(parts, {"call_control": "local", **DOCUMENT})
    lab.phones["203"] = lab.make_phone("203", digits="info")
    async with lab:
        yield lab


async def test_an_announcement_is_heard_and_ends_the_call(lab: Lab) -> None:
    call = await lab.phones["201"].call("701")
    await lab.hears(call, "closed")
    await call.wait("closed", 10)


async def test_a_key_of_the_menu_leads_to_the_telephone_that_it_stands_for(lab: Lab) -> None:
    call = await lab.phones["201"].call("700")
    await lab.hears(call, "welcome")
    await call.dtmf("1")
    met = await lab.phones["202"].wait_incoming()
    await met.wait("established", 10)
    await call.wait_hears(lab.phones["202"].tone_hz)
    await met.wait_hears(lab.phones["201"].tone_hz)
    assert met.peer.startswith("sip:201@")
    await met.hangup()
    await call.wait("closed", 10)


@pytest.mark.parametrize("number", ["201", "203"], ids=["RFC 4733", "SIP INFO"])
async def test_a_caller_who_knows_the_way_presses_all_its_keys_at_once(lab: Lab, number: str) -> None:
    """A wrong key, an end key that belongs to nothing, and the way to 202."""
    before = len(lab.phones["202"].calls)
    call = await lab.phones[number].call("700")
    await lab.hears(call, "welcome")
    await call.dtmf("9#2202")
    met = await lab.phones["202"].wait_incoming(before + 1)
    await met.wait("established", 10)
    await call.wait_hears(lab.phones["202"].tone_hz)
    await met.hangup()
    await call.wait("closed", 10)


async def test_whoever_an_application_calls_sees_the_caller_s_name_as_the_caller_s_peer_wrote_it(
    lab: Lab,
) -> None:
    """FreeSWITCH itself never reads a name that holds one of its own signs."""
    met: list[str] = []

    def refuse(incoming: Incoming) -> None:
        if incoming.request.method == "INVITE":
            met.append(incoming.request.get("from"))
        incoming.reply(486 if incoming.request.method == "INVITE" else 200, "")

    server = (lab.addresses.box_lan, 5060)
    phone = Ua(
        "202", lab.addresses.phone(9), server, password=lab.passwords["202"], domain=REALM, on_request=refuse
    )
    async with phone:
        await lab.phones["202"].unregister()
        assert (await phone.register()).code == 200
        for name in ("Sato Haruka", "100% ${hupall} {x} `id`"):
            call = await lab.gateway.dial(f"sip:+81312340703@{server[0]}:5060", "0398765432", f'"{name}"')
            await wait_until(lambda: met, "the telephone is called", 20)
            assert met[-1].startswith(f'"{name}" <sip:0398765432@')
            await call.wait("ended", 20)
            met.clear()
        await phone.register(0)
        await lab.phones["202"].register()


async def test_a_wrong_key_is_said_to_be_wrong_and_the_menu_is_told_again(lab: Lab) -> None:
    call = await lab.phones["201"].call("700")
    await lab.hears(call, "welcome")
    await call.dtmf("7")
    await lab.hears(call, "invalid")
    await call.dtmf("7")
    await lab.hears(call, "goodbye")
    await call.wait("closed", 10)


async def test_a_caller_who_presses_nothing_is_led_on_and_nobody_waits_for_ever(lab: Lab) -> None:
    call = await lab.phones["201"].call("700")
    await lab.hears(call, "nobody")
    await call.wait("closed", 10)


@pytest.mark.parametrize(("caller", "called"), [("201", "203"), ("203", "201")], ids=["RFC 4733", "SIP INFO"])
async def test_digits_are_collected_and_the_extension_that_they_name_is_called(
    lab: Lab, caller: str, called: str
) -> None:
    call = await lab.phones[caller].call("700")
    await call.dtmf("2")
    await lab.hears(call, "enter_extension")
    await call.dtmf(called)
    met = await lab.phones[called].wait_incoming()
    await met.wait("established", 10)
    await call.wait_hears(lab.phones[called].tone_hz)
    await call.hangup()
    await met.wait("closed", 10)


async def test_half_a_number_and_then_silence_is_no_number(lab: Lab) -> None:
    call = await lab.phones["201"].call("700")
    await call.dtmf("2")
    await lab.hears(call, "enter_extension")
    await call.dtmf("20")
    await lab.hears(call, "goodbye")
    await call.wait("closed", 15)
    assert not [one for one in lab.phones["202"].calls if one.state != "closed"]


async def test_a_new_version_is_used_at_once_and_a_call_that_is_up_goes_on(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    talking = await lab.phones["201"].call("700")
    await lab.hears(talking, "welcome")
    await talking.dtmf("1")
    await lab.phones["202"].wait_incoming()
    await talking.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    applications = [
        *DOCUMENT["applications"],
        {"number": "709", "kind": "announcement", "prompts": ["holiday"], "language": "en"},
    ]
    await lab.publish(applications=applications)
    assert (await lab.box.freeswitch.api("reloadxml")).startswith("+OK")
    fresh = await lab.phones["203"].call("709")
    await lab.hears(fresh, "holiday")
    await talking.wait_hears(lab.phones["202"].tone_hz)
    await talking.hangup()


async def test_without_freeswitch_calls_pass_over_it_within_a_second_and_come_back_to_it(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    await lab.box.kill("freeswitch")
    refused = await lab.phones["201"].dial("700")
    await refused.wait("closed", 5)
    assert (refused.code, refused.times["closed"] - refused.times["invite"] < 1.5) == (480, True)
    call = await lab.phones["201"].call("702")
    met = lab.phones["203"].current()
    await call.wait_hears(lab.phones["203"].tone_hz)
    assert call.post_dial_delay_s < 1.5
    await met.hangup()
    await lab.box.start("freeswitch")
    again = await lab.phones["201"].call("701")
    await lab.hears(again, "closed")


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    assert "\n".join(lab.box.freeswitch.faults()) == ""
