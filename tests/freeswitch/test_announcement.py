"""Callers are told that a call is recorded before anybody is rung; what was not announced is not recorded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.cdr import CallBook
from agent.journal_events import JournalEvent, Kind, Moment
from agent.journal_reader import Cursor, read_page
from appliance.media.naming import parse_capture_name, recording_stem
from cloudsync.wire import cdr_with_empty
from tests.lab.gateway import GatewayCall
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import SITE
from tests.lab.standing import Standing, hear_each_other, lets_go

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]

LONG_S = 20.0
OUTSIDE = "0398765432"
CALLED_OUTSIDE = "0312345678"
FLOW = {
    "id": "desk",
    "language": "en",
    "nodes": [
        {"id": "desk", "do": "transfer", "number": "201", "unanswered": "bye"},
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}
TELLING = {
    "id": "telling",
    "language": "en",
    "nodes": [
        {"id": "tell", "do": "record_announce", "prompts": ["recorded"], "next": "desk"},
        *FLOW["nodes"],  # type: ignore[misc]
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    parts = Parts(phones=3, cloud_phones=0, freeswitch=True)
    document = {
        "feature_codes": {"language": "en"},
        "recording": {"announce": "outside_callers"},
        "refusals": "plain",
        "prompts": [
            {"id": "recorded", "en": "We record."},
            {"id": "ours", "en": "Somebody writes down what we say."},
            {"id": "ref_busy", "en": "Busy here."},
        ],
        "applications": [
            {"number": "700", "kind": "flow", "flow": "desk", "public_number": "+81312340700"},
            {"number": "701", "kind": "flow", "flow": "telling", "public_number": "+81312340701"},
        ],
        "flows": [FLOW, TELLING],
    }
    async with Standing(Lab(parts, document)) as lab:
        await lab.publish({"201": {"record": "all"}})
        lab.keep_document()
        yield lab


def sentence(lab: Standing, name: str = "call_recorded") -> Path:
    return lab.lab.prompt(name)


async def from_outside(lab: Standing, number: str = "201") -> GatewayCall:
    return await lab.lab.gateway.dial(f"sip:0312340{number}@{lab.lab.addresses.box_lan}:5060", OUTSIDE)


def coming(lab: Standing, number: str) -> list[PhoneCall]:
    return [one for one in lab.phones[number].calls if one.incoming and one.state != "closed"]


async def speak(lab: Standing, came: GatewayCall, met: PhoneCall) -> None:
    await came.wait_hears(met.phone.tone_hz, timeout_s=LONG_S)
    await met.wait_hears(lab.lab.gateway.tone_hz, timeout_s=LONG_S)


def journal(lab: Standing) -> list[JournalEvent]:
    rows: list[JournalEvent] = []
    cursor = Cursor()
    while True:
        page = read_page(lab.lab.box.layout.journal, cursor)
        rows, cursor = [*rows, *page.events], page.cursor
        if not page.more:
            return rows


def captured(lab: Standing) -> set[str]:
    """Stems of the recordings that rtpengine has captured."""
    names = (path.name for path in lab.lab.box.layout.pcaps_dir.glob("*.pcap"))
    return {recording_stem(parse_capture_name(name)[0]) for name in names}


async def record(lab: Standing, call: PhoneCall | None = None) -> dict[str, Any]:
    """The record of a call that is over, as the agent makes it; the newest where none is named."""

    def ended() -> list[JournalEvent]:
        rows = journal(lab)
        begun, over = ([row for row in rows if row.kind is kind] for kind in (Kind.START, Kind.END))
        return rows if sorted(row.call for row in begun) == sorted(row.call for row in over) else []

    rows = await wait_until(ended, "every leg's end is in the journal", LONG_S, 0.2)
    book = CallBook(SITE, "b")
    made = [record for row in rows for record in book.apply(row)]
    at = rows[-1].at
    made += book.tick(Moment(at.boot_id, at.mono_ms + 60_000, at.wall_ms + 60_000))
    bodies = [cdr_with_empty(one.body) for one in made if one.kind == "cdr"]
    if call is not None:
        # The last of them: one that was asked for a password has a record of its own.
        return [body for body in bodies if body["call_id"] == call.call_id][-1]
    return max(bodies, key=lambda body: str(body["start_utc"]))


def told(body: dict[str, Any]) -> tuple[bool, str]:
    return body["announced"], body["recording_refused"]


@pytest.mark.parametrize("state", ["UP", "DOWN"])
async def test_an_outside_caller_hears_it_before_the_called_telephone_rings(
    lab: Standing, state: str
) -> None:
    await lab.line(state)
    came = await from_outside(lab)
    await came.wait("answered", LONG_S)
    assert coming(lab, "201") == [], "the telephone rings while the caller is still told"
    await came.wait_hears_prompt(sentence(lab), LONG_S)
    met = await lab.rings("201", LONG_S)
    await speak(lab, came, met)
    assert met.peer.startswith(f"sip:{OUTSIDE}@")
    await met.hangup()
    await came.wait("ended", LONG_S)
    body = await record(lab)
    assert told(body) == (True, "")
    assert (body["direction"], body["dialled"], body["answered_by"]) == ("in", "0312340201", "201")
    assert len(body["recordings"]) == 1
    assert set(body["recordings"]) <= captured(lab)


async def test_who_calls_by_a_cloud_that_controls_calls_is_told_before_the_answer(lab: Standing) -> None:
    await lab.lab.cloud.public_number("+81312340201", "201")
    came = await lab.lab.carrier.dial(f"sip:+81312340201@{lab.lab.addresses.cloud_inside}:5060", OUTSIDE)
    met = await lab.rings("201", LONG_S)
    await came.wait("answered", LONG_S)
    await came.wait_hears(met.phone.tone_hz, timeout_s=LONG_S)
    await came.hangup()
    body = await record(lab)
    assert (told(body), body["legs"]) == ((True, ""), [])
    assert [(step["target"], step["outcome"]) for step in body["route"]] == [
        ("recording", "done"),
        ("", "answered"),
    ]


async def test_a_colleague_does_not_hear_it_and_is_recorded_as_before(lab: Standing) -> None:
    placed = await lab.phones["202"].call("201", LONG_S)
    await hear_each_other(placed, lab.phones["201"].current(), timeout_s=LONG_S)
    await placed.hangup()
    body = await record(lab)
    assert [step["target"] for step in body["route"] if step["kind"] == "media"] == []
    assert told(body) == (False, "")
    assert set(body["recordings"]) <= captured(lab) and body["recordings"]


async def test_an_outside_caller_of_a_busy_telephone_is_told_so(lab: Standing) -> None:
    await lab.phones["201"].behave(refuse=True)
    came = await from_outside(lab)
    await came.wait("answered", LONG_S)
    await came.wait_hears_prompt(sentence(lab, "ref_busy"), LONG_S)
    await came.wait("ended", LONG_S)


async def test_whom_a_flow_has_told_already_is_not_told_twice(lab: Standing) -> None:
    untold = await from_outside(lab, "700")
    await untold.wait_hears_prompt(sentence(lab), LONG_S)
    await speak(lab, untold, await lab.rings("201", LONG_S))
    await untold.hangup()
    assert told(await record(lab)) == (True, "")
    came = await from_outside(lab, "701")
    met = await lab.rings("201", LONG_S)
    await speak(lab, came, met)
    with pytest.raises(AssertionError):
        await came.wait_hears_prompt(sentence(lab), 0.1)
    await came.hangup()
    body = await record(lab)
    assert told(body) == (True, "") and len(body["recordings"]) == 1
    assert sum(step["target"] == "recording" for step in body["route"]) == 0


async def test_everybody_is_told_inside_and_outside_and_a_call_for_help_waits_for_nothing(
    lab: Standing,
) -> None:
    await lab.publish({"201": {"record": "all", "max_calls": 1}}, recording={"announce": "everybody"})
    placed = await lab.phones["202"].dial("201")
    await placed.wait_hears_prompt(sentence(lab), LONG_S)
    await placed.wait("established", LONG_S)
    await hear_each_other(placed, lab.phones["201"].current(), timeout_s=LONG_S)
    await placed.hangup()
    body = await record(lab)
    assert (told(body), body["legs"]) == ((True, ""), []), "a call between telephones stays one call"
    assert set(body["recordings"]) <= captured(lab) and body["recordings"]
    await lab.phones["201"].behave(refuse=True)
    busy = await lab.phones["202"].dial("201")
    await busy.wait("closed", LONG_S)
    assert busy.code == 486
    await lab.phones["201"].behave()
    liar = await lab.phones["202"].dial("700", {"X-Kyusai-Announced": "yes"})
    await liar.wait_hears_prompt(sentence(lab), LONG_S)
    await hear_each_other(liar, await lab.rings("201", LONG_S), timeout_s=LONG_S)
    await liar.hangup()
    await lab.line("DOWN")
    outward = await lab.phones["201"].dial(CALLED_OUTSIDE)
    await outward.wait_hears_prompt(sentence(lab), LONG_S)
    asked = await lab.at_gateway(timeout_s=LONG_S)
    await asked.wait_hears_prompt(sentence(lab), LONG_S)
    await outward.wait("established", LONG_S)
    await outward.wait_hears(lab.lab.gateway.tone_hz, timeout_s=LONG_S)
    await asked.wait_hears(lab.phones["201"].tone_hz, timeout_s=LONG_S)
    assert asked.caller == "0312340201", "the trunk sees the telephone's own number"
    another = await lab.phones["201"].dial(CALLED_OUTSIDE)
    await another.wait("closed", LONG_S)
    assert another.code == 403, "the call counts against the limit of who placed it"
    await outward.hangup()
    body = await record(lab, outward)
    assert told(body) == (True, "") and len(body["recordings"]) == 1
    help_ = await lab.phones["201"].call("119", LONG_S)
    await help_.wait_hears(lab.lab.gateway.tone_hz, timeout_s=LONG_S)
    await help_.hangup()
    body = await record(lab)
    assert body["emergency"] and not body["announced"]
    assert [step["kind"] for step in body["route"]] == ["gateway"]


async def both_are_told(lab: Standing, *calls: PhoneCall | GatewayCall) -> None:
    """Both sides hear the sentence, and each other after it."""
    await asyncio.gather(*(one.wait_hears_prompt(sentence(lab), LONG_S) for one in calls))
    one, two = calls
    tones = [(call.gateway if isinstance(call, GatewayCall) else call.phone).tone_hz for call in calls]
    await asyncio.gather(
        one.wait_hears(tones[1], timeout_s=LONG_S), two.wait_hears(tones[0], timeout_s=LONG_S)
    )


async def test_who_answers_or_joins_without_knowing_is_told_and_recorded_from_then_on(lab: Standing) -> None:
    await lab.publish({"201": {"record": "all"}}, recording={"announce": "everybody"})
    placed = await lab.phones["201"].call("202", LONG_S)
    answered = lab.phones["202"].current()
    before = captured(lab)
    await both_are_told(lab, placed, answered)
    await placed.hangup()
    body = await record(lab, placed)
    assert told(body) == (True, "")
    assert set(body["recordings"]) <= captured(lab) - before and body["recordings"], (
        "recorded before the sentence"
    )

    await lab.phones["203"].call("202", LONG_S)
    met = lab.phones["202"].current()
    await met.hold()
    asked = await lab.phones["202"].call("201", LONG_S)
    await asked.hold()
    await lets_go(met, met.transfer_to(asked), LONG_S)
    joined = lab.phones["203"].current()
    await both_are_told(lab, joined, lab.phones["201"].current())
    await joined.hangup()
    body = await record(lab, joined)
    assert told(body) == (True, "") and body["recordings"], "whoever was transferred is told"

    await lab.line("DOWN")
    await lab.publish({"201": {"record": "all", "forward_always": CALLED_OUTSIDE}})
    placed = await lab.phones["202"].dial("201")
    outside = await lab.at_gateway(timeout_s=LONG_S)
    await both_are_told(lab, placed, outside)
    await placed.hangup()
    body = await record(lab, placed)
    assert told(body) == (True, "") and body["recordings"], "to whom it is forwarded is told"


@pytest.mark.parametrize("state", ["UP", "DOWN"])
async def test_who_picks_a_recorded_call_up_is_told(lab: Standing, state: str) -> None:
    group = {number: {"pickup_group": "1"} for number in lab.phones}
    await lab.publish(
        group | {"201": {"record": "all", "pickup_group": "1"}}, recording={"announce": "everybody"}
    )
    await lab.line(state)
    await lab.phones["201"].behave(answer_after_s=None)
    placed = await lab.phones["202"].dial("201")
    await placed.wait_hears_prompt(sentence(lab), LONG_S)
    await lab.rings("201", LONG_S)
    picked = await lab.phones["203"].call("*8201", LONG_S)
    await both_are_told(lab, placed, picked)
    await placed.hangup()
    body = await record(lab, placed)
    assert told(body) == (True, "") and body["recordings"], "whoever picks up is told"


async def test_a_telephone_that_its_cloud_asks_for_a_password_is_told_and_recorded_too(lab: Standing) -> None:
    await lab.publish(
        {"201": {"record": "all"}}, recording={"announce": "everybody"}, upstream_auth="passthrough"
    )
    await lab.lab.cloud.passthrough(lab.lab.passwords)
    try:
        placed = await lab.phones["201"].dial(CALLED_OUTSIDE)
        outside = await lab.at_gateway(lab.lab.carrier, LONG_S)
        await placed.wait("established", LONG_S)
        await both_are_told(lab, placed, outside)
        await placed.hangup()
        body = await record(lab, placed)
        assert told(body) == (True, "") and body["recordings"]
        inside = await lab.phones["202"].call("201", LONG_S)
        await both_are_told(lab, inside, lab.phones["201"].current())
        await inside.hangup()
        body = await record(lab, inside)
        assert told(body) == (True, "") and body["recordings"]
    finally:
        await lab.lab.cloud.passthrough({})


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Standing) -> None:
    assert lab.lab.box.freeswitch is not None
    assert "\n".join(lab.lab.box.freeswitch.faults()) == ""


async def test_a_sentence_without_its_audio_is_not_taken_for_said(lab: Standing) -> None:
    await lab.publish(recording={"announce": "outside_callers", "announce_prompt": "ours"})
    assert lab.lab.box.freeswitch is not None
    assert (await lab.lab.box.freeswitch.api("reloadxml")).startswith("+OK")
    came = await from_outside(lab)
    await came.wait_hears_prompt(sentence(lab, "ours"), LONG_S)
    await lab.rings("201", LONG_S)
    await came.hangup()
    assert told(await record(lab)) == (True, "")
    sentence(lab, "ours").unlink()
    before = captured(lab)
    came = await from_outside(lab)
    await speak(lab, came, await lab.rings("201", LONG_S))
    await came.hangup()
    assert told(await record(lab)) == (False, "unannounced")
    assert captured(lab) == before


async def test_without_freeswitch_both_are_told_after_the_answer_or_the_call_is_not_recorded(
    lab: Standing,
) -> None:
    await lab.lab.box.kill("freeswitch")
    audio = sentence(lab)
    aside = audio.rename(audio.with_suffix(".aside"))
    before = captured(lab)
    came = await from_outside(lab)
    met = await lab.rings("201", LONG_S)
    await speak(lab, came, met)
    await came.hangup()
    aside.rename(audio)
    body = await record(lab)
    assert told(body) == (False, "unannounced")
    assert (body["disposition"], body["recordings"]) == ("answered", [])
    assert captured(lab) == before

    came = await from_outside(lab)
    met = await lab.rings("201", LONG_S)
    await asyncio.gather(
        came.wait_hears_prompt(sentence(lab), LONG_S), met.wait_hears_prompt(sentence(lab), LONG_S)
    )
    await speak(lab, came, met)
    await came.hangup()
    body = await record(lab)
    assert told(body) == (True, "")
    assert len(body["recordings"]) == 1 and set(body["recordings"]) <= captured(lab) - before
