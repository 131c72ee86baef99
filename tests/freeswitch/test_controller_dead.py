"""The controller is dead for a minute: whoever was in an application is there afterwards, and new calls do all that they ever do.

Keys by RFC 4733 and SIP INFO, transfers, messages and lamps, with the line to the cloud up and cut.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from agent import watch
from appliance.errors import KyusaiError
from appliance.feature_codes import FEATURES
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.sipua import Ua
from tests.lab.site_document import REALM
from tests.lab.standing import Standing, hear_each_other, lets_go
from tests.lab.watcher import Lamp, Watcher

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

DEAD_S = 60.0
LONG_S = 15.0
LEGS = 5
"""Of the calls that are up when it dies: two in a room, one parked, two that met through a menu."""

CODES = {feature.id: feature.code for feature in FEATURES}
KEYS = {"204": "RFC 4733", "205": "SIP INFO"}
OWNER, PIN = "206", "40718"
MESSAGE_BYTES = 80_000
"""Two and a half seconds at 16 kHz: a shorter message is not kept."""

RECEPTION = {
    "id": "reception",
    "language": "en",
    "nodes": [
        {
            "id": "main",
            "do": "menu",
            "prompts": ["welcome"],
            "wait_s": 10,
            "keys": [{"key": "1", "then": "desk"}, {"key": "2", "then": "sales"}],
            "timeout": "bye",
            "invalid": "bye",
        },
        {"id": "desk", "do": "transfer", "number": "206", "unanswered": "bye"},
        {"id": "sales", "do": "transfer", "number": "208", "unanswered": "bye"},
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    parts = Parts(phones=8, cloud_phones=0, gateway=False, carrier=False, freeswitch=True, control=True)
    digest = hashlib.md5(f"{OWNER}:{REALM}:{PIN}".encode(), usedforsecurity=False).hexdigest()
    document = {
        "feature_codes": {"language": "en"},
        "prompts": SHORT,
        "pickup": "site",
        "applications": [
            {"number": "700", "kind": "flow", "flow": "reception"},
            {"number": "703", "kind": "conference"},
            {"number": "771", "kind": "parking", "fallback": "204", "return_s": 600},
        ],
        "flows": [RECEPTION],
        "mailboxes": [{"number": OWNER, "code_md5": digest, "language": "en"}],
    }
    one = Lab(parts, document)
    one.phones["205"] = one.make_phone("205", digits="info")
    async with Standing(one) as lab:
        yield lab


@dataclass
class Before:
    """What was up when the controller died."""

    room: tuple[PhoneCall, PhoneCall]
    menu: tuple[PhoneCall, PhoneCall]
    parked: PhoneCall
    place: Lamp
    """of the parking place"""
    died_at: float


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watcher(lab: Standing) -> AsyncIterator[Watcher]:
    """A telephone more of the box's owner that has lamps."""
    a, password = lab.lab.addresses, lab.lab.passwords[OWNER]
    async with Ua(OWNER, a.phone(90), (a.box_lan, 5060), password=password, domain=REALM) as ua:
        yield Watcher(ua, a.box_lan)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def before(lab: Standing, watcher: Watcher) -> Before:
    phones = lab.phones
    place = await watcher.watch("771")
    room = (await phones["201"].call("703", LONG_S), await phones["202"].call("703", LONG_S))
    parked = await phones["203"].call("771", LONG_S)
    menu = await by_menu(lab, "207", "2", "208")
    await hear_each_other(*room, timeout_s=LONG_S)

    async def known() -> bool:
        return await legs(lab) == LEGS

    await wait_until(known, "the controller knows everybody", LONG_S, 0.2)
    await place.wait_lit()
    await lab.lab.box.kill("control")
    return Before(room, menu, parked, place, time.monotonic())


@pytest_asyncio.fixture(params=["UP", "DOWN"], loop_scope="module")
async def site(request: pytest.FixtureRequest, lab: Standing) -> AsyncIterator[Standing]:
    """The same with the line up and cut."""
    await lab.line(str(request.param))
    yield lab
    await lab.phones[OWNER].behave()
    for number in (*KEYS, OWNER):
        for call in [one for one in lab.phones[number].calls if one.state != "closed"]:
            await call.hangup()


async def legs(lab: Standing) -> int:
    try:
        return len(await asyncio.to_thread(watch.control_calls, lab.lab.box.layout.control_socket))
    except KyusaiError:
        return -1


