"""A stolen disk: what a box keeps is looked for in the raw image of its disk, encrypted and not. A failure hands a thief what
people said, or tells an operator that his boxes are safe."""

import hashlib
import os
import sqlite3
import struct
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.at_rest_watch import look
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool_files import open_spool
from appliance.freeswitch.voicemail_store import FILE as VOICEMAIL_LIST
from appliance.freeswitch.voicemail_store import messages
from appliance.layout import Layout
from cloudsync.wire import AtRest
from tests.helpers.disk_image import (
    KEY_BYTES,
    Missing,
    encrypt,
    make_image,
    mounted,
    pieces,
    seen,
    unlock,
)

ROOT = Path(__file__).resolve().parents[2]
NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
CALLER = "+81312345678"
PACKET_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Stolen:
    """An image as a thief has it. found: what the box said of its disk while it ran."""

    image: Path
    found: AtRest


def speech(seed: int) -> bytes:
    """Two seconds in which nothing comes twice."""
    return hashlib.shake_128(bytes([seed])).digest(32_000)


MESSAGE, CAPTURED, ROOM = speech(1), speech(2), speech(3)


def live(layout: Layout) -> None:
    """What a box writes: a call's record, a voicemail message with its list, a call that is captured, a recorded room. The last
    two are gone again, as after their conversion: a disk keeps them until it needs the room."""
    for folder in layout.folders():
        folder.mkdir(parents=True, exist_ok=True)
    opened = open_spool(layout.spool, NOW)
    opened.spool.append(
        [NewRecord("call-1", "cdr", 1, NOW.wall_ms, "boot-a", {"id": "call-1", "caller": CALLER})]
    )
    opened.close()
    message = layout.voicemail_dir / "default" / "tokyo-1.example" / "201" / "msg_1.wav"
    with closing(sqlite3.connect(layout.freeswitch_db_dir / VOICEMAIL_LIST)) as db, db:
        db.execute(
            "CREATE TABLE voicemail_msgs (username, cid_number, cid_name, file_path, created_epoch, message_len, uuid, domain)"
        )
        row = ("201", CALLER, "Sato", str(message), 1_790_000_000, 2, "u-1", "tokyo-1.example")
        db.execute("INSERT INTO voicemail_msgs VALUES (?,?,?,?,?,?,?,?)", row)
    write_wav(message, MESSAGE)
    write_wav(layout.rooms_dir / "room-600.wav", ROOM)
    write_capture(layout.pcaps_dir / "call-1.pcap", CAPTURED)
    (layout.capture_tmp_dir / "call-1.meta").write_text(f"call-1\n{CALLER}\n")
    (layout.pcaps_dir / "call-1.pcap").unlink()
    (layout.rooms_dir / "room-600.wav").unlink()


def write_wav(path: Path, audio: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, wave.open(file) as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(audio)
        os.fsync(file.fileno())


def write_capture(path: Path, audio: bytes) -> None:
    """A capture, of fewer and larger packets than a call has."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for at in range(0, len(audio), PACKET_BYTES):
            packet = bytes(40) + audio[at : at + PACKET_BYTES]
            file.write(struct.pack("<IIII", at, 0, len(packet), len(packet)) + packet)
        file.flush()
        os.fsync(file.fileno())


def found_in(image: Path) -> dict[str, float]:
    """Shares of what was said that can be read in the raw image, and whether the caller's number stands there."""
    heard = {
        name: seen(image, pieces(audio)) / len(pieces(audio))
        for name, audio in (("message", MESSAGE), ("capture", CAPTURED), ("room", ROOM))
    }
    return {**heard, "number": seen(image, [CALLER.encode()])}


@pytest.fixture
def key() -> bytes:
    return os.urandom(KEY_BYTES)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Stolen]:
    try:
        image = make_image(tmp_path)
        with mounted(image, tmp_path / "disk") as disk:
            layout = Layout(disk / "kyusai", tmp_path / "run")
            live(layout)
            found = look(layout)
    except Missing as error:
        pytest.skip(str(error))
    yield Stolen(image, found)


@pytest.fixture
def sealed(tmp_path: Path, key: bytes) -> Iterator[Stolen]:
    try:
        image = make_image(tmp_path, "encrypt")
        with mounted(image, tmp_path / "disk") as disk:
            layout = Layout(disk / "kyusai", tmp_path / "run")
            layout.state_dir.mkdir()
            encrypt(layout.state_dir, key)
            live(layout)
            found = look(layout)
    except Missing as error:
        pytest.skip(str(error))
    yield Stolen(image, found)


def test_a_disk_in_the_clear_is_called_so_and_tells_a_thief_everything(plain: Stolen) -> None:
    told = found_in(plain.image)
    assert plain.found is AtRest.NONE
    assert min(told["message"], told["capture"], told["room"]) > 0.8
    assert told["number"]


def test_an_encrypted_folder_is_called_so_and_tells_a_thief_nothing(sealed: Stolen) -> None:
    assert sealed.found is AtRest.FSCRYPT
    assert found_in(sealed.image) == {"message": 0, "capture": 0, "room": 0, "number": 0}


def test_who_mounts_an_encrypted_folder_needs_the_key(sealed: Stolen, tmp_path: Path, key: bytes) -> None:
    with mounted(sealed.image, tmp_path / "disk") as disk:
        layout = Layout(disk / "kyusai", tmp_path / "run")
        names = {path.name for path in layout.state_dir.iterdir()}
        assert names
        assert not {"spool.sqlite", "freeswitch", "audio"} & names
        with pytest.raises(OSError, match="Required key not available"):
            os.open(layout.state_dir / "x", os.O_CREAT | os.O_WRONLY)
    with mounted(sealed.image, tmp_path / "disk") as disk:
        layout = Layout(disk / "kyusai", tmp_path / "run")
        unlock(layout.state_dir, key)
        (message,) = messages(layout.freeswitch_db_dir)
        assert (message.caller, look(layout)) == (CALLER, AtRest.FSCRYPT)
        opened = open_spool(layout.spool, NOW)
        assert opened.spool.depth().waiting == 1
        opened.close()


def test_what_a_killed_test_has_left_is_unmounted_by_the_next(tmp_path: Path) -> None:
    script = """if True:
        import os, sys
        from pathlib import Path
        from tests.helpers.disk_image import Missing, make_image, mounted
        here = Path(sys.argv[1])
        try:
            with mounted(make_image(here), here / "disk"):
                os._exit(3)
        except Missing as error:
            print(error)
        """
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    if done.returncode == 0:
        pytest.skip(done.stdout.strip())
    assert (done.returncode, (tmp_path / "disk").is_mount()) == (3, True), done.stderr
    make_image(tmp_path)
    assert not (tmp_path / "disk").is_mount()


def test_a_folder_beside_the_encrypted_one_gives_the_box_away(tmp_path: Path, key: bytes) -> None:
    """Captures linked to the rest of the disk: the box must not be called encrypted."""
    try:
        image = make_image(tmp_path, "encrypt")
        with mounted(image, tmp_path / "disk") as disk:
            layout = Layout(disk / "kyusai", tmp_path / "run")
            layout.state_dir.mkdir()
            encrypt(layout.state_dir, key)
            (disk / "beside").mkdir()
            assert look(layout) is AtRest.FSCRYPT
            layout.prompts_dir.symlink_to(disk / "beside")
            assert look(layout) is AtRest.FSCRYPT, "prompts are no secret"
            layout.audio_dir.mkdir()
            layout.capture_dir.symlink_to(disk / "beside")
            assert look(layout) is AtRest.NONE
    except Missing as error:
        pytest.skip(str(error))
