"""The agent's look at voicemail boxes, without a FreeSWITCH: what was cut short leaves its box, and files of no box go."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from agent import voicemail_watch
from agent.journal_events import Moment
from agent.spool import Spool
from agent.spool_files import open_spool
from agent.voicemail_watch import VoicemailWatch
from appliance.freeswitch.voicemail_store import FILE, Message
from cloudsync.wire import GENESIS_HASH

NOW = Moment("boot-a", 5_000, 1_790_000_000_000)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool.sqlite", NOW)
    opened.spool.rechain(1, GENESIS_HASH)
    yield opened.spool
    opened.close()


class Boxes:
    """FreeSWITCH's list and files; deleting does what `vm_delete` does."""

    def __init__(self, folder: Path) -> None:
        self.db, self.audio = folder / "db", folder / "voicemail"
        self.db.mkdir()
        columns = """created_epoch, read_epoch, username, domain, uuid, cid_name, cid_number, in_folder, file_path,
            message_len, flags, read_flags, forwarded_by"""
        self.run(f"CREATE TABLE voicemail_msgs ({columns})")

    def run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.db / FILE, isolation_level=None)) as database:
            database.execute(statement, values)

    def file(self, name: str, seconds: float) -> Path:
        path = self.audio / "tokyo-1.example" / "202" / f"msg_{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(int(seconds * 8_000)), 8_000, subtype="PCM_16")
        return path

    def message(self, name: str, seconds: int, held_s: float) -> Path:
        path = self.file(name, held_s)
        values = (1_790_000_000, "202", "tokyo-1.example", name, "201", str(path), seconds)
        names = "created_epoch, username, domain, uuid, cid_number, file_path, message_len"
        self.run(f"INSERT INTO voicemail_msgs ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", *values)  # noqa: S608
        return path

    async def delete(self, message: Message) -> str:
        message.path.unlink(missing_ok=True)
        self.run("DELETE FROM voicemail_msgs WHERE uuid = ?", message.uuid)
        return "+OK"


async def never(_order: str) -> str:
    return "+OK"


def told(spool: Spool) -> list[tuple[Any, ...]]:
    bodies = [one.body for one in spool.waiting(99)]
    return [(one["event"], one["recording"], one.get("reason", "")) for one in bodies]


async def test_a_message_that_lacks_some_leaves_its_box_and_is_told_once(
    spool: Spool, tmp_path: Path
) -> None:
    boxes = Boxes(tmp_path)
    whole, cut = boxes.message("a", 3, 3.4), boxes.message("b", 5, 4.0)
    gone = boxes.message("c", 5, 5.0)
    gone.unlink()  # the controller has removed it, and told
    watch = VoicemailWatch(boxes.db, boxes.audio, spool, ("tokyo-1", "tokyo-1-a"), lambda: NOW)
    await watch.look(True, never, boxes.delete)
    assert told(spool) == [("voicemail", "vm-a", "")], "an owner who deletes lets the file go first"
    assert cut.exists()
    for _ in range(3):
        await watch.look(True, never, boxes.delete)
    assert told(spool) == [("voicemail", "vm-a", ""), ("recording_not_stored", "vm-b", "disk")]
    assert [path.name for path in boxes.audio.rglob("*.wav")] == [whole.name]
    body = spool.waiting(99)[-1].body
    assert (body["what"], body["name"], body["told_ms"], body["held_ms"]) == ("voicemail", "202", 5000, 4000)


async def test_a_file_in_no_box_goes_when_it_has_not_changed_for_two_looks_an_hour_apart(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voicemail_watch, "STRAY_LOOKS", 1)
    boxes = Boxes(tmp_path)
    kept = boxes.message("a", 3, 3.0)
    boxes.file("dead", 2.0)
    boxes.file("growing", 1.0)
    watch = VoicemailWatch(boxes.db, boxes.audio, spool, ("tokyo-1", "tokyo-1-a"), lambda: NOW)
    await watch.look(True, never, boxes.delete)
    growing = boxes.file("growing", 2.0)
    await watch.look(True, never, boxes.delete)
    assert told(spool) == [("voicemail", "vm-a", ""), ("recording_not_stored", "vm-dead", "interrupted")]
    assert sorted(boxes.audio.rglob("*.wav")) == [kept, growing]


async def test_a_message_that_went_with_the_power_leaves_its_box_and_is_told_once(
    spool: Spool, tmp_path: Path
) -> None:
    boxes = Boxes(tmp_path)
    kept, lost = boxes.message("a", 3, 3.0), boxes.message("b", 3, 3.0)

    def watch() -> VoicemailWatch:
        return VoicemailWatch(boxes.db, boxes.audio, spool, ("tokyo-1", "tokyo-1-a"), lambda: NOW)

    await watch().look(True, never, boxes.delete)
    lost.unlink()
    after = watch()
    await after.look(True, never, boxes.delete)
    assert len(told(spool)) == 2, "its owner may be deleting it"
    for _ in range(3):
        await after.look(True, never, boxes.delete)
    assert told(spool)[2:] == [("voicemail_gone", "vm-b", "")]
    assert spool.waiting(99)[-1].body["box"] == "202"
    with closing(sqlite3.connect(boxes.db / FILE)) as database:
        assert database.execute("SELECT file_path FROM voicemail_msgs").fetchall() == [(str(kept),)]