async def by_menu(lab: Standing, caller: str, key: str, callee: str) -> tuple[PhoneCall, PhoneCall]:
    """The caller hears the menu and presses a key; the caller's and the callee's call."""
    placed = await lab.phones[caller].call("700", LONG_S)
    await lab.hears(placed, "welcome")
    await placed.dtmf(key)
    met = await lab.rings(callee, LONG_S)
    await hear_each_other(placed, met, timeout_s=LONG_S)
    return placed, met


@pytest.mark.parametrize("caller", KEYS, ids=KEYS.values())
async def test_a_key_in_a_menu_leads_to_a_telephone_which_transfers_the_caller(
    site: Standing, caller: str
) -> None:
    _, met = await by_menu(site, caller, "1", OWNER)
    (other,) = KEYS.keys() - {caller}
    await lets_go(met, met.transfer(other), LONG_S)
    ringing = await site.rings(other, LONG_S)
    await hear_each_other(site.phones[caller].current(), ringing, timeout_s=LONG_S)


async def test_who_came_by_a_menu_is_transferred_after_asking(site: Standing) -> None:
    _, met = await by_menu(site, "205", "1", OWNER)
    await asked_and_transferred(site, OWNER, met, "204")
    await site.meet("205", "204", timeout_s=LONG_S)


async def asked_and_transferred(site: Standing, who: str, met: PhoneCall, other: str) -> None:
    """Who was called by the menu holds the caller, asks somebody else, and connects the two."""
    await met.hold()
    asked = await site.phones[who].call(other, LONG_S)
    await hear_each_other(asked, await site.rings(other, LONG_S), timeout_s=LONG_S)
    await asked.hold()
    await lets_go(met, met.transfer_to(asked), LONG_S)


async def test_a_call_that_rings_is_picked_up(site: Standing) -> None:
    await site.phones[OWNER].behave(answer_after_s=None)
    placed = await site.phones["204"].dial(OWNER)
    ringing = await site.rings(OWNER, LONG_S)
    picked = await site.phones["205"].call(f"{CODES['pickup']}{OWNER}", LONG_S)
    await hear_each_other(placed, picked, timeout_s=LONG_S)
    await ringing.wait("closed", LONG_S)


async def test_a_message_is_left_lights_the_lamp_is_heard_and_deleted(
    site: Standing, watcher: Watcher
) -> None:
    box = site.lab.box
    lamp = await watcher.watch(OWNER, "message-summary")
    await lamp.wait_body("Messages-Waiting: no")
    call = await site.phones["204"].call(f"{CODES['voicemail_leave']}{OWNER}", LONG_S)
    await call.wait_hears(640, timeout_s=LONG_S)
    folder = box.layout.voicemail_dir

    def left() -> bool:
        return any(path.stat().st_size > MESSAGE_BYTES for path in folder.rglob("msg_*.wav"))

    await wait_until(left, "enough is recorded", LONG_S)
    await call.hangup()
    await lamp.wait_body("Voice-Message: 1/0")
    owner = await site.phones[OWNER].call(CODES["voicemail_own"], LONG_S)
    await site.hears(owner, "vm_enter_pin")
    await owner.dtmf(f"{PIN}#")
    await site.hears(owner, "vm_message")
    await owner.dtmf("1")  # never mind when it came
    await owner.wait_hears(site.phones["204"].tone_hz, timeout_s=LONG_S)
    await owner.dtmf("7")
    await site.hears(owner, "vm_deleted")
    await owner.hangup()
    await lamp.wait_body("Messages-Waiting: no")
    await lamp.renew(0)


async def test_after_a_minute_all_calls_are_up_with_audio_and_the_controller_knows_them(
    lab: Standing, before: Before
) -> None:
    await asyncio.sleep(max(0.0, before.died_at + DEAD_S - time.monotonic()))
    await hear_each_other(*before.room, timeout_s=LONG_S)
    placed, met = before.menu
    await hear_each_other(placed, met, timeout_s=LONG_S)
    await asked_and_transferred(lab, "208", met, OWNER)
    await lab.meet("207", OWNER, timeout_s=LONG_S)
    assert before.place.lit
    fetched = await lab.phones["204"].call("771", LONG_S)
    await hear_each_other(fetched, before.parked, timeout_s=LONG_S)
    await before.place.wait_dark()
    await lab.lab.box.start("control")

    async def known() -> bool:
        return (
            await legs(lab) == LEGS - 2 + 1
        )  # of the two who met, one has gone; the others need FreeSWITCH no more

    await wait_until(known, "the controller knows everybody", 2 * LONG_S, 0.2)
    assert {one.state for one in (*before.room, before.parked, fetched)} == {"established"}


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Standing) -> None:
    assert lab.lab.box.freeswitch is not None
    assert "\n".join(lab.lab.box.freeswitch.faults()) == ""
