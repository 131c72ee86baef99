"""Messages are left, counted, heard in the words of who left them, and deleted; a wrong PIN opens nothing."""

import hashlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from appliance import site
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM, extension

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

PIN = "40718"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=3, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True)
    digest = hashlib.md5(f"202:{REALM}:{PIN}".encode(), usedforsecurity=False).hexdigest()
    document = {
        "call_control": "local",
        "applications": [{"number": "*97", "kind": "voicemail"}],
        "mailboxes": [{"number": "202", "code_md5": digest, "language": "en"}],
    }
    lab = Lab(parts, document)
    lab.document["extensions"] = [
        extension(
            number, password, **({"forward_no_answer": "*98202", "no_answer_s": 5} if number == "202" else {})
        )
        for number, password in lab.passwords.items()
    ]
    async with lab:
        yield lab


async def hears(lab: Lab, call: PhoneCall, prompt: str, timeout_s: float = 20.0) -> None:
    assert lab.box.freeswitch is not None
    plan = site.loads(lab.box.layout.document(lab.version).read_bytes()).media
    await call.wait_hears_prompt(lab.box.freeswitch.prompt(plan, prompt, "en"), timeout_s)


def messages(lab: Lab) -> list[str]:
    folder = lab.box.layout.freeswitch_dir / "voicemail"
    return sorted(path.name for path in folder.rglob("msg_*.wav"))


async def test_a_call_that_nobody_answers_leaves_a_message_that_the_owner_hears_and_deletes(lab: Lab) -> None:
    await lab.phones["202"].behave(answer_after_s=None)
    call = await lab.phones["201"].call("202", 20)
    await hears(lab, call, "vm_record")
    await call.wait_hears(640, timeout_s=5)
    await wait_until(lambda: messages(lab), "the message begins", 10)
    await wait_until(lambda: _seconds(lab) > 3, "three seconds are recorded", 15)
    await call.dtmf("#")
    await hears(lab, call, "vm_recorded")
    await call.dtmf("2")
    await call.hangup()
    assert len(messages(lab)) == 1

    owner = await lab.phones["202"].call("*97")
    await hears(lab, owner, "vm_enter_pin")
    await owner.dtmf(f"{PIN}#")
    await hears(lab, owner, "vm_new")
    await hears(lab, owner, "number_1")
    await owner.wait_hears(lab.phones["201"].tone_hz, timeout_s=15)
    await hears(lab, owner, "vm_listen")
    await owner.dtmf("7")
    await hears(lab, owner, "vm_deleted")
    await owner.hangup()
    await wait_until(lambda: not messages(lab), "the message is gone", 10)


def _seconds(lab: Lab) -> float:
    """Of the newest message, by the size of its file (16 kHz, 16 bits)."""
    folder = lab.box.layout.freeswitch_dir / "voicemail"
    return max((path.stat().st_size for path in folder.rglob("msg_*.wav")), default=0) / 32_000


async def test_a_wrong_pin_opens_nothing_and_the_third_ends_the_call(lab: Lab) -> None:
    call = await lab.phones["202"].call("*97")
    for _ in range(3):
        await hears(lab, call, "vm_enter_pin")
        await call.dtmf("11111#")
        await hears(lab, call, "vm_wrong_pin")
    await hears(lab, call, "vm_too_many")
    await call.wait("closed", 15)


async def test_somebody_else_is_asked_whose_box_he_wants(lab: Lab) -> None:
    call = await lab.phones["203"].call("*97")
    await hears(lab, call, "vm_enter_id")
    await call.hangup()
