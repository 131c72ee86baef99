"""Several versions within seconds while calls are in applications: nobody is cut off, nobody hears silence, nobody is lost.

What each call hears before and while versions come is measured by the same telephones, so a busy machine's own gaps are known.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import soundfile

from agent.applications import Applications
from agent.logs import set_up
from appliance.freeswitch.prompt_texts import Spoken
from tests.lab import tones
from tests.lab.freeswitch import PROMPTS, SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.tones import longest_silence_s

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

MENU, QUEUE, ROOM, PLACE, VOICEMAIL = "700", "701", "703", "771", "*98202"
MENU_HZ, MUSIC_HZ = 1_540, 1_690
"""Above those of the lab's telephones."""

LONG_S, MUSIC_S = 90.0, 1.5
"""Of the menu's prompt, which outlasts the test, and of the music, which begins again and again."""

TONES = {"tone": (MENU_HZ, LONG_S), "music": (MUSIC_HZ, MUSIC_S)}

VERSIONS, WITHIN_S = 5, 10.0
QUIET_S = 4.0
"""Listened to before any version comes."""

SILENCE_MAX_S, BUSY_S = 0.5, 0.2
"""Limit; and what a version may add where the machine alone takes longer."""


def document(number: int) -> dict[str, Any]:
    """Version `number` of the site: in each one places of calls are called otherwise, or are gone."""
    bye = {"id": "bye", "do": "hangup", "prompts": ["goodbye"]}
    keys = [{"key": "1", "then": "bye"}]
    ask = f"main{number}"
    menu = {
        "id": ask,
        "do": "menu",
        "prompts": ["tone" if number < 2 else "welcome"],
        "wait_s": 2,
        "tries": 5,
    }
    wait = {"id": f"wait{number}", "do": "queue", "queue": "sales"}
    lines = {
        f"menu{number // 3}": [menu | {"keys": keys, "timeout": "bye", "invalid": "bye"}, bye],
        "queue": [wait | {"timeout": "bye", "full": "bye", "nobody": "bye"}, bye],
    }
    return {
        "call_control": "local",
        "prompts": [
            *SHORT,
            {"id": "tone", "en": "A tone that stands in for a long menu."},
            {"id": "music", "en": f"A tone that stands in for the music of version {number}."},
        ],
        "music_on_hold": "music",
        "feature_codes": {"language": "en"},
        "mailboxes": [{"number": "202", "code_md5": str(number) * 32, "language": "en"}],
        "queues": [{"id": "sales", "agents": ["207"], "timeout_s": 120, "place_every_s": 0}],
        "applications": [
            {"number": MENU, "kind": "flow", "flow": f"menu{number // 3}"},
            {"number": QUEUE, "kind": "flow", "flow": "queue"},
            {
                "number": ROOM,
                "kind": "conference",
                "language": "en",
                "record": "all" if number == 4 else "none",
            },
            {"number": PLACE, "kind": "parking"},
        ],
        "flows": [{"id": name, "language": "en", "nodes": nodes} for name, nodes in lines.items()],
    }


async def publish(lab: Lab, told: dict[str, Any]) -> None:
    """As the agent does it: audio, files, the switch, FreeSWITCH is told."""
    assert lab.box.freeswitch is not None
    sounds(told)
    await lab.publish(**told)
    assert (await lab.box.freeswitch.api("reloadxml")).startswith("+OK")


def sounds(told: dict[str, Any]) -> None:
    """Tones in the place of what would be spoken."""
    for one in told["prompts"]:
        if one["id"] in TONES:
            hz, seconds = TONES[one["id"]]
            file = PROMPTS / Spoken(one["id"], "en", one["en"]).file
            if not file.is_file() or soundfile.info(file).duration != seconds:
                tones.write(file, hz, seconds)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(
        phones=7, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True, agent=True
    )
    sounds(document(0))
    async with Lab(parts, document(0)) as lab:
        yield lab


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def quiet(lab: Lab) -> AsyncIterator[None]:
    yield
    await lab.tidy()
    await wait_until(lambda: nobody_is_up(lab), "FreeSWITCH has no call", 10)


async def nobody_is_up(lab: Lab) -> bool:
    assert lab.box.freeswitch is not None
    return (await lab.box.freeswitch.api("show", "channels", "count")).strip().startswith("0 total")


async def silences(calls: dict[str, PhoneCall], since: float) -> dict[str, float]:
    """The longest silence of each call since a moment."""
    found = {}
    for name, call in calls.items():
        lasted_s = time.monotonic() - since
        rate_hz, samples = await call.recorded(lasted_s)
        found[name] = round(longest_silence_s(samples, rate_hz, lasted_s), 2)
    return found


