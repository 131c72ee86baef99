"""Each program of a box is killed with calls up: what had ended is kept, what is up goes on or ends with a cause."""

import asyncio
import ctypes
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.helpers.fault_lab import cdrs_of, recordings_of, wait_event
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import alive, wait_until
from tests.lab.site_document import extension
from tests.lab.standing import hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORDED = ("201", "202")
"""Extensions whose calls are recorded, and so go through rtpengine; those of 203 and 204 are direct."""

WRITTEN_S = 1.0
"""A call that ended this long before a kill is in the records."""

TALK_S = 1.2
"""Enough for a recording in which a tone can be told."""

GOES_ON_S = 1.5
"""Audio is watched for this long after a kill."""

SYS_CACHESTAT = 451

GAP_MAX_S = 0.9
"""What a busy machine's telephones may miss of each other; a call that does not go on is silent for all of `GOES_ON_S`."""


@dataclass
class Calls:
    """What is going on when a program is killed. Each: the caller's call and the callee's."""

    ended: PhoneCall
    recorded: tuple[PhoneCall, PhoneCall]
    direct: tuple[PhoneCall, PhoneCall]
    cloud: tuple[PhoneCall, PhoneCall]

    @property
    def up(self) -> tuple[tuple[PhoneCall, PhoneCall], ...]:
        return self.recorded, self.direct, self.cloud

    @property
    def all(self) -> list[PhoneCall]:
        return [self.ended, *(pair[0] for pair in self.up)]


