"""Nodes of call flows on a real FreeSWITCH: queues, look-ups, lists, what is said. Several situations in one lab."""

import asyncio
import json
import os
import re
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.clerk import LOOK_S
from tests.helpers.certificates import self_signed
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.raw_caller import RawCaller
from tests.lab.site_document import extension

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

CRM_PORT = 8443
AGENTS = ("202", "203")
FORWARDED = "206"
REACHABLE_S = 0.5


def flow(flow_id: str, *nodes: dict[str, Any]) -> dict[str, Any]:
    return {"id": flow_id, "language": "en", "nodes": list(nodes)}


def hangup(node_id: str, prompt: str) -> dict[str, Any]:
    return {"id": node_id, "do": "hangup", "prompts": [prompt]}


BYE, SORRY = hangup("bye", "goodbye"), hangup("sorry", "nobody")
ASK = {
    "id": "ask",
    "do": "collect",
    "prompts": ["enter_extension"],
    "variable": "typed",
    "most": 8,
    "tries": 1,
    "next": "look",
    "failed": "sorry",
}


def look_up(host: str) -> dict[str, Any]:
    return {
        "id": "look",
        "do": "http",
        "url": f"https://{host}:{CRM_PORT}/customer",
        "private": True,
        "secret": "crm",
        "time_ms": 1000,
        "send": [{"name": "tel", "from": "caller"}, {"name": "typed", "from": "typed"}],
        "fields": [{"variable": "level", "path": "customer.level"}, {"variable": "day", "path": "since"}],
        "next": "level",
        "failed": "sorry",
    }


CARD = (
    {"id": "told", "do": "record_announce", "next": "class"},
    {"id": "class", "do": "retention", "class": "payment", "next": "stop"},
    {"id": "stop", "do": "record_pause", "next": "card", "failed": "sorry"},
    ASK | {"id": "card", "next": "on"},
    {"id": "on", "do": "record_resume", "next": "more"},
    {
        "id": "more",
        "do": "menu",
        "prompts": ["main_menu"],
        "keys": [{"key": "1", "then": "bye"}],
        "timeout": "bye",
        "invalid": "bye",
    },
)


def document(host: str) -> dict[str, Any]:
    """Numbers: 700 queue, 701 look-up, 702 lists, 703 figures of the queue, 704 long way, 705 card, 706 number dialled."""
    level = {
        "id": "level",
        "do": "branch",
        "variable": "level",
        "cases": [{"is": ["gold"], "then": "said"}],
        "otherwise": "bye",
    }
    said = {"id": "said", "do": "say", "as": "date", "variable": "day", "next": "welcome"}
    lists = {
        "id": "who",
        "do": "branch",
        "on": "caller",
        "cases": [{"is": ["202", "203"], "then": "bye"}, {"prefixes": ["201"], "then": "welcome"}],
        "otherwise": "sorry",
    }
    number = {"id": "by", "do": "branch", "on": "dialled", "cases": [{"is": ["706"], "then": "bye"}]}
    number |= {"otherwise": "sorry"}
    strangers = SORRY | {"prompts": ["nobody", "closed", "goodbye"]}  # long enough to be found there
    figures = {
        "id": "depth",
        "do": "branch",
        "on": "queue_waiting",
        "queue": "sales",
        "cases": [{"at_least": 1, "then": "bye"}],
        "otherwise": "agents",
    }
    agents = figures | {"id": "agents", "on": "queue_agents", "otherwise": "sorry"}
    agents["cases"] = [{"at_least": 2, "then": "welcome"}]
    menu = {"id": "menu", "do": "menu", "prompts": ["invalid"], "tries": 1, "wait_s": 1, "timeout": "bye"}
    keys = [{"key": "1", "then": "menu"}, {"key": "2", "then": "call"}]
    call = {"id": "call", "do": "transfer", "number": "202", "unanswered": "bye"}
    queue = {
        "id": "wait",
        "do": "queue",
        "queue": "sales",
        "timeout": "sorry",
        "full": "bye",
        "nobody": "none",
    }
    return {
        "call_control": "local",
        "record": "all",
        "prompts": SHORT,
        "queues": [
            {
                "id": "sales",
                "agents": ["202", "203"],
                "ring_s": 5,
                "rest_s": 0,
                "timeout_s": 60,
                "place_every_s": 4,
            }
        ],
        "applications": [
            {"number": str(700 + index), "kind": "flow", "flow": name}
            for index, name in enumerate(("queue", "crm", "lists", "figures", "long", "card", "number"))
        ],
        "flows": [
            flow("queue", queue, BYE, SORRY, hangup("none", "closed")),
            flow("crm", ASK, look_up(host), level, said, hangup("welcome", "welcome"), BYE, SORRY),
            flow("number", number, BYE, SORRY),
            flow("lists", lists, BYE, strangers, hangup("welcome", "welcome")),
            flow("figures", figures, agents, BYE, SORRY, hangup("welcome", "welcome")),
            flow("card", *CARD, BYE, SORRY),
            flow("long", menu | {"keys": keys, "invalid": "bye"}, call, BYE),
        ],
    }


