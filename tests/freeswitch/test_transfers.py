"""Calls transferred into and out of applications, keys by RFC 4733 and by SIP INFO, with the line to the cloud up and cut."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.standing import Standing, hear_each_other, lets_go
from tests.lab.worker import OrderRefused

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

LONG_S = 10.0
KEYS = {"201": "RFC 4733", "203": "SIP INFO"}

RECEPTION = {
    "id": "reception",
    "language": "en",
    "nodes": [
        {
            "id": "main",
            "do": "menu",
            "prompts": ["welcome"],
            "wait_s": 10,
            "keys": [
                {"key": "1", "then": "desk"},
                {"key": "*9", "then": "bye"},
                {"key": "05", "then": "bye"},
            ],
            "timeout": "bye",
            "invalid": "bye",
        },
        {"id": "desk", "do": "transfer", "number": "202", "unanswered": "bye"},
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    parts = Parts(phones=4, cloud_phones=0, carrier=False, freeswitch=True)
    document = {
        "prompts": SHORT,
        "applications": [
            {"number": "700", "kind": "flow", "flow": "reception"},
            {"number": "704", "kind": "flow", "flow": "direct", "public_number": "+81312340704"},
            {"number": "701", "kind": "announcement", "prompts": ["closed"], "language": "en"},
            {"number": "703", "kind": "conference"},
        ],
        "flows": [RECEPTION, RECEPTION | {"id": "direct", "nodes": RECEPTION["nodes"][1:]}],
    }
    one = Lab(parts, document)
    one.phones["203"] = one.make_phone("203", digits="info")
    async with Standing(one) as lab:
        yield lab


@pytest_asyncio.fixture(params=["UP", "DOWN"], loop_scope="module")
async def site(request: pytest.FixtureRequest, lab: Standing) -> AsyncIterator[Standing]:
    """The same with the line up and cut."""
    await lab.line(str(request.param))
    yield lab
    await lab.tidy()


async def by_menu(site: Standing, caller: str) -> tuple[PhoneCall, PhoneCall]:
    """The caller presses 1 in the menu and talks with 202; the caller's and 202's call."""
    placed = await site.phones[caller].call("700", LONG_S)
    await placed.dtmf("1")
    met = await site.rings("202", LONG_S)
    await hear_each_other(placed, met, timeout_s=LONG_S)
    return placed, met


@pytest.mark.parametrize("caller", KEYS, ids=KEYS.values())
async def test_a_key_leads_to_a_telephone_and_both_hear_each_other(site: Standing, caller: str) -> None:
    placed, met = await by_menu(site, caller)
    await met.hangup()
    await placed.wait("closed", LONG_S)


@pytest.mark.parametrize("caller", KEYS, ids=KEYS.values())
async def test_a_star_and_a_key_of_two_digits_are_taken_whole(site: Standing, caller: str) -> None:
    call = await site.phones[caller].call("700", LONG_S)
    await call.dtmf("*9")
    await site.hears(call, "goodbye")


async def test_a_caller_is_transferred_blindly_into_a_menu_and_goes_on_from_there(site: Standing) -> None:
    _, met = await site.talk("201", "202", "202")
    await met.transfer("700")
    caller = site.phones["201"].current()
    await site.hears(caller, "welcome")
    await caller.dtmf("1")
    again = await site.rings("202", LONG_S)
    await hear_each_other(caller, again, timeout_s=LONG_S)


async def test_a_caller_is_transferred_into_a_room_after_asking_there(site: Standing) -> None:
    inside = await site.phones["204"].call("703", LONG_S)
    _, met = await site.talk("201", "202", "202")
    await met.hold()
    asked = await site.phones["202"].call("703", LONG_S)
    await hear_each_other(asked, inside, timeout_s=LONG_S)
    await asked.hold()
    await met.transfer_to(asked)
    await hear_each_other(site.phones["201"].current(), inside, timeout_s=LONG_S)


async def test_who_came_by_a_menu_is_transferred_blindly_to_another_telephone(site: Standing) -> None:
    _, met = await by_menu(site, "201")
    await lets_go(met, met.transfer("204"), LONG_S)
    other = await site.rings("204", LONG_S)
    await hear_each_other(site.phones["201"].current(), other, timeout_s=LONG_S)


async def test_who_came_by_a_menu_is_transferred_after_asking(site: Standing) -> None:
    _, met = await by_menu(site, "201")
    await met.hold()
    asked, _ = await site.talk("202", "204", "204")
    await asked.hold()
    await lets_go(met, met.transfer_to(asked), LONG_S)
    await wait_until(lambda: site.phones["201"].current().state == "established", "201 is connected", LONG_S)
    await hear_each_other(site.phones["201"].current(), site.phones["204"].current(), timeout_s=LONG_S)


@pytest.mark.parametrize("asks", [False, True], ids=["without asking", "after asking"])
async def test_a_caller_from_outside_whose_gateway_takes_no_transfers_stays_with_whom_he_met(
    lab: Standing, asks: bool
) -> None:
    """As between a telephone and a gateway: nobody is lost, and the telephone is told."""
    await lab.line("DOWN")
    came = await lab.lab.gateway.dial(f"sip:0312340704@{lab.lab.addresses.box_lan}:5060", "0398765432")
    try:
        met = await lab.rings("202", LONG_S)
        await came.wait_hears(met.phone.tone_hz, timeout_s=LONG_S)
        await met.hold()
        asked = (await lab.talk("202", "204", "204"))[0] if asks else None
        with pytest.raises(OrderRefused):
            await (met.transfer_to(asked) if asked else met.transfer("204"))
        if asked:
            await asked.hangup()
        await met.resume()
        await came.wait_hears(met.phone.tone_hz, timeout_s=LONG_S)
        await met.wait_hears(lab.lab.gateway.tone_hz, timeout_s=LONG_S)
    finally:
        await came.hangup()
        await lab.tidy()


async def test_freeswitch_restarted_in_between_ends_its_calls_and_leads_and_transfers_new_ones(
    lab: Standing,
) -> None:
    box = lab.lab.box
    await lab.line("DOWN")
    try:
        placed, met = await by_menu(lab, "201")
        await box.kill("freeswitch")
        for call in (placed, met):
            await call.wait("closed", 2 * LONG_S)
        await box.start("freeswitch")
        _, met = await by_menu(lab, "203")
        await lets_go(met, met.transfer("204"), LONG_S)
        other = await lab.rings("204", LONG_S)
        await hear_each_other(lab.phones["203"].current(), other, timeout_s=LONG_S)
    finally:
        await lab.tidy()


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Standing) -> None:
    assert lab.lab.box.freeswitch is not None
    assert "\n".join(lab.lab.box.freeswitch.faults()) == ""