async def in_applications(lab: Lab) -> dict[str, PhoneCall]:
    """A call in each application, all of them with a sound."""
    await lab.phones["207"].behave(refuse=True)
    calls = {
        "menu": await lab.phones["201"].call(MENU),
        "room": await lab.phones["202"].call(ROOM),
        "other in the room": await lab.phones["203"].call(ROOM),
        "on hold": await lab.phones["204"].call(PLACE),
        "queue": await lab.phones["206"].call(QUEUE),
    }
    await calls["menu"].wait_hears(MENU_HZ, timeout_s=10)
    await calls["room"].wait_hears(lab.phones["203"].tone_hz, timeout_s=10)
    await calls["on hold"].wait_hears(MUSIC_HZ, timeout_s=10)
    return calls


async def test_five_versions_within_ten_seconds_cut_nobody_off_and_nobody_hears_silence(lab: Lab) -> None:
    calls = await in_applications(lab)
    message = await lab.phones["205"].call(VOICEMAIL)
    await message.dtmf("#")
    await message.wait_hears(640, timeout_s=15)
    since = time.monotonic()
    await asyncio.sleep(QUIET_S)
    before = await silences(calls, since)
    began = time.monotonic()
    for number in range(1, VERSIONS + 1):
        await publish(lab, document(number))
        await asyncio.sleep(max(0.0, began + number * WITHIN_S / VERSIONS - time.monotonic()))
    during = await silences(calls, began)
    limits = {name: max(SILENCE_MAX_S, alone_s + BUSY_S) for name, alone_s in before.items()}
    assert {name: one.state for name, one in (calls | {"message": message}).items()} == dict.fromkeys(
        [*calls, "message"], "established"
    )
    assert {name: took for name, took in during.items() if took > limits[name]} == {}, (before, during)
    await message.hangup()
    lasted_s = QUIET_S + time.monotonic() - began
    await wait_until(lambda: message_s(lab) >= lasted_s - 2, "the whole message is kept", 10)
    path = max(
        lab.box.layout.voicemail_dir.rglob("msg_*.wav"),
        key=lambda one: one.stat().st_mtime_ns,
    )
    samples, rate_hz = soundfile.read(path)
    assert longest_silence_s(samples, rate_hz, 0.0) < limits["room"]


def message_s(lab: Lab) -> float:
    found = lab.box.layout.voicemail_dir.rglob("msg_*.wav")
    return max((soundfile.info(one).duration for one in found), default=0.0)


async def test_the_calls_that_are_up_are_known_by_their_ids_as_long_as_they_are_up(lab: Lab) -> None:
    """For what they may play, which stays on the disk."""
    applications = Applications(lab.box.settings, lab.box.layout, set_up(io.StringIO()))
    held = await lab.phones["204"].call(PLACE)
    await lab.phones["202"].call(ROOM)
    seen: list[frozenset[str]] = []

    async def are_up(count: int) -> bool:
        seen.append(await applications.calls() or frozenset())
        return len(seen[-1]) == count

    await wait_until(lambda: are_up(2), "both are known", 10)
    both = seen[-1]
    await held.hangup()
    await wait_until(lambda: are_up(1), "one is left", 10)
    assert seen[-1] < both


async def test_a_call_whose_place_is_gone_goes_on_with_what_its_number_leads_to_now(lab: Lab) -> None:
    """It hears its old menu to the end; with the key it looks for a flow that is no more."""
    await publish(lab, document(0))
    call = await lab.phones["201"].call(MENU)
    await call.wait_hears(MENU_HZ, timeout_s=10)
    await publish(lab, document(VERSIONS))
    await call.wait_hears(MENU_HZ)
    await call.dtmf("1")
    await lab.hears(call, "welcome")
    await call.dtmf("1")
    await lab.hears(call, "goodbye")
    await call.wait("closed", 10)


async def test_a_call_whose_number_is_gone_hears_so_and_ends(lab: Lab) -> None:
    call = await lab.phones["201"].call(MENU)
    await lab.hears(call, "welcome")
    without = document(VERSIONS)
    without["applications"] = [one for one in without["applications"] if one["number"] != MENU]
    without["flows"] = [one for one in without["flows"] if one["id"] == "queue"]
    await publish(lab, without)
    await call.dtmf("1")
    await lab.hears(call, "no_such_number")
    await call.wait("closed", 10)


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    assert "\n".join(lab.box.freeswitch.faults()) == ""
