"""Voicemail, by telephones that speak and listen: messages, greetings, calls back, PINs and their lock, full boxes."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from appliance.freeswitch.voicemail_xml import MESSAGE_MIN_S
from tests.lab import prompts
from tests.lab.box import kyusai
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM, extension

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]

PIN = "40718"
SAID_S = MESSAGE_MIN_S + 0.4
"""Shorter ones are not kept."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=3, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True)
    digest = hashlib.md5(f"202:{REALM}:{PIN}".encode(), usedforsecurity=False).hexdigest()
    document = {
        "call_control": "local",
        "prompts": [
            one for one in SHORT if one["id"] != "vm_greeting"
        ],  # which is long enough to press a key in it
        "applications": [{"number": "*97", "kind": "voicemail"}],
        "mailboxes": [{"number": "202", "code_md5": digest, "language": "en"}],
    }
    lab = Lab(parts, document)
    lab.document["extensions"] = [
        extension(
            number,
            password,
            **(
                {"forward_no_answer": "*98202", "forward_busy": "*98202", "no_answer_s": 5}
                if number == "202"
                else {}
            ),
        )
        for number, password in lab.passwords.items()
    ]
    lab.phones["203"] = lab.make_phone("203", digits="info")
    async with lab:
        yield lab


def messages(lab: Lab) -> list[str]:
    folder = lab.box.layout.voicemail_dir
    return sorted(path.name for path in folder.rglob("msg_*.wav"))


async def test_a_call_that_nobody_answers_leaves_a_message_that_the_owner_hears_and_deletes(lab: Lab) -> None:
    await lab.phones["202"].behave(answer_after_s=None)
    call = await lab.phones["201"].call("202", 20)
    await lab.hears(call, "vm_record")
    await call.wait_hears(640, timeout_s=5)
    await wait_until(lambda: messages(lab), "the message begins", 10)
    await wait_until(lambda: recorded_s(lab) > SAID_S, "enough is recorded", 15)
    await call.dtmf("#")
    await lab.hears(call, "vm_recorded")
    await call.dtmf("2")
    await call.hangup()
    assert len(messages(lab)) == 1

    owner = await lab.phones["202"].call("*97")
    await lab.hears(owner, "vm_enter_pin")
    await owner.dtmf(f"{PIN}#")
    await lab.hears(owner, "vm_new")
    await lab.hears(owner, "number_1")
    await owner.wait_hears(lab.phones["201"].tone_hz, timeout_s=15)
    await lab.hears(owner, "vm_listen")
    await owner.dtmf("7")
    await lab.hears(owner, "vm_deleted")
    await owner.hangup()
    await wait_until(lambda: not messages(lab), "the message is gone", 10)


def recorded_s(lab: Lab, name: str = "msg_*.wav") -> float:
    """Of the newest file of that name, by its size and the rate in its header."""
    folder = lab.box.layout.voicemail_dir
    found = max(folder.rglob(name), key=lambda path: path.stat().st_mtime_ns, default=None)
    return _length_s(found) if found is not None else 0.0


def _length_s(path: Path) -> float:
    head = path.read_bytes()[:44]
    return path.stat().st_size / 2 / int.from_bytes(head[24:28], "little") if len(head) == 44 else 0.0


async def leave(lab: Lab) -> None:
    """201 leaves its tone for 202."""
    before = len(messages(lab))
    call = await lab.phones["201"].call("*98202")
    await call.dtmf("#")
    await call.wait_hears(640, timeout_s=15)
    await wait_until(lambda: len(messages(lab)) > before and recorded_s(lab) > SAID_S, "a message", 20)
    await call.dtmf("#")
    await lab.hears(call, "vm_recorded")
    await call.dtmf("2")
    await call.hangup()


async def login(lab: Lab, pin: str = PIN) -> PhoneCall:
    call = await lab.phones["202"].call("*97")
    await lab.hears(call, "vm_enter_pin")
    await call.dtmf(f"{pin}#")
    return call


async def first_message(lab: Lab, owner: PhoneCall) -> None:
    """201's message is heard; the owner does not wait to be told when it came."""
    await lab.hears(owner, "vm_message")
    await owner.dtmf("1")
    await owner.wait_hears(lab.phones["201"].tone_hz, timeout_s=15)


async def test_the_owner_calls_back_from_the_message_and_hears_the_next_one_afterwards(lab: Lab) -> None:
    await leave(lab)
    owner = await login(lab)
    await first_message(lab, owner)
    await lab.hears(owner, "vm_listen")
    await owner.dtmf("5")
    met = await lab.phones["201"].wait_incoming(timeout_s=15)
    await met.wait("established", 10)
    assert met.peer.startswith("sip:202@")
    await met.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await owner.wait_hears(lab.phones["201"].tone_hz, timeout_s=10)
    await met.hangup()
    await lab.hears(owner, "vm_new")