class Crm:
    """A customer data base over HTTPS, which can be made slow and silly."""

    def __init__(self, certificate: Path) -> None:
        self._certificate = certificate
        self.asked: list[str] = []
        self.answer = b""
        self.pause_s = 0.0
        self.status = "200 OK"

    def good(self) -> None:
        self.answer = json.dumps({"customer": {"level": "gold"}, "since": "2026-05-03"}).encode()
        self.pause_s, self.status = 0.0, "200 OK"

    async def start(self, host: str) -> asyncio.Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        return await asyncio.start_server(self._serve, host, CRM_PORT, ssl=context)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await asyncio.sleep(self.pause_s)
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.answer)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self.answer)
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crm(tmp_path_factory: pytest.TempPathFactory) -> Crm:
    return Crm(tmp_path_factory.mktemp("crm") / "crm.pem")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(crm: Crm) -> AsyncIterator[Lab]:
    parts = Parts(
        phones=6, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True, agent=True
    )
    lab = Lab(parts)
    host = lab.addresses.gateway
    lab.document = document(host)
    lab.document["extensions"] = [
        extension(each, password, record="all", **({"forward_always": "706"} if each == FORWARDED else {}))
        for each, password in lab.passwords.items()
    ]
    self_signed(host, crm._certificate)
    folder = lab.box.layout.freeswitch_dir
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets" / "crm").write_text("Bearer s3cret")
    (folder / "lookup-ca.pem").write_bytes(crm._certificate.read_bytes())
    server = await crm.start(host)
    async with server, lab:
        yield lab


async def met_by(lab: Lab, number: str, timeout_s: float = 20.0) -> PhoneCall:
    """The call that is up at a telephone, or comes there soon."""
    phone = lab.phones[number]
    await wait_until(lambda: open_calls(lab, number) == 1, f"{phone.name}: a call comes in", timeout_s)
    return await phone.current().wait("established", 10)


def open_calls(lab: Lab, number: str) -> int:
    return sum(call.state != "closed" for call in lab.phones[number].calls)


async def nobody_talks(lab: Lab) -> None:
    """Both sides of all calls have ended, and the clerk, who looks every two seconds, has seen it."""
    await wait_until(lambda: not any(open_calls(lab, number) for number in lab.phones), "all calls end", 15)
    await asyncio.sleep(LOOK_S + 1)


async def test_a_queue_rings_the_agent_who_has_been_idle_longest(lab: Lab) -> None:
    met = []
    for _ in range(3):
        call = await lab.phones["201"].call("700")
        await wait_until(lambda: bool(open_calls(lab, "202") + open_calls(lab, "203")), "an agent rings", 20)
        number = "202" if open_calls(lab, "202") else "203"
        await met_by(lab, number)
        await call.wait_hears(lab.phones[number].tone_hz, timeout_s=10)
        met.append(number)
        await call.hangup()
        await nobody_talks(lab)
    assert met in (["202", "203", "202"], ["203", "202", "203"])


async def test_callers_hear_their_place_and_are_answered_in_the_order_in_which_they_came(lab: Lab) -> None:
    await lab.phones["203"].unregister()
    talking = await lab.phones["201"].call("700")
    agent = await met_by(lab, "202")
    first = await lab.phones["204"].call("700")
    await lab.hears(first, "queue_place")
    second = await lab.phones["205"].call("700")
    await lab.hears(second, "queue_place")
    asks = await lab.phones["206"].call("703")
    await lab.hears(asks, "goodbye")
    await talking.hangup()
    await agent.wait("closed", 10)
    agent = await met_by(lab, "202")
    await first.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await first.hangup()
    await agent.wait("closed", 10)
    agent = await met_by(lab, "202")
    await second.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await second.hangup()
    await lab.phones["203"].register()
    await nobody_talks(lab)
    free = await lab.phones["201"].call("703")
    await lab.hears(free, "welcome")


async def test_a_queue_without_any_agent_says_so_at_once(lab: Lab) -> None:
    await asyncio.gather(*(lab.phones[number].unregister() for number in AGENTS))
    await asyncio.sleep(REACHABLE_S)
    call = await lab.phones["201"].call("700")
    await lab.hears(call, "closed")
    await asyncio.gather(*(lab.phones[number].register() for number in AGENTS))
    await asyncio.sleep(REACHABLE_S)


