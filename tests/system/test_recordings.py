"""Recorded calls as the centre gets them: who spoke, on which side, when, in every codec and encryption, through hold, change
of codec and transfer, by way of the cloud and with the line cut.

All calls are made once, at the beginning, some at a time; each test looks at the recordings of one of them.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.lab import g711, g722, recorded
from tests.lab.box import kyusai
from tests.lab.lab import Lab, Parts
from tests.lab.phone import Phone, PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM
from tests.lab.standing import hear_each_other
from tests.lab.talker import Talker

pytestmark = pytest.mark.asyncio(loop_scope="module")

RIGHT_S = 0.1
"""How far from its true time something may be heard."""

STACK_S = 0.35
"""A telephone's own start of audio after the answer, or after it resumes: its stack opens the stream anew."""

TALK_S = 0.7
SILENCE_S = 1.0
ARRIVE_S = 90.0

ALL = ("opus/48000/2", "g722/16000/1", "pcma", "pcmu")
PHONES: dict[str, dict[str, Any]] = {
    "201": {"codecs": ("pcmu",)},
    "202": {"codecs": ("pcma",)},
    "203": {"codecs": ("g722/16000/1", "pcmu")},
    "204": {"codecs": ("opus/48000/2", "pcmu")},
    "205": {"codecs": ALL},
    "206": {"codecs": ALL},
    "207": {"codecs": ALL},
    "208": {"codecs": ALL},
    "209": {"transport": "tls", "encryption": "sdes"},
    "210": {"transport": "tls", "encryption": "sdes"},
    "211": {"transport": "ws", "encryption": "webrtc", "codecs": ("opus/48000/2", "pcmu")},
}
TALKERS = ("212", "213")
PORTS = {"tls": 5061, "ws": 5062}

HELD = {
    "G.711 mu-law": ("201", "205"),
    "G.711 A-law": ("202", "206"),
    "G.722": ("203", "207"),
    "Opus": ("204", "208"),
    "SRTP caller": ("209", "205"),
    "SRTP callee": ("202", "210"),
    "SRTP both": ("210", "209"),
    "browser calls": ("211", "206"),
    "browser is called": ("208", "211"),
}
ROUNDS = (
    ("G.711 mu-law", "G.711 A-law", "G.722", "Opus"),
    ("SRTP caller", "SRTP callee", "browser calls"),
    ("SRTP both", "browser is called"),
)
WIDEBAND = {"G.722", "Opus", "browser calls", "browser is called", "codec change"}
TRANSFERS = ("blind transfer", "attended transfer")

RETENTION = {
    "retention": [{"class": "short", "days": 30}, {"class": "long", "days": 3650}],
    "retention_rules": [{"class": "short", "extension": "211"}, {"class": "long"}],
}

Edge = tuple[float, float]
"""The moment of a change in ``time.monotonic`` seconds: not before, not after."""


@dataclass
class Expected:
    """One recording. left, right: when its sides speak, each span by its two edges."""

    call_id: str
    left_hz: int
    right_hz: int
    left: list[tuple[Edge, Edge]] = field(default_factory=list)
    right: list[tuple[Edge, Edge]] = field(default_factory=list)


@dataclass
class Made:
    """What was said, and what the centre has of it. wall_s: Unix time at monotonic 0."""

    lab: Lab
    expected: dict[tuple[str, str], list[Expected]] = field(default_factory=dict)
    stored: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    wall_s: float = field(default_factory=lambda: time.time() - time.monotonic())


