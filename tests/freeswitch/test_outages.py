"""FreeSWITCH dies, hangs and comes back; what it listens on, and who is let in."""

import asyncio
import io
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent import freeswitch_watch
from agent.applications import Applications
from agent.freeswitch_watch import FreeSwitchGuard
from agent.logs import set_up
from appliance import site
from appliance.freeswitch import settings_xml
from appliance.freeswitch.ask import Address, FreeSwitchSilent, ask
from tests.lab.freeswitch import SHORT, FreeSwitch
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]

MENU = {
    "id": "menu",
    "language": "en",
    "nodes": [
        {
            "id": "main",
            "do": "menu",
            "prompts": ["welcome"],
            "wait_s": 30,
            "keys": [{"key": "1", "then": "bye"}],
            "timeout": "bye",
            "invalid": "bye",
        },
        {"id": "bye", "do": "hangup", "prompts": ["goodbye"]},
    ],
}

PASSED_OVER_S = 1.5
"""Half a second for a sign of life, and what a busy machine adds; a second is promised."""

START_S = 20.0
"""Some three seconds on an idle machine."""

STARTS = 2

LOOK_S = 2.0
"""So often the box looks which FreeSWITCH runs: a call that it saw once is ended with its FreeSWITCH."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=3, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True)
    document = {
        "call_control": "local",
        "prompts": SHORT,
        "applications": [
            {"number": "700", "kind": "flow", "flow": "menu"},
            {"number": "701", "kind": "announcement", "prompts": ["closed"], "language": "en"},
            {"number": "702", "kind": "flow", "flow": "menu", "fallback": "203"},
        ],
        "flows": [MENU],
    }
    async with Lab(parts, document) as lab:
        yield lab


def freeswitch(lab: Lab) -> FreeSwitch:
    assert lab.box.freeswitch is not None
    return lab.box.freeswitch


async def holds_nothing(lab: Lab) -> None:
    async def empty() -> bool:
        return '"row_count":0' in (await freeswitch(lab).api("show", "channels", "as", "json")).replace(
            " ", ""
        )

    await wait_until(empty, "FreeSWITCH holds no call", 40, 0.2)


async def passed_over(lab: Lab) -> None:
    """A new call is refused, one with a fallback rings there, both within a second."""
    refused = await lab.phones["202"].dial("700")
    await refused.wait("closed", 10)
    assert refused.code == 480
    assert refused.times["closed"] - refused.times["invite"] < PASSED_OVER_S
    elsewhere = await lab.phones["202"].call("702", 10)
    assert elsewhere.post_dial_delay_s < PASSED_OVER_S
    await elsewhere.wait_hears(lab.phones["203"].tone_hz, timeout_s=10)
    await elsewhere.hangup()


async def test_killed_in_the_middle_of_a_menu_it_is_passed_over_and_used_again_when_it_is_back(
    lab: Lab,
) -> None:
    """Nothing else is started again, and nobody is told anything. Who was in it is not left in silence."""
    inside = await lab.phones["201"].call("700", 10)
    await lab.hears(inside, "welcome")
    talking = await lab.phones["202"].call("203", 10)
    await asyncio.sleep(LOOK_S)
    await lab.box.kill("freeswitch")
    await inside.wait("closed", 5 * LOOK_S)
    await passed_over_while(lab, talking)
    others = [lab.box.kamailio.process.pid, lab.box.rtpengine.process.pid]
    await lab.box.start("freeswitch")
    again = await lab.phones["203"].call("700", 10)
    await lab.hears(again, "welcome")
    await again.dtmf("1")
    await lab.hears(again, "goodbye")
    assert others == [lab.box.kamailio.process.pid, lab.box.rtpengine.process.pid]


async def passed_over_while(lab: Lab, talking: PhoneCall) -> None:
    """A call between two telephones goes on meanwhile."""
    await talking.wait_hears(lab.phones["203"].tone_hz, timeout_s=10)
    await passed_over(lab)
    await talking.wait_hears(lab.phones["203"].tone_hz, timeout_s=10)


async def test_hanging_it_is_passed_over_and_what_it_says_when_it_wakes_harms_nobody(lab: Lab) -> None:
    """It then answers calls that were given up long ago: those are ended, and it is used again."""
    process = freeswitch(lab).process
    process.signal(signal.SIGSTOP)
    try:
        await passed_over(lab)
        await passed_over(lab)
    finally:
        process.signal(signal.SIGCONT)
    await holds_nothing(lab)
    call = await lab.phones["201"].call("701", 10)
    await lab.hears(call, "closed")
    await call.wait("closed", 10)


async def test_hanging_for_good_it_is_ended_so_that_it_is_started_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd starts it again, here the lab does. One that is well, or started a moment ago, is left alone."""
    monkeypatch.setattr(freeswitch_watch, "LOOK_S", 0.05)
    monkeypatch.setattr(freeswitch_watch, "ANSWER_S", 1.0)
    ended = asyncio.Event()
    guard = FreeSwitchGuard(lab.box.settings, lab.box.layout, set_up(io.StringIO()), ended.set)
    watching = asyncio.create_task(guard.run())
    process = freeswitch(lab).process
    try:
        await asyncio.sleep(2)
        assert process.running
        assert not ended.is_set()
        process.signal(signal.SIGSTOP)
        async with asyncio.timeout(60):
            await ended.wait()
        await wait_until(lambda: not process.running, "it is gone", 10)
        await lab.box.start("freeswitch")
        await asyncio.sleep(1)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    call = await lab.phones["201"].call("701", 10)
    await lab.hears(call, "closed")