async def test_without_the_agent_s_process_all_telephones_of_a_queue_are_rung_at_once(lab: Lab) -> None:
    await lab.box.kill("agent")
    await asyncio.gather(*(lab.phones[number].behave(answer_after_s=None) for number in AGENTS))
    call = await lab.phones["201"].call("700")
    await wait_until(lambda: all(open_calls(lab, number) for number in AGENTS), "both ring", 20)
    await lab.phones["203"].current().answer()
    await call.wait_hears(lab.phones["203"].tone_hz, timeout_s=10)
    await call.hangup()
    asks = await lab.phones["201"].call("701")
    await lab.hears(asks, "enter_extension")
    await asks.dtmf("7#")
    await lab.hears(asks, "nobody")
    await lab.box.start("agent")
    await asyncio.gather(*(lab.phones[number].behave(answer_after_s=0) for number in AGENTS))
    await nobody_talks(lab)


async def test_an_agent_that_hangs_holds_nobody_up(lab: Lab) -> None:
    pid = lab.box.agent.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        asks = await lab.phones["201"].call("701")
        await lab.hears(asks, "enter_extension")
        await asks.dtmf("7#")
        await lab.hears(asks, "nobody", timeout_s=12)
        call = await lab.phones["204"].call("700")
        await wait_until(lambda: bool(open_calls(lab, "202") + open_calls(lab, "203")), "they ring", 15)
        await call.hangup()
    finally:
        os.kill(pid, signal.SIGCONT)
    await nobody_talks(lab)


async def test_a_program_that_is_not_freeswitch_gets_no_answer(lab: Lab) -> None:
    reader, writer = await asyncio.open_connection(lab.addresses.freeswitch, 8022)
    assert await reader.readuntil(b"\n\n") == b"connect\n\n"
    told = "Unique-ID: 0f0e0d0c-1111-2222-3333-444455556666\nvariable_ky_question: figures:sales\n\n"
    writer.write(told.encode())
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_look_up_s_answer_leads_on_and_is_said(lab: Lab, crm: Crm) -> None:
    crm.good()
    crm.asked.clear()
    call = await lab.phones["201"].call("701")
    await lab.hears(call, "enter_extension")
    await call.dtmf("1*#")
    await lab.hears(call, "welcome")
    (asked,) = crm.asked
    assert asked.startswith("GET /customer?tel=201&typed=1%2A HTTP/1.1\r\n")
    assert "Authorization: Bearer s3cret\r\n" in asked.replace("authorization", "Authorization")


SILLY = {
    "slow": {"pause_s": 3.0},
    "no JSON": {"answer": b"<html>"},
    "too large": {"answer": b'{"customer": {"level": "gold", "more": "' + b"x" * 70_000 + b'"}}'},
    "elsewhere": {"status": "302 Found"},
    "another customer's": {"answer": b'{"customer": {"level": "${api(status)}\\n%0Agold"}}'},
}


@pytest.mark.parametrize("what", SILLY)
async def test_a_look_up_that_fails_leads_out_within_its_time(lab: Lab, crm: Crm, what: str) -> None:
    crm.good()
    for name, value in SILLY[what].items():
        setattr(crm, name, value)
    call = await lab.phones["204"].call("701")
    await lab.hears(call, "enter_extension")
    await call.dtmf("5#")
    await lab.hears(call, "goodbye" if what == "another customer's" else "nobody", timeout_s=10)


async def test_a_card_number_is_spoken_and_pressed_while_nothing_is_recorded(lab: Lab) -> None:
    def recorded() -> int:
        return len([*lab.box.layout.capture_tmp_dir.iterdir()])

    await nobody_talks(lab)
    await wait_until(lambda: recorded() == 0, "no capture is open", 10)
    call = await lab.phones["201"].call("705")
    await lab.hears(call, "recorded")
    assert recorded() == 1
    await lab.hears(call, "enter_extension")
    assert recorded() == 0
    await call.dtmf("41#")
    await lab.hears(call, "main_menu")
    assert recorded() == 1
    await call.hangup()


@pytest.mark.parametrize(("caller", "heard"), [("201", "welcome"), ("202", "goodbye"), ("204", "nobody")])
async def test_callers_are_told_apart_by_lists_and_prefixes(lab: Lab, caller: str, heard: str) -> None:
    call = await lab.phones[caller].call("702")
    await lab.hears(call, heard)


async def test_the_number_dialled_is_the_application_s_whoever_forwards_there(lab: Lab) -> None:
    for number in ("706", FORWARDED):
        await lab.hears(await lab.phones["201"].call(number), "goodbye")


