"""Applications between telephones: dial by name, and what callers and called can ask of the box."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import soundfile

from tests.lab import tones
from tests.lab.freeswitch import SHORT
from tests.lab.gateway import GatewayCall
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import extension

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]

PEOPLE = {
    "202": {"display": "Sato Haruka", "kana": "さとう はるか", "screening": "outside"},
    "203": {"display": "Sato Ken", "kana": "さとう けん"},
    "204": {"display": "Suzuki Mei", "kana": "すずき めい"},
}

INFO = ("202", "203")
"""Send their digits as SIP INFO, the others as RFC 4733."""

ROOM_S = 3.0
"""Of a room's recording, counted from when both were heard in the room."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=4, cloud_phones=0, cloud=False, carrier=False, freeswitch=True)
    document = {
        "call_control": "local",
        "feature_codes": {"language": "en"},
        "applications": [
            {"number": "710", "kind": "directory", "language": "en"},
            {"number": "711", "kind": "directory", "language": "ja"},
            {"number": "730", "kind": "parking"},
            {"number": "720", "kind": "conference", "language": "en", "record": "all"},
            {"number": "721", "kind": "conference", "language": "en", "record": "key"},
        ],
        "prompts": [
            *SHORT,
            {"id": "our_music", "en": "This is the music of our house, which we like very much."},
        ],
        "music_on_hold": "our_music",
        "mailboxes": [{"number": "202", "code_md5": "0" * 32, "language": "en"}],
    }
    lab = Lab(parts, document)
    lab.document["extensions"] = [
        extension(number, password, **PEOPLE.get(number, {})) for number, password in lab.passwords.items()
    ]
    for number in INFO:
        lab.phones[number] = lab.make_phone(number, digits="info")
    async with lab:
        yield lab


def tone(lab: Lab, number: str) -> int:
    return lab.phones[number].tone_hz


async def test_letters_find_two_people_and_the_second_is_called(lab: Lab) -> None:
    call = await lab.phones["201"].call("710")
    await lab.hears(call, "dir_spell")
    await call.dtmf("728")
    await lab.hears(call, "name-203")
    await call.dtmf("2")
    await call.wait_hears(tone(lab, "202"), timeout_s=15)
    assert lab.phones["202"].current().peer.startswith("sip:201@")


async def test_a_reading_is_found_by_the_rows_of_its_kana(lab: Lab) -> None:
    call = await lab.phones["203"].call("711")
    await lab.hears(call, "dir_spell", "ja")
    await call.dtmf("332")
    await lab.hears(call, "name-204", "ja")
    await call.dtmf("1")
    await call.wait_hears(tone(lab, "204"), timeout_s=15)


async def test_whoever_is_not_in_the_directory_is_not_found_and_the_caller_is_asked_again(lab: Lab) -> None:
    call = await lab.phones["201"].call("710")
    await lab.hears(call, "dir_spell")
    await call.dtmf("999")
    await lab.hears(call, "dir_nobody")
    await call.dtmf(
        "999728#"
    )  # the next name during the word on a wrong one, and an end key behind three digits
    await lab.hears(call, "name-203")
    await call.dtmf("2")
    await call.wait_hears(tone(lab, "202"), timeout_s=15)


async def test_a_caller_who_cannot_be_connected_hears_why_before_the_code(lab: Lab) -> None:
    await lab.phones["204"].behave(refuse=True)
    await lab.phones["203"].unregister()
    for dialled, said, code in (
        ("299", "no_such_number", 404),
        ("0101234567890", "ref_not_permitted", 403),
        ("204", "ref_busy", 486),
        ("203", "ref_unreachable", 480),
    ):
        call = await lab.phones["201"].dial(dialled)
        await lab.hears(call, said)
        await call.wait("closed", 15)
        assert (call.code, "established" in call.times) == (code, False), dialled
    await lab.phones["203"].register()
    await lab.publish(refusals="plain")
    plain = await lab.phones["201"].dial("299")
    await plain.wait("closed", 5)
    assert (plain.code, "progress" in plain.times) == (404, False)
    await lab.publish(refusals="spoken")


async def screened(lab: Lab, count: int) -> tuple[GatewayCall, PhoneCall]:
    """Somebody outside calls 202, says his name (a tone), and 202 begins to be asked."""
    uri = f"sip:+81312340202@{lab.addresses.box_lan}:5060"
    outside = await lab.gateway.dial(uri, "0398765432")
    met = await lab.phones["202"].wait_incoming(count, timeout_s=25)
    await lab.hears(met, "scr_call_from")
    return outside, met