async def test_another_profile_is_used_without_a_restart_and_the_call_that_is_up_goes_on(lab: Lab) -> None:
    """As when another release of the box came: what it renders is not what FreeSWITCH runs with."""
    talk = await lab.phones["202"].call("700", 10)
    await lab.hears(talk, "welcome")
    pid, path = freeswitch(lab).process.pid, lab.box.layout.freeswitch_xml
    told = path.read_text()
    path.write_text(told.replace(settings_xml.CODECS, "PCMA"))
    assert "+OK" in await freeswitch(lab).api("sofia", "profile", "box", "rescan")
    assert await codecs(lab) == {"PCMA"}
    applications = Applications(lab.box.settings, lab.box.layout, set_up(io.StringIO()))
    await applications.tell(site.loads(lab.box.layout.document(lab.version).read_bytes()))
    assert path.read_text() == told
    assert await codecs(lab) == {settings_xml.CODECS}
    await talk.dtmf("1")
    await lab.hears(talk, "goodbye")
    again = await lab.phones["203"].call("701", 10)
    await lab.hears(again, "closed")
    assert freeswitch(lab).process.pid == pid


async def codecs(lab: Lab) -> set[str]:
    """That the running profile takes and offers."""
    return set(
        re.findall(
            r"^CODECS (?:IN|OUT)\s+(\S+)",
            await freeswitch(lab).api("sofia", "status", "profile", "box"),
            re.M,
        )
    )


async def test_it_takes_calls_within_seconds_of_every_start(lab: Lab) -> None:
    took_s = []
    for _ in range(STARTS):
        await lab.box.stop("freeswitch")
        began = time.monotonic()
        await lab.box.start("freeswitch")
        took_s.append(round(time.monotonic() - began, 1))
    assert max(took_s) < START_S, took_s
    call = await lab.phones["201"].call("701", 10)
    await lab.hears(call, "closed")


async def test_it_listens_on_loopback_alone_while_a_call_is_up_too(lab: Lab) -> None:
    await lab.phones["201"].call("700", 10)
    settings = lab.box.settings.freeswitch
    listed = subprocess.run(
        ["ss", "--no-header", "-lntup"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    own = [line.split() for line in listed.splitlines() if f"pid={freeswitch(lab).process.pid}," in line]
    found = {(words[0], *words[4].rsplit(":", 1)) for words in own}
    assert {address for _, address, _ in found} == {settings.address}
    fixed = {
        (kind, int(port)) for kind, _, port in found if not settings.rtp_min <= int(port) <= settings.rtp_max
    }
    assert fixed == {("udp", settings.sip_port), ("tcp", settings.sip_port), ("tcp", settings.esl_port)}
    assert len(found) > len(fixed), "no audio port: the call is not up"


@pytest.mark.parametrize("password", ["ClueCon", "", "kyusai"])
async def test_nobody_gets_in_by_a_password_that_others_have(lab: Lab, password: str) -> None:
    settings = lab.box.settings.freeswitch
    with pytest.raises(FreeSwitchSilent, match="refuses"):
        await ask(Address(settings.address, settings.esl_port, password), "status")


async def test_without_a_password_no_command_is_carried_out(lab: Lab) -> None:
    settings = lab.box.settings.freeswitch
    reader, writer = await asyncio.open_connection(settings.address, settings.esl_port)
    try:
        await reader.readuntil(b"\n\n")
        writer.write(b"api status\n\n")
        answer = await asyncio.wait_for(reader.read(4096), 5)
        assert re.search(rb"-ERR|command not allowed|denied", answer), answer
        assert b"FreeSWITCH" not in answer
    finally:
        writer.close()
        await writer.wait_closed()


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert "\n".join(freeswitch(lab).faults()) == ""
