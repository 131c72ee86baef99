"""The line is cut, FreeSWITCH killed and the controller killed while telephones speak: what was said is kept whole and on its
side, half a message is none, lamps tell what is there, and whoever was in no application goes on.

All of it stands at once when it happens (`before`); each test looks at one thing.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import pytest
import pytest_asyncio

from appliance.feature_codes import FEATURES
from tests.lab import recorded
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.sipua import Ua
from tests.lab.site_document import REALM, extension
from tests.lab.standing import Standing, hear_each_other
from tests.lab.watcher import Lamp, Watcher

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

CODES = {feature.id: feature.code for feature in FEATURES}
OWNER, PIN = "202", "40718"
LONG_S = 20.0
SAID_S = 3.0
"""Of a message: FreeSWITCH keeps none of less than two."""

WRITTEN_S = 4.0
"""Of a recording that is cut off by the death of its program: the last seconds are in that program's memory."""

TENANT = pyrage.x25519.Identity.generate()
OWN: dict[str, dict[str, Any]] = {
    OWNER: {"forward_no_answer": "*98202", "no_answer_s": 5},
    "207": {"record": "all"},
}

DESK = {
    "id": "desk",
    "language": "en",
    "nodes": [
        {"id": "desk", "do": "transfer", "number": "208", "unanswered": "bye"},
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    parts = Parts(
        phones=8, cloud_phones=0, gateway=False, carrier=False, freeswitch=True, media=True, control=True
    )
    digest = hashlib.md5(f"{OWNER}:{REALM}:{PIN}".encode(), usedforsecurity=False).hexdigest()
    document = {
        "feature_codes": {"language": "en"},
        "prompts": SHORT,
        "recording": {"recipients": [str(TENANT.to_public())]},
        "applications": [
            {"number": "700", "kind": "flow", "flow": "desk"},
            {"number": "720", "kind": "conference", "language": "en", "record": "all"},
            {"number": "721", "kind": "conference"},
        ],
        "flows": [DESK],
        "mailboxes": [{"number": OWNER, "code_md5": digest, "language": "en"}],
    }
    one = Lab(parts, document)
    one.document["extensions"] = [
        extension(number, password, **OWN.get(number, {})) for number, password in one.passwords.items()
    ]
    one.phones[OWNER] = one.make_phone(OWNER, digits="info")
    async with Standing(one) as lab:
        yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lamp(lab: Standing) -> AsyncIterator[Lamp]:
    """The message lamp of the owner's other telephone."""
    a = lab.lab.addresses
    server = (a.box_lan, 5060)
    async with Ua(OWNER, a.phone(90), server, password=lab.lab.passwords[OWNER], domain=REALM) as telephone:
        yield await Watcher(telephone, a.box_lan).watch(OWNER, "message-summary")


@dataclass
class Before:
    """What goes on: a call between two telephones, of which the second was asking in a room when FreeSWITCH died."""

    placed: PhoneCall
    met: PhoneCall
    told: int
    """NOTIFYs that had come to the lamp."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def before(lab: Standing, lamp: Lamp) -> Before:
    phones, box = lab.phones, lab.lab.box
    await phones[OWNER].behave(answer_after_s=None)
    await lamp.wait_body("Messages-Waiting: no")
    await (await speaks(lab, "201", f"{CODES['voicemail_leave']}{OWNER}")).hangup()
    await lamp.wait_body("Voice-Message: 1/0")
    await lab.line("DOWN")
    await (await speaks(lab, "203", OWNER)).hangup()
    await lamp.wait_body("Voice-Message: 2/0")
    placed, met = await lab.talk("201", "203", "203")
    await met.hold()
    asks = await phones["203"].call("721", LONG_S)
    room = [await phones[number].call("720", LONG_S) for number in ("205", "206")]
    call = await phones["207"].call("700", LONG_S)
    await asyncio.gather(
        hear_each_other(*room, timeout_s=LONG_S),
        hear_each_other(call, await lab.rings("208", LONG_S), timeout_s=LONG_S),
    )
    half = await speaks(lab, "204", f"{CODES['voicemail_leave']}{OWNER}")
    path = next(iter(box.layout.rooms_dir.glob("*.wav")))
    await wait_until(lambda: length_s(path) > WRITTEN_S, "the room is recorded", LONG_S)
    told = len(lamp.told)
    await box.kill("freeswitch")
    for one in (asks, *room, call, half):
        await one.wait("closed", LONG_S)
    await box.start("freeswitch")
    await box.kill("control")
    return Before(placed, met, told)


async def speaks(lab: Standing, caller: str, number: str) -> PhoneCall:
    """A call into the owner's box, once three seconds of it are on the disk."""
    folder = lab.lab.box.layout.voicemail_dir
    there = set(folder.rglob("msg_*.wav"))
    call = await lab.phones[caller].call(number, LONG_S)

    def long_enough() -> bool:
        return any(length_s(path) > SAID_S for path in set(folder.rglob("msg_*.wav")) - there)

    await wait_until(long_enough, f"{caller} has spoken", 2 * LONG_S)
    return call


def length_s(path: Path) -> float:
    """Of a recording that may still grow, by its size and the bytes a second in its header."""
    head = path.read_bytes()[:44]
    return path.stat().st_size / int.from_bytes(head[28:32], "little") if len(head) == 44 else 0.0


def seconds(sound: recorded.Recorded, hz: float) -> float:
    """How long a tone is heard."""
    return sum(end - begin for begin, end in recorded.spans(sound.left, sound.rate_hz, hz))


async def listened(lab: Standing, prefix: str, count: int, folder: Path) -> list[recorded.Recorded]:
    """The recordings whose ids begin so, once there are so many, decrypted."""
    recordings = lab.lab.box.layout.recordings_dir

    def handed_over() -> list[Path]:
        found = [path.with_suffix(".age") for path in recordings.glob("*.json")]
        rooms_and_messages = ("room-", "vm-")
        return [
            path
            for path in found
            if (path.name.startswith(prefix) if prefix else not path.name.startswith(rooms_and_messages))
        ]

    await wait_until(lambda: len(handed_over()) >= count, f"{count} recordings {prefix}", 60, 0.2)
    made = []
    for path in handed_over():
        plain = folder / f"{path.stem}.ogg"
        pyrage.decrypt_file(str(path), str(plain), [TENANT])
        made.append(recorded.load(plain))
    return made


async def test_the_message_lamp_shows_the_same_before_and_afterwards_and_not_the_half_message(
    lamp: Lamp, before: Before
) -> None:
    later = await lamp.watcher.watch(OWNER, "message-summary")
    await later.wait_body("Voice-Message: 2/0")
    await later.renew(0)
    said = {message.body for _, message in lamp.told[before.told - 1 :]}
    assert all("Voice-Message: 2/0" in body for body in said), said


async def test_a_recorded_room_s_sound_until_then_is_kept(lab: Standing, tmp_path: Path) -> None:
    (room,) = await listened(lab, "room-", 1, tmp_path)
    assert room.length_s > WRITTEN_S
    for number in ("205", "206"):
        assert seconds(room, lab.phones[number].tone_hz) > WRITTEN_S / 2, number
    assert list(lab.lab.box.layout.rooms_dir.iterdir()) == [], "nothing stays in the clear"


async def test_a_recorded_call_s_sound_until_then_is_kept_on_its_sides(lab: Standing, tmp_path: Path) -> None:
    (call,) = await listened(lab, "", 1, tmp_path)
    for channel, number, other in ((call.left, "207", "208"), (call.right, "208", "207")):
        assert recorded.spans(channel, call.rate_hz, lab.phones[number].tone_hz), number
        assert not recorded.spans(channel, call.rate_hz, lab.phones[other].tone_hz), other


async def test_who_was_held_while_a_colleague_asked_there_is_transferred_afterwards_after_asking_again(
    lab: Standing, before: Before
) -> None:
    """The room in which he asked had died under him, and the controller is dead by now."""
    placed, met = before.placed, before.met
    await met.resume()
    await hear_each_other(placed, met, timeout_s=LONG_S)
    inside = await lab.phones["204"].call("721", LONG_S)
    await met.hold()
    asks = await lab.phones["203"].call("721", LONG_S)
    await hear_each_other(asks, inside, timeout_s=LONG_S)
    await asks.hold()
    await met.transfer_to(asks)
    await lab.meet("201", "204", timeout_s=LONG_S)
    await lab.phones["201"].current().hangup()
    await inside.hangup()


async def test_whole_messages_are_handed_over_and_the_half_one_is_not(lab: Standing, tmp_path: Path) -> None:
    sounds = await listened(lab, "vm-", 2, tmp_path)
    assert sorted(speakers(lab, sound) for sound in sounds) == [["201"], ["203"]]


def speakers(lab: Standing, sound: recorded.Recorded) -> list[str]:
    """Whose tones are in a recording."""
    return [number for number, phone in lab.phones.items() if seconds(sound, phone.tone_hz) > 0]


def said(lab: Standing) -> dict[str, float]:
    """Who left a message, and the seconds of it that are stored."""
    sounds = [recorded.load(path) for path in lab.lab.box.layout.voicemail_dir.rglob("msg_*.wav")]
    return {
        number: seconds(sound, lab.phones[number].tone_hz)
        for sound in sounds
        for number in speakers(lab, sound)
    }


async def hears_whole(call: PhoneCall, hz: float, said_s: float) -> None:
    """The tone is heard for as long as it was said; a jitter buffer may drop some."""
    assert said_s > SAID_S - 0.5
    heard_s = 0.0

    async def whole() -> bool:
        nonlocal heard_s
        rate_hz, samples = await call.recorded()
        heard_s = seconds(recorded.Recorded(rate_hz, samples, samples), hz)
        return heard_s > 0.9 * said_s

    await wait_until(whole, f"{hz} Hz for {said_s:.1f} s", 2 * LONG_S, 0.25)
    assert heard_s < said_s + 0.5


async def test_the_owner_hears_both_messages_whole_by_keys_of_sip_info_and_the_lamp_follows(
    lab: Standing, lamp: Lamp
) -> None:
    said_s = said(lab)
    owner = await lab.phones[OWNER].call(CODES["voicemail_own"], LONG_S)
    await lab.hears(owner, "vm_enter_pin")
    await owner.dtmf(f"{PIN}#")
    await lab.hears(owner, "vm_message")
    await owner.dtmf("1")  # never mind when it came
    for number, key, acknowledged in (("201", "2", "vm_saved"), ("203", "7", "vm_deleted")):
        await hears_whole(owner, lab.phones[number].tone_hz, said_s[number])
        await owner.dtmf(key)
        await lab.hears(owner, acknowledged)
    await owner.hangup()
    await lamp.wait_body("Voice-Message: 0/1")


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Standing) -> None:
    assert lab.lab.box.freeswitch is not None
    assert "\n".join(lab.lab.box.freeswitch.faults()) == ""
