"""What applications tell a real centre: messages, recordings and their classes, facts of queues, and what a full disk refused."""

import asyncio
import hashlib
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pyrage
import pytest
import pytest_asyncio
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from appliance.freeswitch import names, prompt_texts, speech
from appliance.freeswitch.applications import MediaPlan, Prompt
from appliance.freeswitch.voicemail_login_xml import FAILED_CALLS_MAX
from tests.helpers.fault_lab import small_disk
from tests.lab.box import kyusai
from tests.lab.freeswitch import PROMPTS, SHORT, share
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM, extension

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("tidy")]


PIN = "40718"
TEXTS = {one["en"] for one in SHORT}

PAY = {
    "id": "pay",
    "language": "en",
    "nodes": [
        {"id": "class", "do": "retention", "class": "payment", "next": "wait"},
        {"id": "wait", "do": "queue", "queue": "sales", "timeout": "bye", "full": "bye", "nobody": "bye"},
        {"id": "bye", "do": "hangup"},
    ],
}


class Inbox:
    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(
        phones=3,
        cloud_phones=0,
        cloud=False,
        gateway=False,
        carrier=False,
        centre=True,
        agent=True,
        media=True,
        freeswitch=True,
        control=True,
    )
    boxes = {
        number: hashlib.md5(f"{number}:{REALM}:{PIN}".encode(), usedforsecurity=False).hexdigest()
        for number in ("202", "203")
    }
    document = {
        "call_control": "local",
        "prompts": SHORT,
        "recording": {
            "recipients": [str(pyrage.x25519.Identity.generate().to_public())],
            "retention": [{"class": "short", "days": 30}, {"class": "payment", "days": 90}],
            "retention_rules": [{"class": "short"}],
            "voicemail_retention": "short",
        },
        "mailboxes": [
            {"number": number, "code_md5": digest, "language": "en", "email": ["sato@example.com"]}
            for number, digest in boxes.items()
        ],
        "applications": [
            {"number": "*97", "kind": "voicemail"},
            {"number": "700", "kind": "flow", "flow": "pay"},
            {"number": "703", "kind": "conference", "record": "all", "language": "en"},
            {"number": "*21", "kind": "schedule_closed", "schedule": "office", "language": "en"},
        ],
        "schedules": [{"id": "office", "hours": []}],
        "queues": [{"id": "sales", "agents": ["202"], "ring_s": 20, "timeout_s": 60}],
        "flows": [PAY],
    }
    lab = Lab(parts, document)
    lab.document["extensions"] = [
        extension(number, password, record="all" if number == "203" else "none")
        for number, password in lab.passwords.items()
    ]
    share(lab.box.layout.prompts_dir)
    plan = MediaPlan(prompts=tuple(Prompt(str(one["id"]), (("en", str(one["en"])),)) for one in SHORT))
    speech.ensure([one for one in prompt_texts.catalogue(plan.prompts) if one.text in TEXTS], PROMPTS)
    async with lab:
        yield lab


@pytest.fixture
def inbox(lab: Lab) -> Iterator[Inbox]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = ('host = "127.0.0.1"', f"port = {port}", 'tls = "none"', 'sender = "pbx@example.com"')
    (lab.centre.data / "mail.toml").write_text("\n".join(lines))
    found = Inbox()
    server = Controller(found, hostname="127.0.0.1", port=port)
    server.start()
    yield found
    server.stop()


async def test_a_message_reaches_the_centre_and_a_mail_tells_of_it(lab: Lab, inbox: Inbox) -> None:
    async def laid_down() -> bool:
        path = lab.box.layout.current_freeswitch_dir / "dialplan.xml"
        return path.exists() and "voicemail-202" in path.read_text()

    await wait_until(laid_down, "the dialplan is there", 60)
    await wait_until(lambda: _taken(lab), "voicemail takes the call", 60, 1.0)
    call = lab.phones["201"].current()
    await call.wait_hears(640, timeout_s=30)
    await call.wait_hears(timeout_s=10)
    await wait_until(lambda: _seconds(lab) > 3, "three seconds are recorded", 20)
    await call.hangup()

    async def stored() -> bool:
        found = await lab.centre.recordings()
        return any(one["id"].startswith("vm-") and one["state"] == "stored" for one in found) and all(
            one["retention"] == "short" for one in found if one["id"].startswith("vm-")
        )

    await wait_until(stored, "the recording is at the centre, with its class", 60, 1.0)
    await wait_until(lambda: inbox.mails, "a mail comes", 60, 0.5)
    (mail,) = inbox.mails
    assert (mail["To"], "201" in str(mail["Subject"])) == ("sato@example.com", True)
    events = [one["body"] for one in await lab.centre.records("event") if one["body"]["event"] == "voicemail"]
    assert [(one["box"], one["caller"]) for one in events] == [("202", "201")]
    assert any(lab.box.layout.voicemail_dir.rglob("msg_*.wav")), "the owner's copy stays"