class Site:
    """A whole lab and the calls that each test finds in it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    async def talk(self, caller: str, callee: str) -> tuple[PhoneCall, PhoneCall]:
        everybody = self.lab.phones | self.lab.cloud_phones
        placed = await self.lab.phones[caller].call(callee)
        met = everybody[callee].current()
        await hear_each_other(placed, met)
        return placed, met

    async def calls(self) -> Calls:
        ended, _ = await self.talk(*RECORDED)
        await asyncio.sleep(TALK_S)
        await ended.hangup()
        over_s = time.monotonic() + WRITTEN_S
        recorded, direct, cloud = await asyncio.gather(
            self.talk(*RECORDED), self.talk("203", "204"), self.talk("205", "901")
        )
        await asyncio.sleep(max(1.5, over_s - time.monotonic()))
        return Calls(ended, recorded, direct, cloud)

    async def goes_on(self, *pairs: tuple[PhoneCall, PhoneCall], since_s: float) -> None:
        """Both sides of each call heard the other all the time since then."""
        await asyncio.sleep(max(0.0, since_s + GOES_ON_S - time.monotonic()))
        until_s = time.monotonic() - 0.2
        for one, other in pairs:
            for ear, mouth in ((one, other), (other, one)):
                gap_s = await ear.longest_gap_s(mouth.phone.tone_hz, since_s, until_s)
                assert gap_s < GAP_MAX_S, f"{ear.phone.name} heard nothing for {gap_s:.2f} s"

    async def new_call(self, caller: str = "206", callee: str = "203") -> PhoneCall:
        placed, _ = await self.talk(caller, callee)
        return placed

    async def hang_up(self, *calls: PhoneCall) -> None:
        await asyncio.gather(*(call.hangup() for call in calls))

    async def recorded(self, call: PhoneCall, until_s: float | None = None) -> None:
        """The call's recording is at the centre with the right hash and both tones on their sides, and holds all that was
        said until then (the call's end when nothing is named) but at most a second."""
        left_hz, right_hz = (self.lab.phones[number].tone_hz for number in RECORDED)
        (recording,) = (await recordings_of(self.lab, [call]))[call.call_id]
        talked_s = (until_s or call.times["closed"]) - call.times["established"]
        assert recording.hash_ok
        assert await recording.sides(left_hz, right_hz) == (True, True)
        assert recording.duration_s > talked_s - 1.0, f"{recording.duration_s} s of {talked_s:.2f} s"

    async def records(self, *calls: PhoneCall) -> dict[str, tuple[str, str, bool]]:
        """Disposition, cause and incompleteness of each call's only CDR."""
        found = await cdrs_of(self.lab, calls)
        return {call: (cdr["disposition"], cdr["cause"], cdr["incomplete"]) for call, cdr in found.items()}

    async def wait_up(self) -> None:
        """The agent has seen that the line is up."""
        await self.lab.box.wait_link_state("UP")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    numbers = [str(number) for number in range(201, 207)]
    lab = Lab(Parts(phones=6, gateway=False, carrier=False, centre=True, agent=True, media=True))
    lab.document["extensions"] = [
        extension(number, lab.passwords[number], record="all" if number in RECORDED else "none")
        for number in numbers
    ]
    async with lab:
        made = Site(lab)
        await made.wait_up()
        yield made


AS_USUAL = ("answered", "normal_clearing", False)
"""What the record of a call says whose parties hung up."""

DESCRIPTIONS = {
    "main process": "main process",
    "a SIP worker": "udp receiver",
    "the journal's process": "RTIMER EXEC child=0 timer=journal",
}
"""How Kamailio calls its processes."""


async def process_of(lab: Lab, description: str) -> int:
    """Process id of the first Kamailio process whose description begins so."""
    rows = await lab.box.rpc.call("core.psx")
    return next(int(row["PID"]) for row in rows if str(row["DSC"]).startswith(description))


def boots(lab: Lab) -> list[str]:
    """Boot ids in the journal."""
    with closing(sqlite3.connect(f"file:{lab.box.layout.journal}?mode=ro", uri=True)) as journal:
        return [row[0] for row in journal.execute("SELECT DISTINCT boot_id FROM event")]


@pytest.mark.parametrize("victim", DESCRIPTIONS)
async def test_killed_kamailio_takes_no_call_with_it_and_knows_every_telephone(
    site: Site, victim: str
) -> None:
    lab = site.lab
    calls = await site.calls()
    registered = {number: len(phone.register_events) for number, phone in lab.phones.items()}
    main = lab.box.kamailio.process
    pid = await process_of(lab, DESCRIPTIONS[victim])
    killed_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await wait_until(lambda: not alive(main.pid), "Kamailio ends as a whole")
    await lab.box.kill("kamailio")  # what is left of it, as systemd does before it starts it again
    await lab.box.start("kamailio")
    fresh = await site.new_call()
    assert {number: len(phone.register_events) for number, phone in lab.phones.items()} == registered
    await site.goes_on(*calls.up, since_s=killed_s)
    await site.hang_up(fresh, *(pair[0] for pair in calls.up))
    assert await site.records(*calls.all, fresh) == {call.call_id: AS_USUAL for call in (*calls.all, fresh)}
    await asyncio.gather(site.recorded(calls.ended), site.recorded(calls.recorded[0]))


async def test_killed_rtpengine_ends_the_calls_it_carried_with_a_cause_and_the_next_is_heard(
    site: Site,
) -> None:
    lab = site.lab
    calls = await site.calls()
    await asyncio.sleep(1.0)  # so that the calls have been seen at rtpengine once
    killed_s = time.monotonic()
    await lab.box.kill("rtpengine")
    await lab.box.start("rtpengine")
    fresh, _ = await site.talk("206", "202")
    for pair in (calls.recorded, calls.cloud):
        await asyncio.gather(*(call.wait("closed") for call in pair))
    await site.goes_on(calls.direct, since_s=killed_s)
    await site.hang_up(fresh, calls.direct[0])
    assert await site.records(*calls.all, fresh) == {
        calls.ended.call_id: AS_USUAL,
        calls.recorded[0].call_id: ("answered", "media_lost", False),
        calls.cloud[0].call_id: ("answered", "media_lost", False),
        calls.direct[0].call_id: AS_USUAL,
        fresh.call_id: AS_USUAL,
    }
    await asyncio.gather(site.recorded(calls.ended), site.recorded(calls.recorded[0], killed_s))


async def test_killed_helpers_and_centre_are_noticed_by_no_call_and_go_on_where_they_stopped(
    site: Site,
) -> None:
    lab = site.lab
    calls = await site.calls()
    killed_s = time.monotonic()
    await asyncio.gather(lab.box.kill("media"), lab.box.kill("agent"), lab.centre.kill())
    fresh = await site.new_call()
    await site.goes_on(*calls.up, since_s=killed_s)
    await site.hang_up(fresh, calls.recorded[0])
    await lab.box.start("agent")
    await asyncio.sleep(1.0)  # it meets a centre that is away, and finds out that no converter runs
    await lab.box.kill("agent")
    await site.hang_up(calls.direct[0], calls.cloud[0])
    await asyncio.gather(lab.box.start("agent", "media"), lab.centre.start())
    assert await site.records(*calls.all, fresh) == {call.call_id: AS_USUAL for call in (*calls.all, fresh)}
    await asyncio.gather(site.recorded(calls.ended), site.recorded(calls.recorded[0]))


def dirty_pages(path: Path) -> int:
    """Pages of a file that are in memory and not on disk (cachestat(2), Linux 6.5). Raises OSError where that is unknown."""
    span, found = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file:
        if libc.syscall(SYS_CACHESTAT, file.fileno(), span, found, 0) != 0:
            raise OSError(ctypes.get_errno(), "cachestat")
    return int(found[1])


async def test_capture_of_a_call_that_is_up_reaches_the_disk_within_the_second(site: Site) -> None:
    placed, _ = await site.talk(*RECORDED)
    await asyncio.sleep(3)
    capture = max(site.lab.box.layout.pcaps_dir.glob("*.pcap"), key=lambda path: path.stat().st_mtime)
    try:
        dirty = [dirty_pages(capture)]
    except OSError:
        await placed.hangup()
        pytest.skip("this kernel cannot tell which pages are not on disk")
    for _ in range(10):
        await asyncio.sleep(0.1)
        dirty.append(dirty_pages(capture))
    await placed.hangup()
    second_of_audio = 100 * 230 // os.sysconf("SC_PAGE_SIZE") + 1
    assert max(dirty) <= second_of_audio, f"of {capture.stat().st_size} bytes {dirty} pages are not on disk"


async def test_power_cut_closes_open_calls_with_a_cause_and_telephones_call_at_once(site: Site) -> None:
    lab = site.lab
    calls = await site.calls()
    registered = {number: len(phone.register_events) for number, phone in lab.phones.items()}
    cut_s = time.monotonic()
    await lab.box.cut_power()
    await lab.box.render()
    await lab.box.start("rtpengine", "kamailio", "agent", "media")
    fresh = await site.new_call()
    assert {number: len(phone.register_events) for number, phone in lab.phones.items()} == registered
    await site.goes_on(calls.direct, since_s=cut_s)
    await fresh.hangup()
    restarted = ("answered", "box_restart", True)
    assert await site.records(*calls.all, fresh) == {
        calls.ended.call_id: AS_USUAL,
        **{pair[0].call_id: restarted for pair in calls.up},
        fresh.call_id: AS_USUAL,
    }
    await asyncio.gather(site.recorded(calls.ended), site.recorded(calls.recorded[0], cut_s))
    await site.hang_up(*(pair[0] for pair in calls.up))
    corrected = await wait_event(lab, "cdr_correction", 3)
    assert corrected["cdr"]["cause"] == "normal_clearing"
    assert len(boots(lab)) == 2, "the journal has not noticed the new boot: nothing was tested"
    status = await lab.box.status()
    assert (status["spool"]["parked"], status["kamailio"]["own_errors"]) == (0, 0)
