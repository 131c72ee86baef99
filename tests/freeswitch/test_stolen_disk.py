"""The disk is pulled out of a running box: a message in a mailbox, a call that is being captured, who called. An encrypted one
tells a thief nothing of it, and everything that a box runs works on an encrypted folder; one in the clear plays nothing."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyrage
import pytest

from agent.at_rest_watch import look, look_at
from appliance.box import Audio
from appliance.freeswitch.kept_audio import is_whole
from appliance.freeswitch.voicemail_store import messages
from appliance.freeswitch.voicemail_xml import MESSAGE_MIN_S
from cloudsync.wire import AtRest
from tests.helpers.disk_image import KEY_BYTES, Missing, encrypt, make_image, mounted, pieces, seen, settle
from tests.lab.freeswitch import SHORT
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import extension

IMAGE_BYTES = 128 * 1024 * 1024
SAID_S = MESSAGE_MIN_S + 0.4
"""Shorter messages are not kept."""
CAPTURE_BYTES = 40_000
"""A second of both sides."""
PARTS = Parts(
    phones=3,
    cloud_phones=0,
    cloud=False,
    gateway=False,
    carrier=False,
    freeswitch=True,
    audio=Audio.AUTO,
)
DOCUMENT = {
    "call_control": "local",
    "recording": {"recipients": [str(pyrage.x25519.Identity.generate().to_public())]},
    "prompts": [one for one in SHORT if one["id"] != "vm_greeting"],
    "applications": [{"number": "*97", "kind": "voicemail"}],
    "mailboxes": [{"number": "202", "code_md5": "0" * 32, "language": "en"}],
}
NUMBER = b"+81312340201"
"""Of the telephone that calls, in the site's document and in what was made of it."""


class Disk(NamedTuple):
    """sealed: a folder on it that fscrypt encrypts; clear: one beside that it does not."""

    image: Path
    sealed: Path
    clear: Path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        image = make_image(tmp_path, "encrypt", size_bytes=IMAGE_BYTES)
        with mounted(image, tmp_path / "disk") as root:
            made = Disk(image, root / "kyusai", root / "beside")
            for folder in made[1:]:
                folder.mkdir()
            encrypt(made.sealed, os.urandom(KEY_BYTES))
            yield made
    except Missing as error:
        pytest.skip(str(error))


def box_on(folder: Path) -> Lab:
    """A lab whose box keeps its state there; everybody's calls are recorded, and 202 has a mailbox that answers."""
    lab = Lab(PARTS, {**DOCUMENT})
    lab.document["extensions"] = [
        extension(number, password, record="all", forward_always="*98202" if number == "202" else "")
        for number, password in lab.passwords.items()
    ]
    (lab.folder / "box").mkdir()
    (lab.folder / "box" / "state").symlink_to(folder)
    return lab


async def leave_a_message(lab: Lab) -> Path:
    """Where it lies."""
    layout = lab.box.layout
    left = await lab.phones["201"].call("202")
    await lab.hears(left, "vm_record")
    await left.wait_hears(640, timeout_s=15)
    await wait_until(lambda: said_s(layout.voicemail_dir) > SAID_S, "enough is said", 30)
    await left.hangup()
    await wait_until(lambda: messages(layout.freeswitch_db_dir), "the message is kept", 30)
    (message,) = messages(layout.freeswitch_db_dir)
    return message.path


async def talk(lab: Lab) -> PhoneCall:
    """A call that is up, and of which enough is captured to be found."""
    call = await lab.phones["201"].call("203")
    await call.wait_hears(lab.phones["203"].tone_hz, timeout_s=15)
    await wait_until(lambda: largest(lab.box.layout.pcaps_dir) > CAPTURE_BYTES, "enough is captured", 30)
    return call


async def test_an_encrypted_disk_that_is_pulled_out_of_a_running_box_tells_nothing(disk: Disk) -> None:
    async with box_on(disk.sealed) as lab:
        layout = lab.box.layout
        message = await leave_a_message(lab)
        call = await talk(lab)
        kept = [message, *layout.pcaps_dir.glob("*.pcap"), layout.document(lab.version)]
        needles = [piece for path in kept for piece in pieces(path.read_bytes())] + [NUMBER]
        await asyncio.to_thread(settle, disk.sealed)
        found = seen(disk.image, needles)
        assert (found, look(layout), look_at(layout.audio_dir)) == (0, AtRest.FSCRYPT, AtRest.FSCRYPT)
        for path in kept:
            shutil.copy(path, disk.clear)
        await asyncio.to_thread(settle, disk.clear)
        assert seen(disk.image, needles) > 0.8 * len(needles), "in the clear all of it is found"
        await call.hangup()


async def test_a_disk_in_the_clear_that_is_pulled_out_plays_nothing_and_tells_who_called(disk: Disk) -> None:
    """Without anybody having set anything up. Messages are heard as ever."""
    async with box_on(disk.clear) as lab:
        layout = lab.box.layout
        message = await leave_a_message(lab)
        call = await talk(lab)
        kept = [message, *layout.pcaps_dir.glob("*.pcap")]
        needles = [piece for path in kept for piece in pieces(path.read_bytes())]
        await asyncio.to_thread(settle, disk.clear)
        found = (seen(disk.image, needles), look(layout), look_at(layout.audio_dir))
        assert found == (0, AtRest.NONE, AtRest.MEMORY)
        assert seen(disk.image, [NUMBER]) > 0
        await call.hangup()
        await lab.box.kill("freeswitch")
        await lab.box.start("freeswitch")
        assert [one.path for one in messages(layout.freeswitch_db_dir)] == [message]
        assert is_whole(messages(layout.freeswitch_db_dir)[0]), "a program's end costs no message"


def said_s(folder: Path) -> float:
    """Length of the message below a folder, by its size and the rate in its header."""
    for path in folder.rglob("msg_*.wav"):
        head = path.read_bytes()[:44]
        return path.stat().st_size / 2 / int.from_bytes(head[24:28], "little") if len(head) == 44 else 0.0
    return 0.0


def largest(folder: Path) -> int:
    return max((path.stat().st_size for path in folder.glob("*.pcap")), default=0)
