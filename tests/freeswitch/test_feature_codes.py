"""The matrix of feature codes: every code of the table that works is dialled from a telephone, and what it does is heard, with
the line to the cloud up and cut.

A row is a coroutine with the feature's id; a feature that is `ready` and has none fails tests/test_feature_codes.py. Rows
share one lab, so each leaves things as it found them.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from appliance.digest import pin_sha256
from appliance.feature_codes import FEATURES
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM, extension
from tests.lab.standing import Standing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]

PIN = "40718"
DESK_PIN = "58203"
SCHEDULE_CODE = "90817"

Row = Callable[[Lab], Awaitable[None]]
ROWS: dict[str, Row] = {}
CODES = {feature.id: feature.code for feature in FEATURES}


def row(feature_id: str) -> Callable[[Row], Row]:
    """A row of the matrix."""

    def enter(walk: Row) -> Row:
        ROWS[feature_id] = walk
        return walk

    return enter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncIterator[Standing]:
    parts = Parts(phones=4, cloud_phones=0, carrier=False, freeswitch=True)
    digest = hashlib.md5(f"202:{REALM}:{PIN}".encode(), usedforsecurity=False).hexdigest()
    document = {
        "call_control": "local",
        "feature_codes": {"language": "en"},
        "prompts": SHORT,
        "mailboxes": [{"number": "202", "code_md5": digest, "language": "en"}],
        "schedules": [
            {"id": name, "hours": [{"from": "09:00", "to": "17:00"}], "access_code": code}
            for name, code in (("shop", SCHEDULE_CODE), ("office", SCHEDULE_CODE), ("other", "555501"))
        ],
        "pickup": "site",
        "groups": [
            {"number": "690", "name": "Front", "strategy": "all", "members": ["202", "203"]},
            {"number": "691", "strategy": "turn", "members": ["203"], "ring_s": 5, "overflow": "*98202"},
        ],
    }
    lab = Lab(parts, document)
    lab.document["extensions"] = [
        extension(number, password, pin_sha256=pin_sha256(number, REALM, DESK_PIN))
        for number, password in lab.passwords.items()
    ]
    async with Standing(lab) as standing:
        yield standing


@pytest.fixture(scope="module")
def lab(standing: Standing) -> Lab:
    return standing.lab


@pytest.mark.parametrize("feature_id", [feature.id for feature in FEATURES if feature.ready])
@pytest.mark.parametrize("state", ["UP", "DOWN"])
async def test_the_code_does_what_the_table_says(
    standing: Standing, lab: Lab, feature_id: str, state: str
) -> None:
    await standing.line(state)
    await ROWS[feature_id](lab)


@row("voicemail_own")
async def _(lab: Lab) -> None:
    call = await lab.phones["202"].call(CODES["voicemail_own"])
    await lab.hears(call, "vm_enter_pin")


@row("voicemail_leave")
async def _(lab: Lab) -> None:
    call = await lab.phones["201"].call(f"{CODES['voicemail_leave']}202")
    await lab.hears(call, "vm_record")
    await call.hangup()
    nobody = await lab.phones["201"].call(f"{CODES['voicemail_leave']}203")
    await lab.hears(nobody, "no_such_number")


async def picked_up(lab: Lab, called: str, code: str) -> None:
    """201 calls, 202 rings, 203 takes the call."""
    before = len(lab.phones["202"].calls)
    for number in ("202", "203"):
        await lab.phones[number].behave(answer_after_s=None)
    await lab.phones["201"].dial(called)
    await wait_until(lambda: len(lab.phones["202"].calls) > before, "202 rings", 15)
    picked = await lab.phones["203"].call(code)
    await picked.wait_hears(lab.phones["201"].tone_hz, timeout_s=15)
    await lab.phones["201"].current().wait_hears(lab.phones["203"].tone_hz, timeout_s=15)


@row("pickup")
async def _(lab: Lab) -> None:
    await picked_up(lab, "202", f"{CODES['pickup']}202")


@row("pickup_group")
async def _(lab: Lab) -> None:
    await picked_up(lab, "690", CODES["pickup_group"])


async def hears_after(lab: Lab, number: str, dialled: str, prompt: str) -> None:
    """A code is dialled, the prompt heard, and the call ended by the box."""
    call = await lab.phones[number].call(dialled)
    await lab.hears(call, prompt)
    await call.wait("closed", 15)


async def refused(lab: Lab, number: str, code: int) -> None:
    """A call from 201 is refused with that code."""
    call = await lab.phones["201"].dial(number)
    await call.wait("closed", 10)
    assert call.code == code


async def reaches(lab: Lab, dialled: str, number: str) -> None:
    """A call from 201 is answered by that telephone."""
    before = len(lab.phones[number].calls)
    call = await lab.phones["201"].call(dialled, 15)
    assert len(lab.phones[number].calls) == before + 1
    await call.hangup()


@row("do_not_disturb_on")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["do_not_disturb_on"], "do_not_disturb_on")
    await refused(lab, "203", 480)


@row("do_not_disturb_off")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["do_not_disturb_off"], "do_not_disturb_off")
    await reaches(lab, "203", "203")


@row("forward_always_set")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", f"{CODES['forward_always_set']}204", "forward_set")
    await reaches(lab, "203", "204")
    await hears_after(lab, "203", f"{CODES['forward_always_set']}119", "not_allowed")
    await hears_after(lab, "204", f"{CODES['forward_always_set']}203", "not_allowed")
    await hears_after(lab, "203", f"{CODES['forward_always_set']}99", "no_such_number")
    await reaches(lab, "203", "204")


@row("forward_always_clear")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["forward_always_clear"], "forward_cleared")
    await reaches(lab, "203", "203")


@row("forward_busy_set")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", f"{CODES['forward_busy_set']}204", "forward_set")
    await lab.phones["203"].behave(refuse=True)
    await reaches(lab, "203", "204")


@row("forward_busy_clear")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["forward_busy_clear"], "forward_cleared")
    await lab.phones["203"].behave(refuse=True)
    await refused(lab, "203", 486)


@row("forward_no_answer_set")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", f"{CODES['forward_no_answer_set']}*98202", "forward_set")
    await lab.phones["203"].unregister()
    try:
        call = await lab.phones["201"].call("203")
        await lab.hears(call, "vm_record")
        await call.hangup()
    finally:
        await lab.phones["203"].register()


@row("forward_no_answer_clear")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["forward_no_answer_clear"], "forward_cleared")
    await lab.phones["203"].unregister()
    try:
        await refused(lab, "203", 480)
    finally:
        await lab.phones["203"].register()


async def from_outside(lab: Lab, number: str, caller: str) -> str:
    """How a call from the gateway to an extension's public number comes out."""
    call = await lab.gateway.dial(f"sip:0312340{number}@{lab.addresses.box_lan}:5060", caller)
    await wait_until(lambda: call.state in ("answered", "ended"), "the call is answered or refused", 15)
    state = call.state
    if state == "answered":
        await call.hangup()
    return state


