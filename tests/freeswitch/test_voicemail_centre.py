"""A message's way to the centre: encrypted as a recording, told by an event and by mail."""

import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any

import pyrage
import pytest
import pytest_asyncio
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.lab.freeswitch import PROMPTS
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


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
        phones=2,
        cloud_phones=0,
        cloud=False,
        gateway=False,
        carrier=False,
        centre=True,
        agent=True,
        media=True,
        freeswitch=True,
    )
    digest = hashlib.md5(f"202:{REALM}:40718".encode(), usedforsecurity=False).hexdigest()
    document = {
        "call_control": "local",
        "recipients": [str(pyrage.x25519.Identity.generate().to_public())],
        "mailboxes": [{"number": "202", "code_md5": digest, "language": "en", "email": ["sato@example.com"]}],
    }
    lab = Lab(parts, document)
    prompts = lab.box.layout.prompts_dir
    prompts.parent.mkdir(parents=True, exist_ok=True)
    PROMPTS.mkdir(parents=True, exist_ok=True)
    prompts.symlink_to(PROMPTS)
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
        return any(one["id"].startswith("vm-") and one["state"] == "stored" for one in found)

    await wait_until(stored, "the recording is at the centre", 60, 1.0)
    await wait_until(lambda: inbox.mails, "a mail comes", 60, 0.5)
    (mail,) = inbox.mails
    assert (mail["To"], "201" in str(mail["Subject"])) == ("sato@example.com", True)
    events = [one["body"] for one in await lab.centre.records("event") if one["body"]["event"] == "voicemail"]
    assert [(one["box"], one["caller"]) for one in events] == [("202", "201")]
    assert any(lab.box.layout.freeswitch_dir.rglob("msg_*.wav")), "the owner's copy stays"


async def _taken(lab: Lab) -> bool:
    """FreeSWITCH may have been told of the configuration this moment."""
    call = await lab.phones["201"].dial("*98202")
    await wait_until(lambda: call.state in ("established", "closed"), "an answer", 10)
    return call.state == "established"


def _seconds(lab: Lab) -> float:
    sizes = [path.stat().st_size for path in lab.box.layout.freeswitch_dir.rglob("msg_*.wav")]
    return max(sizes, default=0) / 2 / 8_000