async def test_the_owner_s_greeting_is_heard_and_that_for_a_busy_telephone_is_another(lab: Lab) -> None:
    owner = await login(lab)
    await lab.hears(owner, "vm_new")
    await owner.dtmf("0")
    await lab.hears(owner, "vm_menu")
    await owner.dtmf("5")
    await lab.hears(owner, "vm_settings")
    await owner.dtmf("1")
    await lab.hears(owner, "vm_choose_greeting")
    await owner.dtmf("1")
    await lab.hears(owner, "vm_record_greeting")
    await owner.wait_hears(640, timeout_s=10)
    await wait_until(lambda: recorded_s(lab, "greeting_*.wav") > SAID_S, "enough is recorded", 20)
    await owner.dtmf("#")
    await lab.hears(owner, "vm_recorded")
    await owner.dtmf("2")
    await lab.hears(owner, "vm_saved")
    await owner.hangup()

    await lab.phones["202"].behave(answer_after_s=None)
    unanswered = await lab.phones["201"].call("202", 20)
    await unanswered.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await unanswered.hangup()
    await lab.phones["202"].behave(refuse=True)
    busy = await lab.phones["201"].call("202", 20)
    await lab.hears(busy, "vm_greeting_busy")


async def test_a_full_box_and_a_full_disk_are_told_and_nothing_is_stored(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    before = messages(lab)
    for name, said in (("ky_vm_full_202", "vm_full"), ("ky_vm_no_room", "vm_no_room")):
        await lab.box.freeswitch.api("global_setvar", f"{name}=true")
        call = await lab.phones["201"].call("*98202")
        await lab.hears(call, said)
        await call.wait("closed", 10)
        await lab.box.freeswitch.api("global_setvar", f"{name}=")
    assert messages(lab) == before


async def test_calls_without_the_right_pin_lock_the_box_until_somebody_opens_it(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    for _ in range(4):
        call = await lab.phones["202"].call("*97")
        await lab.hears(call, "vm_enter_pin")
        await call.hangup()
    locked = await lab.phones["202"].call("*97")
    await lab.hears(locked, "vm_locked")
    await locked.wait("closed", 10)
    log = (lab.box.layout.freeswitch_log_dir / "freeswitch.log").read_text()
    assert "voicemail box 202 locks" in log
    shown = json.loads(await kyusai("voicemail", "--json", "--box", lab.box.toml))
    assert [(one["box"], one["locked"], one["full"]) for one in shown] == [("202", True, False)]
    await kyusai("voicemail", "unlock", "202", "--box", lab.box.toml)
    owner = await login(lab)
    await lab.hears(owner, "vm_new")
    await owner.hangup()
    for name in ("ky_vm_lock_202", "ky_vm_tries_202"):
        assert (await lab.box.freeswitch.api("global_getvar", name)).strip() in ("", "-ERR no reply")


async def test_a_chosen_pin_and_messages_hold_over_a_restart_and_a_weak_pin_is_refused(lab: Lab) -> None:
    if not messages(lab):  # none is left of other tests
        await leave(lab)
    for chosen, said in (("1111", "vm_pin_not_changed"), ("83514", "vm_pin_changed")):
        owner = await login(lab)
        await lab.hears(owner, "vm_new")
        await owner.dtmf("0")
        await lab.hears(owner, "vm_menu")
        await owner.dtmf("#")
        await lab.hears(owner, "vm_change_pin")
        await owner.dtmf("4")
        await lab.hears(owner, "vm_new_pin")
        await owner.dtmf(f"{chosen}#")
        if said == "vm_pin_changed":
            await lab.hears(owner, "vm_new_pin_again")
            await owner.dtmf(f"{chosen}#")
        await lab.hears(owner, said)
        await owner.wait("closed", 10)
    await lab.box.kill("freeswitch")
    await lab.box.start("freeswitch")
    refused = await login(lab)
    await lab.hears(refused, "vm_wrong_pin")
    await refused.dtmf("83514#")
    await lab.hears(refused, "vm_new")
    await first_message(lab, refused)


async def test_a_wrong_pin_opens_nothing_and_the_third_ends_the_call(lab: Lab) -> None:
    call = await lab.phones["202"].call("*97")
    for _ in range(3):
        await lab.hears(call, "vm_enter_pin")
        await call.dtmf("11112#")
        await lab.hears(call, "vm_wrong_pin")
    await lab.hears(call, "vm_too_many")
    await call.wait("closed", 15)


async def test_somebody_else_is_asked_whose_box_he_wants(lab: Lab) -> None:
    call = await lab.phones["203"].call("*97")
    await lab.hears(call, "vm_enter_id")
    await call.hangup()


async def test_the_star_during_the_greeting_leads_the_owner_to_his_box_from_any_telephone(lab: Lab) -> None:
    """Which sends its digits as SIP INFO."""
    call = await lab.phones["203"].call("*98202")

    async def sounds() -> bool:
        _, samples = await call.recorded(0.3)
        return bool(len(samples) and np.sqrt(np.mean(samples**2)) > prompts.PAUSE_RMS)

    await wait_until(sounds, "the greeting begins", 10)
    await call.dtmf("*")
    await lab.hears(call, "vm_enter_pin")
    await call.dtmf("12121#")
    await lab.hears(call, "vm_wrong_pin")


@pytest.mark.parametrize("number", ["201", "203"], ids=["RFC 4733", "SIP INFO"])
async def test_a_pin_that_is_pressed_during_the_word_on_a_wrong_one_opens_the_box(
    lab: Lab, number: str
) -> None:
    call = await lab.phones[number].call("*97")
    await lab.hears(call, "vm_enter_id")
    await call.dtmf("202#")
    await lab.hears(call, "vm_enter_pin")
    await call.dtmf("11112#83514#")
    await lab.hears(call, "vm_new")
    await call.hangup()