@row("block_last_caller")
async def _(lab: Lab) -> None:
    await reaches(lab, "203", "203")
    await hears_after(lab, "203", CODES["block_last_caller"], "block_set")
    await refused(lab, "203", 603)
    call = await lab.phones["204"].call("203")
    await call.hangup()


@row("unblock_last_caller")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["unblock_last_caller"], "block_cleared")
    await reaches(lab, "203", "203")
    await hears_after(lab, "203", CODES["unblock_last_caller"], "no_last_caller")


@row("anonymous_rejection_on")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["anonymous_rejection_on"], "anonymous_on")
    assert await from_outside(lab, "203", "anonymous") == "ended"
    assert await from_outside(lab, "203", "0398765432") == "answered"


@row("anonymous_rejection_off")
async def _(lab: Lab) -> None:
    await hears_after(lab, "203", CODES["anonymous_rejection_off"], "anonymous_off")
    assert await from_outside(lab, "203", "anonymous") == "answered"


@row("hot_desk_in")
async def _(lab: Lab) -> None:
    code = CODES["hot_desk_in"]
    await hears_after(lab, "204", code, "hot_desk_how")
    await hears_after(lab, "204", f"{code}*203*99999", "hot_desk_wrong")
    await hears_after(lab, "204", f"{code}*203*{DESK_PIN}", "hot_desk_in")
    await reaches(lab, "203", "204")