async def test_a_called_person_hears_who_it_is_and_accepts_refuses_or_sends_to_voicemail(lab: Lab) -> None:
    before = len([one for one in lab.phones["202"].calls if one.incoming])
    outside, met = await screened(lab, before + 1)
    await met.wait_hears(lab.gateway.tone_hz, timeout_s=10)
    await lab.hears(met, "scr_choose")
    await met.dtmf("1")
    await met.wait_hears(lab.gateway.tone_hz, timeout_s=10)
    await outside.wait_hears(tone(lab, "202"), timeout_s=10)
    await outside.hangup()
    await met.wait("closed", 10)

    outside, met = await screened(lab, before + 2)
    await met.dtmf("2")
    await met.wait("closed", 10)
    await outside.wait("ended", 15)

    outside, met = await screened(lab, before + 3)
    await met.dtmf("3")
    await met.wait("closed", 10)
    folder = lab.box.layout.voicemail_dir
    await wait_until(lambda: list(folder.rglob("msg_*.wav")), "a message begins", 30)
    await outside.hangup()

    inside = await lab.phones["201"].call("202")
    await inside.wait_hears(tone(lab, "202"), timeout_s=10)


async def test_three_talk_in_an_extension_s_room_and_two_go_on_when_one_leaves(lab: Lab) -> None:
    for other in ("203", "204"):
        await lab.phones["201"].call(other)
        await lab.phones["201"].current().transfer("*30201")
    host = await lab.phones["201"].call("*30201")
    others = [lab.phones[number].current() for number in ("203", "204")]
    await host.wait_hears(tone(lab, "203"), tone(lab, "204"), timeout_s=15)
    await others[0].wait_hears(tone(lab, "201"), tone(lab, "204"), timeout_s=10)
    await others[1].wait_hears(tone(lab, "201"), tone(lab, "203"), timeout_s=10)
    await host.hangup()
    await others[0].wait_hears(tone(lab, "204"), timeout_s=10)
    await others[1].wait_hears(tone(lab, "203"), timeout_s=10)


async def test_a_room_is_recorded_by_policy_or_by_key_and_whoever_enters_is_told(lab: Lab) -> None:
    rooms = lab.box.layout.rooms_dir
    for number, told in (("720", "room_recorded"), ("721", "room_recordable")):
        before = set(rooms.glob("*.wav"))
        first = await lab.phones["201"].call(number)
        await lab.hears(first, told)
        second = await lab.phones["203"].call(number)
        await first.wait_hears(tone(lab, "203"), timeout_s=20)
        if number == "721":
            assert set(rooms.glob("*.wav")) == before
            await first.dtmf("*1")
        await wait_until(lambda: set(rooms.glob("*.wav")) - before, "the recording begins", 10)  # noqa: B023
        (path,) = set(rooms.glob("*.wav")) - before
        begun_s = length_s(path)
        await wait_until(lambda: length_s(path) > begun_s + ROOM_S, "it grows", 20)  # noqa: B023
        if number == "721":
            await second.dtmf("*2")
            await wait_until(lambda: rests(path), "it has stopped", 15)  # noqa: B023
        await second.hangup()
        await first.hangup()

        def both() -> bool:
            samples, rate_hz = soundfile.read(path, always_2d=True)  # noqa: B023
            whole, size = samples.mean(axis=1), rate_hz // 2
            pieces = (whole[begin : begin + size] for begin in range(0, len(whole) - size, size))
            wanted = (tone(lab, "201"), tone(lab, "203"))
            return any(
                tones.only(found, wanted) for piece in pieces if (found := tones.heard(piece, rate_hz))
            )

        await wait_until(both, f"both are in the recording of {number}", 10, 0.5)


def length_s(path: Path) -> float:
    """Of a recording that still grows, by its size and the bytes a second in its header."""
    head = path.read_bytes()[:44]
    return path.stat().st_size / int.from_bytes(head[28:32], "little") if len(head) == 44 else 0.0


async def rests(path: Path) -> bool:
    """Whether a recording does not grow."""
    before = path.stat().st_size
    await asyncio.sleep(1)
    return path.stat().st_size == before


async def test_a_busy_telephone_is_called_for_the_caller_when_both_are_free_unless_he_cancels(
    lab: Lab,
) -> None:
    talk = await lab.phones["203"].call("204")
    await lab.phones["204"].behave(refuse=True)
    before = len([one for one in lab.phones["201"].calls if one.incoming])
    for code, said in (("*66", "callback_set"), ("*68", "callback_cancelled"), ("*66", "callback_set")):
        busy = await lab.phones["201"].dial("204")
        await busy.wait("closed", 20)
        order = await lab.phones["201"].call(code)
        await lab.hears(order, said)
        await order.wait("closed", 10)
    assert len([one for one in lab.phones["201"].calls if one.incoming]) == before
    await lab.phones["204"].behave(answer_after_s=0.0)
    await talk.hangup()
    ringing = await lab.phones["201"].wait_incoming(before + 1, timeout_s=60)
    await ringing.wait("established", 10)
    await ringing.wait_hears(tone(lab, "204"), timeout_s=15)
    assert lab.phones["204"].current().peer.startswith("sip:201@")


async def test_a_parked_caller_hears_the_site_s_own_music(lab: Lab) -> None:
    call = await lab.phones["201"].call("730")
    await lab.hears(call, "our_music")


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    assert "\n".join(lab.box.freeswitch.faults()) == ""