class Site:
    """The lab's telephones as the calls need them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        a = lab.addresses
        self.talkers = {
            number: Talker(
                number,
                a.phone(60 + index),
                (a.box_lan, 5060),
                password=lab.passwords[number],
                domain=REALM,
                tone_hz=1310 + 120 * index,
                payloads=(g711.PCMU, g711.PCMA, g722.G722),
            )
            for index, number in enumerate(TALKERS)
        }

    def phone(self, number: str) -> Phone:
        return self.lab.phones[number]

    async def talk(self, caller: str, callee: str) -> tuple[PhoneCall, PhoneCall, Edge]:
        """A call that is up; when its audio began."""
        placed = await self.phone(caller).call(callee)
        met = self.phone(callee).current()
        await hear_each_other(placed, met)
        return placed, met, (met.times["incoming"], placed.times["established"] + STACK_S)

    async def held(self, caller: str, callee: str) -> list[Expected]:
        """The callee holds in mid-call, and both are silent."""
        placed, met, begun = await self.talk(caller, callee)
        await asyncio.sleep(TALK_S)
        stopped = await edge(met.hold())
        await asyncio.sleep(SILENCE_S)
        resumed = await edge(met.resume())
        await hear_each_other(placed, met)
        await asyncio.sleep(TALK_S)
        ended = await edge(placed.hangup())
        spans = [(begun, stopped), ((resumed[0], resumed[1] + STACK_S), ended)]
        return [self.recording(placed.call_id, caller, callee, spans)]

    async def blind_transfer(self) -> list[Expected]:
        """201 talks with 205, who passes it on to 206."""
        placed, met, begun = await self.talk("201", "205")
        await asyncio.sleep(TALK_S)
        passed = await edge(met.transfer("206"))
        new, other = self.phone("201").current(), self.phone("206").current()
        await hear_each_other(new, other)
        await placed.wait("closed")
        ended_first = (passed[0], time.monotonic())
        await asyncio.sleep(TALK_S)
        ended = await edge(new.hangup())
        first = [(begun, ended_first)]
        second = [((passed[0], new.times["established"] + STACK_S), ended)]
        return [
            self.recording(placed.call_id, "201", "205", first),
            self.recording(new.call_id, "201", "206", second),
        ]

    async def attended_transfer(self) -> list[Expected]:
        """202 talks with 207, who asks 208 and then joins the two."""
        placed, met, begun = await self.talk("202", "207")
        await asyncio.sleep(TALK_S)
        stopped = await edge(met.hold())
        asked, answered, asked_from = await self.talk("207", "208")
        await asyncio.sleep(TALK_S)
        asked_to = await edge(asked.hold())
        passed = await edge(met.transfer_to(asked))
        new = self.phone("202").current()
        joined = self.phone("208").current()
        await hear_each_other(new, joined)
        await answered.wait("closed")
        await asyncio.sleep(TALK_S)
        ended = await edge(new.hangup())
        return [
            self.recording(placed.call_id, "202", "207", [(begun, stopped)]),
            self.recording(asked.call_id, "207", "208", [(asked_from, asked_to)]),
            self.recording(
                new.call_id, "202", "208", [((passed[0], new.times["established"] + STACK_S), ended)]
            ),
        ]

    async def codec_change(self) -> list[Expected]:
        """Two telephones whose every packet is known change from mu-law to A-law to G.722; one is silent for a while."""
        one, two = (self.talkers[number] for number in TALKERS)
        await one.call("213")
        await asyncio.sleep(TALK_S)
        await one.change(g711.PCMA)
        await asyncio.sleep(TALK_S)
        await two.change(g722.G722)
        await asyncio.sleep(TALK_S)
        await one.change(direction="inactive")
        await asyncio.sleep(SILENCE_S)
        await one.change()
        await asyncio.sleep(TALK_S)
        await one.hangup()
        await wait_until(lambda: two.ended, "the other side has heard of the end")
        streams = [talker.stream for talker in (one, two)]
        left, right = ([((a, a), (b, b)) for a, b in stream.said] for stream in streams if stream)
        return [Expected(one.call_id, one.tone_hz, two.tone_hz, left, right)]

    def recording(self, call_id: str, left: str, right: str, spans: list[tuple[Edge, Edge]]) -> Expected:
        tones_hz = self.phone(left).tone_hz, self.phone(right).tone_hz
        return Expected(call_id, *tones_hz, list(spans), list(spans))


async def edge(doing: Awaitable[object]) -> Edge:
    """When something was done."""
    before = time.monotonic()
    await doing
    return before, time.monotonic()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncIterator[Made]:
    """Every call twice, by way of the cloud and with the line cut, and what the centre has of them."""
    parts = Parts(
        phones=len(PHONES) + len(TALKERS),
        cloud_phones=0,
        gateway=False,
        carrier=False,
        centre=True,
        agent=True,
        media=True,
    )
    lab = Lab(parts, document={"record": "all", "recording": RETENTION})
    for number, changes in PHONES.items():
        server = f"{lab.addresses.box_lan}:{PORTS.get(changes.get('transport', ''), 5060)}"
        lab.phones[number] = lab.make_phone(number, server=server, **changes)
    for number in TALKERS:
        del lab.phones[number]
    made = Made(lab)
    async with lab, contextlib.AsyncExitStack() as stack:
        site = Site(lab)
        for talker in site.talkers.values():
            await stack.enter_async_context(talker)
            await talker.register()
        await lab.box.wait_link_state("UP")
        await every_call(site, made, "UP")
        await lab.link.cut("drop")
        await lab.box.wait_link_state("DOWN")
        await every_call(site, made, "DOWN")
        await lab.link.restore()
        await arrived(made)
        yield made


async def every_call(site: Site, made: Made, line: str) -> None:
    for names in ROUNDS:
        found = await asyncio.gather(*(site.held(*HELD[name]) for name in names))
        made.expected |= {(name, line): one for name, one in zip(names, found, strict=True)}
    last = await asyncio.gather(site.blind_transfer(), site.attended_transfer(), site.codec_change())
    names = (*TRANSFERS, "codec change")
    made.expected |= {(name, line): one for name, one in zip(names, last, strict=True)}


async def arrived(made: Made) -> None:
    wanted = {one.call_id for expected in made.expected.values() for one in expected}

    async def all_there() -> bool:
        made.stored = {}
        for row in await made.lab.centre.recordings():
            if row["state"] == "stored":
                made.stored.setdefault(row["call"], []).append(row)
        return made.stored.keys() >= wanted

    with contextlib.suppress(AssertionError):  # each test says which one is missing
        await wait_until(all_there, "every recording is at the centre", ARRIVE_S)


async def fetched(made: Made, expected: Expected) -> tuple[recorded.Recorded, float]:
    """The only recording of a call, with the hash that the box gave; its beginning in monotonic seconds."""
    (row,) = made.stored.get(expected.call_id, [])
    path = Path(made.lab.folder) / f"{row['id']}.ogg"
    await kyusai("recordings", "fetch", row["id"], "-o", path, "--data", made.lab.centre.data)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    found = recorded.load(path)
    assert abs(found.length_s - row["duration_s"]) < RIGHT_S
    return found, datetime.fromisoformat(row["started_utc"]).timestamp() - made.wall_s


def wrong_side(
    found: recorded.Recorded, from_s: float, hz: int, side: str, spans: list[tuple[Edge, Edge]]
) -> str:
    """What is wrong with one side, "" for nothing."""
    channel = found.left if side == "left" else found.right
    heard = recorded.spans(channel, found.rate_hz, hz)
    if len(heard) != len(spans):
        return f"{side}: heard {heard}, expected {len(spans)} spans"
    for seen, said in zip(heard, spans, strict=True):
        for at, (earliest, latest) in zip(seen, said, strict=True):
            if not earliest - from_s - RIGHT_S <= at <= latest - from_s + RIGHT_S:
                return f"{side}: {at:.2f} s, expected {earliest - from_s:.2f} to {latest - from_s:.2f}"
    noise = recorded.noise_outside(channel, found.rate_hz, heard)
    return f"{side}: {noise:.3f} in silence" if noise > recorded.QUIET else ""


@pytest.mark.parametrize("line", ["UP", "DOWN"])
@pytest.mark.parametrize("name", [*HELD, *TRANSFERS, "codec change"])
async def test_recording_holds_each_side_at_its_time_and_silence_as_silence(
    made: Made, name: str, line: str
) -> None:
    for expected in made.expected[name, line]:
        found, from_s = await fetched(made, expected)
        faults = [
            wrong_side(found, from_s, expected.left_hz, "left", expected.left),
            wrong_side(found, from_s, expected.right_hz, "right", expected.right),
        ]
        assert faults == ["", ""]
        last = max(spans[-1][1][1] for spans in (expected.left, expected.right))
        assert found.length_s <= last - from_s + RIGHT_S
        assert (found.rate_hz > 8000) is (name in WIDEBAND) or name in TRANSFERS


@pytest.mark.parametrize("line", ["UP", "DOWN"])
async def test_recordings_are_kept_as_long_as_the_sites_rules_say(made: Made, line: str) -> None:
    for name, days in (("browser calls", 30), ("browser is called", 30), ("G.722", 3650)):
        (expected,) = made.expected[name, line]
        (row,) = made.stored.get(expected.call_id, [])
        kept = datetime.fromisoformat(row["kept_until_utc"]) - datetime.fromisoformat(row["stored_utc"])
        assert (row["retention"], kept.days) == ("short" if days == 30 else "long", days), name