async def test_a_caller_who_goes_round_many_times_is_not_cut_off(lab: Lab) -> None:
    """FreeSWITCH ends a call after as many transfers as its Max-Forwards says, some seventy."""
    call = await lab.phones["201"].call("704")
    for _ in range(25):
        await call.dtmf("1")
        await asyncio.sleep(0.3)
    await call.dtmf("2")
    await met_by(lab, "202")
    await call.wait_hears(lab.phones["202"].tone_hz, timeout_s=10)
    await call.hangup()


HOSTILE = {
    "a line feed": '"202" <sip:202%0a@127.0.0.1>',
    "two lines": "<sip:202%0d%0aEvent-Name:%20x@127.0.0.1>",
    "a command of the switch": "<sip:%24%7Bglobal_setvar(ky_owned=1)%7D@127.0.0.1>",
    "a variable": '"${ky_kamailio}" <sip:$%7bsip_call_id%7d@127.0.0.1>',
    "an XML element": "<sip:%3Caction%20application=%22hangup%22/%3E@127.0.0.1>",
    "a shell": "<sip:%60touch%20x%60;%7cid%26@127.0.0.1>",
    "a percent sign": '"100%s%n%0a" <sip:%25s%25n@127.0.0.1>',
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_what_a_hostile_caller_is_called_changes_nothing(lab: Lab, crm: Crm, what: str) -> None:
    """It is in no list, is sent to the customer data base as it is, and no command, variable or markup comes of it."""
    address = lab.addresses.freeswitch
    server = (address, 5090)
    before = await variables(lab)
    async with RawCaller(address, server, HOSTILE[what]) as lists:
        assert await lists.call("702") == 200
        await rests(lab, "sorry")
    crm.good()
    crm.asked.clear()
    async with RawCaller(address, server, HOSTILE[what]) as asks:
        assert await asks.call("701") == 200
        await rests(lab, "ask")
        for signal in ("5", "$", "%0a", "5\r\nSignal=6", "<x/>", "*", "#"):
            await asks.press(signal)
        await wait_until(lambda: bool(crm.asked), "the data base is asked", 15)
    (line, _, rest) = crm.asked[0].partition("\r\n")
    assert re.fullmatch(r"GET /customer\?tel=[A-Za-z0-9%._~-]*&typed=[0-9A-F%]* HTTP/1.1", line)
    assert "Event-Name" not in rest
    async with RawCaller(address, server, HOSTILE[what]) as waits:
        assert await waits.call("700") == 200
        await rests(lab, "wait/[a-z]+")
    await rests(lab, "")
    assert await variables(lab) == before


async def variables(lab: Lab) -> set[str]:
    """FreeSWITCH's global variables."""
    assert lab.box.freeswitch is not None
    return {line.partition("=")[0] for line in (await lab.box.freeswitch.api("global_getvar")).splitlines()}


async def rests(lab: Lab, wanted: str) -> None:
    """Wait until the only call is at a node, or, with "", until there is none."""

    async def there() -> bool:
        assert lab.box.freeswitch is not None
        rows = json.loads(await lab.box.freeswitch.api("show", "channels", "as", "json")).get("rows", [])
        inward = [row["dest"] for row in rows if row["direction"] == "inbound"]
        return bool(re.fullmatch(wanted, "".join(inward)))

    await wait_until(there, f"a call rests at {wanted!r}", 15, 0.2)


async def test_a_queue_s_calls_end_with_freeswitch_and_both_agents_are_called_again_afterwards(
    lab: Lab,
) -> None:
    await nobody_talks(lab)
    callers = [await answered(lab, caller) for caller in ("201", "204")]
    callers.append(await lab.phones["205"].call("700"))
    await lab.hears(callers[-1], "queue_place")
    await lab.box.kill("freeswitch")
    for call in callers:
        await call.wait("closed", 15)
    await wait_until(lambda: not any(open_calls(lab, one) for one in AGENTS), "the agents' calls end", 15)
    await lab.box.start("freeswitch")
    for call in [await answered(lab, caller) for caller in ("205", "206")]:
        await call.hangup()
    await nobody_talks(lab)


async def answered(lab: Lab, caller: str) -> PhoneCall:
    """A call to the queue, once an agent who was free talks with the caller."""
    free = [one for one in AGENTS if not open_calls(lab, one)]
    call = await lab.phones[caller].call("700")
    await wait_until(lambda: any(open_calls(lab, one) for one in free), "an agent rings", 20)
    (agent,) = [one for one in free if open_calls(lab, one)]
    await call.wait_hears(lab.phones[agent].tone_hz, timeout_s=15)
    return call


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    assert [one for one in lab.box.freeswitch.faults() if "Socket Error" not in one] == []