async def _taken(lab: Lab) -> bool:
    """FreeSWITCH may have been told of the configuration this moment."""
    call = await lab.phones["201"].dial("*98202")
    await wait_until(lambda: call.state in ("established", "closed"), "an answer", 10)
    return call.state == "established"


def _seconds(lab: Lab) -> float:
    sizes = [path.stat().st_size for path in lab.box.layout.voicemail_dir.rglob("msg_*.wav")]
    return max(sizes, default=0) / 2 / 8_000


@pytest.fixture
def full(lab: Lab) -> Iterator[Path]:
    """The folders of box 203 and of rooms on disks of 80 KiB: four seconds of a telephone's speech fit, eight do not."""
    box = lab.box.layout.voicemail_dir / REALM / "203"
    with ExitStack() as disks:
        try:
            for folder in (box, lab.box.layout.rooms_dir):
                disks.enter_context(small_disk(folder, 80 / 1024))
        except PermissionError as error:
            pytest.skip(str(error))
        yield box


def rows(lab: Lab, box: str) -> list[tuple[str, int]]:
    """(file, seconds) of FreeSWITCH's own list of messages."""
    path = lab.box.layout.freeswitch_db_dir / "voicemail_default.db"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        query = "SELECT file_path, message_len FROM voicemail_msgs WHERE username = ?"
        return database.execute(query, (box,)).fetchall()


async def events(lab: Lab, name: str) -> list[dict[str, Any]]:
    return [one["body"] for one in await lab.centre.records("event") if one["body"]["event"] == name]


async def told(lab: Lab, count: int) -> list[tuple[str, str]]:
    """(what, name) of what was not stored, once the centre knows of so many."""

    async def there() -> bool:
        return len(await events(lab, "recording_not_stored")) >= count

    await wait_until(there, f"{count} events are at the centre", 40, 1.0)
    return sorted((one["what"], one["name"]) for one in await events(lab, "recording_not_stored"))


async def spoken_into(lab: Lab, until: str) -> PhoneCall:
    """201 speaks a message for 203 until it hears a prompt, or with "" for three seconds and hangs up."""
    call = await lab.phones["201"].call("*98203")
    await call.dtmf("#")
    if until:
        await lab.hears(call, until)
        return await call.wait("closed", 10)
    await call.wait_hears(640, timeout_s=20)
    await call.wait_hears(timeout_s=10)
    await asyncio.sleep(3)  # FreeSWITCH writes that when it is over
    return await call.hangup()


async def greeted(lab: Lab) -> None:
    """203 records a greeting, until it hears that it was not stored."""
    owner = await lab.phones["203"].call("*97")
    await lab.hears(owner, "vm_enter_pin")
    for keys, prompt in ((f"{PIN}#", "vm_menu"), ("5", "vm_settings"), ("1", "vm_choose_greeting")):
        await owner.dtmf(keys)
        await lab.hears(owner, prompt)
    await owner.dtmf("1")
    await lab.hears(owner, "vm_not_stored")
    await owner.wait("closed", 10)


async def conferred(lab: Lab) -> PhoneCall:
    """202 is in a recorded room until it hears that the room is no longer recorded."""
    room = await lab.phones["202"].call("703")
    await lab.hears(room, "room_not_stored")
    return room