@row("hot_desk_out")
async def _(lab: Lab) -> None:
    await hears_after(lab, "204", CODES["hot_desk_out"], "hot_desk_out")
    await reaches(lab, "203", "203")
    await hears_after(lab, "204", CODES["hot_desk_out"], "hot_desk_nobody")


@row("echo")
async def _(lab: Lab) -> None:
    call = await lab.phones["201"].call(CODES["echo"])
    await lab.hears(call, "echo_begins")
    await call.wait_hears(lab.phones["201"].tone_hz, timeout_s=15)


@row("announce_number")
async def _(lab: Lab) -> None:
    call = await lab.phones["203"].call(CODES["announce_number"])
    for prompt in ("your_number", "number_2", "number_0", "number_3"):
        await lab.hears(call, prompt)


@row("directory")
async def _(lab: Lab) -> None:
    call = await lab.phones["201"].call(CODES["directory"])
    await lab.hears(call, "dir_spell")


@row("conference")
async def _(lab: Lab) -> None:
    inside = [await lab.phones[number].call(f"{CODES['conference']}201") for number in ("201", "202")]
    await inside[0].wait_hears(lab.phones["202"].tone_hz, timeout_s=15)
    await inside[1].wait_hears(lab.phones["201"].tone_hz, timeout_s=15)


async def set_by_hand(lab: Lab, feature_id: str, said: str, state: str) -> None:
    """Both schedules with the code are set, the one with another code is not; FreeSWITCH knows before the telephone hears."""
    assert lab.box.freeswitch is not None
    call = await lab.phones["201"].call(CODES[feature_id])
    await lab.hears(call, "enter_code")
    await call.dtmf("11111")
    await lab.hears(call, "wrong_code")
    await lab.hears(call, "enter_code")
    await call.dtmf(SCHEDULE_CODE)
    await lab.hears(call, said)
    await call.wait("closed", 15)
    told = [
        (await lab.box.freeswitch.api("global_getvar", f"ky_override_{one}")).strip()
        for one in ("shop", "office", "other")
    ]
    assert [one.removeprefix("-ERR no reply") for one in told] == [state, state, ""]


@row("schedule_open")
async def _(lab: Lab) -> None:
    await set_by_hand(lab, "schedule_open", "set_open", "open")


@row("schedule_closed")
async def _(lab: Lab) -> None:
    await set_by_hand(lab, "schedule_closed", "set_closed", "closed")


@row("schedule_automatic")
async def _(lab: Lab) -> None:
    await set_by_hand(lab, "schedule_automatic", "set_automatic", "automatic")


@row("callback_set")
async def _(lab: Lab) -> None:
    call = await lab.phones["204"].call(CODES["callback_set"])  # it has found nobody busy in other rows
    await lab.hears(call, "callback_none")


@row("callback_cancel")
async def _(lab: Lab) -> None:
    call = await lab.phones["204"].call(CODES["callback_cancel"])
    await lab.hears(call, "callback_cancelled")


async def test_a_group_that_nobody_answers_overflows_into_a_voicemail_box(lab: Lab) -> None:
    await lab.phones["203"].behave(answer_after_s=None)
    call = await lab.phones["201"].call("691", 20)
    await lab.hears(call, "vm_record")


async def test_while_freeswitch_is_dead_settings_are_made_and_groups_ring_and_it_is_used_again_afterwards(
    lab: Lab,
) -> None:
    await lab.box.stop("freeswitch")
    try:
        for code, shown in (
            (CODES["do_not_disturb_on"], "480 Do not disturb on done"),
            (CODES["do_not_disturb_off"], "480 Do not disturb off done"),
            (f"{CODES['forward_always_set']}119", "403 Forward to emergency"),
            (CODES["echo"], "480 Applications out of order"),
        ):
            call = await lab.phones["203"].dial(code)
            await call.wait("closed", 10)
            assert call.cause == shown
        await reaches(lab, "691", "203")
    finally:
        await lab.box.start("freeswitch")
    assert lab.box.freeswitch is not None
    await wait_until(lab.box.freeswitch.ready, "it takes calls", 60)
    await hears_after(lab, "203", CODES["forward_always_clear"], "forward_cleared")
