"""Lamps of parking places and of messages, and calls that somebody else takes, with a real FreeSWITCH."""

import asyncio
import contextlib
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from appliance.feature_codes import FEATURES
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.sipua import Ua
from tests.lab.site_document import REALM, extension
from tests.lab.watcher import Watcher, attribute

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]

PIN = "40718"
CODES = {feature.id: feature.code for feature in FEATURES}
GROUPS = {"201": "front", "202": "front", "203": "front", "204": "back"}
WATCHER = "204"
MESSAGE_BYTES = 80_000
"""Two and a half seconds at 16 kHz: a shorter message is not kept."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=4, cloud_phones=0, carrier=False, freeswitch=True)
    digest = hashlib.md5(f"202:{REALM}:{PIN}".encode(), usedforsecurity=False).hexdigest()
    document = {
        "call_control": "local",
        "feature_codes": {"language": "en"},
        "prompts": SHORT,
        "applications": [
            {"number": "771", "kind": "parking", "fallback": "203", "return_s": 10},
            {"number": "772", "kind": "conference"},
        ],
        "groups": [{"number": "600", "name": "Sales", "strategy": "all", "members": ["202", "203"]}],
        "mailboxes": [{"number": "202", "code_md5": digest, "language": "en"}],
    }
    lab = Lab(parts, document)
    lab.document["extensions"] = [
        extension(number, password, pickup_group=GROUPS[number]) for number, password in lab.passwords.items()
    ]
    async with lab:
        yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watcher(lab: Lab) -> AsyncIterator[Watcher]:
    """A telephone more of extension 204 that has keys with lamps."""
    address = lab.addresses.phone(90)
    server = (lab.addresses.box_lan, 5060)
    async with Ua(WATCHER, address, server, password=lab.passwords[WATCHER], domain=REALM) as ua:
        yield Watcher(ua, lab.addresses.box_lan)


def tone(lab: Lab, number: str) -> int:
    return lab.phones[number].tone_hz


async def talk(lab: Lab, one: PhoneCall, number: str, other: str) -> None:
    """The call of `number` and whatever call `other` has hear each other."""
    await one.wait_hears(tone(lab, other), timeout_s=15)
    await lab.phones[other].current().wait_hears(tone(lab, number), timeout_s=15)


async def rings(lab: Lab, caller: str, called: str, *ringing: str) -> PhoneCall:
    """A call that rings at telephones which do not answer."""
    before = {number: len(lab.phones[number].calls) for number in ringing}
    for number in ringing:
        await lab.phones[number].behave(answer_after_s=None)
    call = await lab.phones[caller].dial(called)
    for number in ringing:
        await wait_until(lambda n=number: len(lab.phones[n].calls) > before[n], f"{number} rings", 15)
    return call


async def line(lab: Lab, state: str) -> None:
    """The line to the cloud: "up" or "cut"."""
    await (lab.link.restore() if state == "up" else lab.link.cut("drop"))


both = pytest.mark.parametrize("state", ["up", "cut"])


def answered(lab: Lab, dialled: str) -> list[str]:
    """Who took the calls to a number, by the journal."""
    with contextlib.closing(sqlite3.connect(lab.box.layout.journal)) as database:
        rows = database.execute(
            "SELECT call, event, data FROM event WHERE call != '' ORDER BY seq"
        ).fetchall()
    calls = [
        call for call, event, data in rows if event == "start" and json.loads(data)["dialled"] == dialled
    ]
    return [
        json.loads(data)["user"]
        for wanted in calls
        for call, event, data in rows
        if call == wanted and event == "answer"
    ]


# pickup


@both
async def test_whoever_dials_the_code_and_the_extension_gets_the_call_that_rings_there(
    lab: Lab, state: str
) -> None:
    await line(lab, state)
    await rings(lab, "201", "202", "202")
    ringing = lab.phones["202"].current()
    picked = await lab.phones["203"].call(f"{CODES['pickup']}202")
    await talk(lab, picked, "203", "201")
    await ringing.wait("closed", 15)
    await wait_until(lambda: answered(lab, "202"), "the journal has the answer", 10)
    assert answered(lab, "202")[-1] == "203"


async def test_group_pickup_takes_a_call_of_the_own_group_and_all_who_ring_stop(lab: Lab) -> None:
    await line(lab, "up")
    await rings(lab, "204", "600", "202", "203")
    ringing = [lab.phones[number].current() for number in ("202", "203")]
    picked = await lab.phones["201"].call(CODES["pickup_group"])
    await talk(lab, picked, "201", "204")
    for call in ringing:
        await call.wait("closed", 15)


async def test_call_from_a_gateway_is_picked_up_by_the_key_with_the_lamp(lab: Lab, watcher: Watcher) -> None:
    await line(lab, "cut")
    await lab.phones["202"].behave(answer_after_s=None)
    before = sum(call.incoming for call in lab.phones["202"].calls)
    lamp = await watcher.watch("202")
    outside = await lab.gateway.dial(f"sip:0312340202@{lab.addresses.box_lan}:5060", "0399998888")
    await lamp.wait(("recipient", "early"))
    body = lamp.told[-1][1].body
    ringing = await lab.phones["202"].wait_incoming(before + 1)
    replaces = ";".join(
        (
            attribute(body, "call-id"),
            f"to-tag={attribute(body, 'local-tag')}",
            f"from-tag={attribute(body, 'remote-tag')}",
            "early-only",
        )
    )
    picked = await lab.phones["203"].dial("202", headers={"Replaces": replaces})
    await picked.wait("established", 15)
    await outside.wait("answered", 15)
    await outside.wait_hears(tone(lab, "203"), timeout_s=15)
    await ringing.wait("closed", 15)
    await lamp.wait_dark()
    await lamp.renew(0)
    await picked.hangup()
    await outside.wait("ended", 15)


async def test_nobody_takes_a_call_of_another_group_and_it_goes_on_ringing(lab: Lab) -> None:
    await line(lab, "up")
    call = await rings(lab, "201", "202", "202")
    ringing = lab.phones["202"].current()
    tried = [await lab.phones["204"].call(code) for code in (f"{CODES['pickup']}202", CODES["pickup_group"])]
    for one in tried:
        await one.wait_hears(400, timeout_s=15)
    for one in tried:
        await one.wait("closed", 15)
    await ringing.answer()
    await call.wait("established", 15)
    await talk(lab, call, "201", "202")


# parking


@both
async def test_lamp_of_a_parking_place_is_lit_while_a_call_waits_there(
    lab: Lab, watcher: Watcher, state: str
) -> None:
    await line(lab, state)
    lamp = await watcher.watch("771")
    await lamp.wait()
    await lab.phones["201"].call("202")
    met = lab.phones["202"].current()
    await met.wait("established", 15)
    await met.transfer("771")
    await lamp.wait_lit()
    fetched = await lab.phones["203"].call("771")
    await talk(lab, fetched, "203", "201")
    await lamp.wait_dark()
    await fetched.hangup()
    await asyncio.sleep(0.5)
    assert not lamp.lit
    gone = await lab.phones["201"].call("771")
    await lamp.wait_lit()
    await gone.hangup()
    await lamp.wait_dark()
    await lamp.renew(0)


async def test_lamp_of_a_parking_place_goes_out_when_the_call_returns(lab: Lab, watcher: Watcher) -> None:
    await line(lab, "up")
    lamp = await watcher.watch("771")
    call = await lab.phones["201"].call("771")
    await lamp.wait_lit()
    before = len(lab.phones["203"].calls)
    await wait_until(lambda: len(lab.phones["203"].calls) > before, "the call returns", 30)
    await lamp.wait_dark()
    await call.wait_hears(tone(lab, "203"), timeout_s=15)
    assert not lamp.lit
    await lamp.renew(0)


@both
async def test_lamps_of_a_place_and_a_room_go_out_when_freeswitch_dies_and_are_lit_again_afterwards(
    lab: Lab, watcher: Watcher, state: str
) -> None:
    await line(lab, state)
    lamps = {number: await watcher.watch(number) for number in ("771", "772")}
    calls = [await lab.phones[caller].call(number) for caller, number in (("201", "771"), ("202", "772"))]
    for lamp in lamps.values():
        await lamp.wait_lit()
    await lab.box.kill("freeswitch")
    for lamp in lamps.values():
        await lamp.wait_dark()
    for call in calls:
        await call.wait("closed", 15)
    await picked_up_when_freeswitch_is_back(lab)
    again = await lab.phones["202"].call("772")
    await lab.phones["201"].call("771")
    for lamp in lamps.values():
        await lamp.wait_lit()
    fetched = await lab.phones["203"].call("771")
    await talk(lab, fetched, "203", "201")
    await again.hangup()
    for lamp in lamps.values():
        await lamp.wait_dark()
        await lamp.renew(0)


async def picked_up_when_freeswitch_is_back(lab: Lab) -> None:
    """A call that rings meanwhile goes on ringing when somebody tries in vain to pick it up, and is picked up afterwards."""
    call = await rings(lab, "201", "202", "202")
    vain = await lab.phones["203"].dial(f"{CODES['pickup']}202")
    await vain.wait("closed", 15)
    assert vain.code == 480
    assert (call.state, lab.phones["202"].current().state) == ("ringing", "ringing")
    await lab.box.start("freeswitch")
    picked = await lab.phones["203"].call(f"{CODES['pickup']}202")
    await talk(lab, picked, "203", "201")
    await picked.hangup()
    await call.wait("closed", 15)
    await lab.phones["202"].behave()


# messages


async def test_message_lamp_lights_when_somebody_speaks_and_goes_out_when_the_message_is_deleted(
    lab: Lab,
) -> None:
    await line(lab, "cut")
    address = lab.addresses.phone(91)
    server = (lab.addresses.box_lan, 5060)
    async with Ua("202", address, server, password=lab.passwords["202"], domain=REALM) as ua:
        owner = Watcher(ua, lab.addresses.box_lan)
        assert (await ua.register()).code == 200
        await wait_until(lambda: owner.unsolicited, "told at registration", 20)
        assert "Messages-Waiting: no" in owner.unsolicited[-1].body
        lamp = await owner.watch("202", "message-summary")
        await lamp.wait_body("Messages-Waiting: no")
        assert (await owner.send("201", "message-summary", 600)).code == 403
        await leave_message(lab, "201", "202")
        await lamp.wait_body("Voice-Message: 1/0 (0/0)")
        await delete_messages(lab, "202")
        await lamp.wait_body("Messages-Waiting: no")
        assert (await ua.register(0)).code == 200


async def leave_message(lab: Lab, caller: str, box: str) -> None:
    """Some seconds of the caller's tone."""
    assert lab.box.freeswitch is not None
    folder = lab.box.layout.voicemail_dir
    before = len(list(folder.rglob("msg_*.wav")))
    call = await lab.phones[caller].call(f"{CODES['voicemail_leave']}{box}")
    await wait_until(lambda: len(list(folder.rglob("msg_*.wav"))) > before, "the message begins", 30)
    newest = max(folder.rglob("msg_*.wav"), key=lambda path: path.stat().st_mtime)
    await wait_until(lambda: newest.stat().st_size > MESSAGE_BYTES, "enough is recorded", 30)
    await call.hangup()


async def delete_messages(lab: Lab, box: str) -> None:
    """As the owner's last key does, by FreeSWITCH's own command."""
    assert lab.box.freeswitch is not None
    await lab.box.freeswitch.api("vm_delete", f"{box}@{REALM}")


# last, as it publishes another version


@both
async def test_call_by_way_of_the_cloud_that_controls_calls_is_picked_up(
    lab: Lab, watcher: Watcher, state: str
) -> None:
    await line(lab, state)
    await lab.publish(call_control="cloud")
    lamp = await watcher.watch("202")
    await rings(lab, "201", "202", "202")
    await lamp.wait(("recipient", "early"))
    ringing = lab.phones["202"].current()
    picked = await lab.phones["203"].call(f"{CODES['pickup']}202", 15)
    await talk(lab, picked, "203", "201")
    await ringing.wait("closed", 15)
    await lamp.wait_dark()
    await lamp.renew(0)