async def test_what_a_full_disk_cuts_short_is_told_and_nothing_half_of_it_stays(lab: Lab, full: Path) -> None:
    _, room = await asyncio.gather(spoken_into(lab, until="vm_not_stored"), conferred(lab))
    (full / "filler").write_bytes(bytes(70 * 1024))  # room for the beginning of what follows
    await asyncio.gather(spoken_into(lab, until=""), greeted(lab))
    await wait_until(lambda: rows(lab, "203") == [], "FreeSWITCH's own list is empty", 20, 0.5)
    assert await told(lab, 4) == [
        ("greeting", "203"),
        ("room", "703"),
        ("voicemail", "203"),
        ("voicemail", "203"),
    ]
    assert [path.name for path in full.iterdir()] == ["filler"]
    assert room.state == "established", "the conference goes on"
    assert list(lab.box.layout.rooms_dir.iterdir()) == [], "it is not recorded anew"
    kept = [one["id"] for one in await lab.centre.recordings()]
    cut = [one["recording"] for one in await events(lab, "recording_not_stored") if one["recording"]]
    assert (len(cut), set(kept) & set(cut)) == (3, set())
    assert {one["box"] for one in await events(lab, "voicemail")} <= {"202"}


async def test_a_queue_s_facts_and_a_flow_s_class_reach_the_centre_once_though_the_agent_is_killed(
    lab: Lab,
) -> None:
    path = lab.box.layout.media_journal

    def facts() -> set[tuple[str, str, str]]:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT event, data FROM event").fetchall()
        told = [(event, json.loads(data)) for event, data in found]
        return {(event, data["what"], data["name"]) for event, data in told}

    call = await lab.phones["203"].call("700")
    await call.wait_hears(lab.phones["202"].tone_hz, timeout_s=30)
    wanted = {("stay", "queue", "sales"), ("stay_end", "queue", "sales"), ("stay", "agent", "sales")}
    await wait_until(lambda: facts() >= wanted, f"{wanted} are in the journal", 20)
    await lab.box.kill("agent")
    await call.hangup()
    await wait_until(lambda: ("stay_end", "agent", "sales") in facts(), "the agent's stay is over", 20)
    await lab.box.start("agent")

    async def record() -> list[dict[str, Any]]:
        return [one["body"] for one in await lab.centre.records("cdr") if one["body"]["dialled"] == "700"]

    async def there() -> bool:
        return bool(await record())

    await wait_until(there, "the call's record is at the centre", 90, 1.0)
    found = await record()
    assert len(found) == 1, found
    (cdr,) = found
    stays = sorted((one["what"], one["name"]) for one in cdr["applications"])
    assert stays == [("agent", "sales"), ("application", "700"), ("queue", "sales")]
    assert (cdr["retention"], cdr["answered_by"], cdr["incomplete"]) == ("payment", "202", False)
    assert [leg["number"] for leg in cdr["legs"]] == ["202"]
    assert all(one["ms"] > 0 for one in cdr["applications"] if one["what"] != "queue")
    (classed,) = await events(lab, "recording_class")
    assert classed["class"] == "payment"

    async def stored() -> bool:
        found = {one["id"]: one for one in await lab.centre.recordings()}
        mine = [one for id_, one in found.items() if any(id_.startswith(name) for name in cdr["recordings"])]
        return bool(mine) and {(one["state"], one["retention"]) for one in mine} == {("stored", "payment")}

    await wait_until(stored, "the recording is there, with the flow's class", 60, 1.0)


async def test_a_schedule_that_was_set_at_a_telephone_is_told_to_the_centre(lab: Lab) -> None:
    call = await lab.phones["201"].call("*21")
    await call.wait("closed", 30)

    async def there() -> bool:
        return [(one["schedule"], one["state"]) for one in await events(lab, "schedule_set")] == [
            ("office", "closed")
        ]

    await wait_until(there, "the event is at the centre", 40, 1.0)


async def test_a_box_that_wrong_pins_have_locked_is_told_to_the_centre_and_so_is_its_end(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    tries = f"{names.VOICEMAIL_TRIES}203={'x' * (FAILED_CALLS_MAX - 1)}"
    await lab.box.freeswitch.api("global_setvar", tries)
    call = await lab.phones["203"].call("*97")
    await lab.hears(call, "vm_enter_pin")
    await call.hangup()

    async def heard(name: str) -> bool:
        return [(one["what"], one["name"]) for one in await events(lab, name)] == [("voicemail", "203")]

    await wait_until(lambda: heard("pin_locked"), "the lock is known at the centre", 60, 1.0)
    assert await events(lab, "pin_unlocked") == []
    await kyusai("lock", "open", "203", "--box", lab.box.toml)
    await wait_until(lambda: heard("pin_unlocked"), "its end is, too", 60, 1.0)
