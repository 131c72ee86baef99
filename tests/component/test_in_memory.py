"""Audio in memory, and the power goes. A failure lets people wait for recordings that nobody has, or calls lost what is there."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from agent import in_memory
from agent.audio_place import Lies
from agent.in_memory import CURSOR, InMemory
from agent.journal_events import Moment
from agent.spool import Spool
from agent.spool_errors import SpoolFull
from agent.spool_files import open_spool
from appliance.layout import Layout
from appliance.media.naming import recording_stem
from cloudsync.wire import GENESIS_HASH

IDS = ("tokyo-1", "tokyo-1-a")
BEFORE, AFTER = Moment("boot-a", 5_000, 1_790_000_000_000), Moment("boot-b", 100, 1_790_000_060_000)
CAPTURE = f"{recording_stem('call@1')}-0123456789abcdef"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    made = Layout(tmp_path / "state", tmp_path / "run")
    for folder in made.folders():
        folder.mkdir(exist_ok=True)
    monkeypatch.setattr(in_memory, "lies", lambda _layout: Lies.MEMORY)
    return made


@pytest.fixture
def spool(layout: Layout) -> Iterator[Spool]:
    with closing(open_spool(layout.spool, BEFORE)) as opened:
        opened.spool.rechain(1, GENESIS_HASH)
        yield opened.spool


def box(layout: Layout, spool: Spool, at: Moment) -> InMemory:
    return InMemory(layout, spool, lambda: at, CapturingLogger())


def say(layout: Layout) -> list[Path]:
    """A capture, a recorded room, a message; and a message that is handed over, and somebody's own file."""
    mailbox = layout.voicemail_dir / "tokyo-1.example" / "202"
    mailbox.mkdir(parents=True)
    paths = [
        layout.pcaps_dir / "call%401-0123456789abcdef.pcap",
        layout.rooms_dir / "conf-1.wav",
        mailbox / "msg_a.wav",
        mailbox / "msg_b.wav",
        mailbox / "msg_b.sent",
        layout.pcaps_dir / "own.pcap",
    ]
    for path in paths:
        path.write_bytes(b"x")
    return paths


def given_up(spool: Spool) -> list[tuple[str, str, str]]:
    bodies = [one.body for one in spool.waiting(99)]
    assert {one["event"] for one in bodies} <= {"recording_given_up"}
    return sorted((one["recording"], one["call_id"], one["reason"]) for one in bodies)


def test_what_went_with_the_power_is_told_once(layout: Layout, spool: Spool) -> None:
    noting = box(layout, spool, BEFORE)
    assert noting.note()
    paths = say(layout)
    assert noting.note()
    assert not noting.note(), "nothing is written while nothing changes"
    for path in paths:
        path.unlink()
    for at in (AFTER, Moment("boot-c", 1, AFTER.wall_ms)):
        back = box(layout, spool, at)
        back.look_back()
        back.tell(IDS)
        back.tell(IDS)
        lost = [(CAPTURE, "call@1", "power"), ("room-conf-1", "", "power"), ("vm-a", "", "power")]
        assert given_up(spool) == lost
        assert spool.waiting(1)[0].body["started_utc"] == "2026-09-21T14:13:20Z"


def test_what_a_full_disk_did_not_take_is_told_when_there_is_room(
    layout: Layout, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    box(layout, spool, BEFORE).note()
    paths = say(layout)
    box(layout, spool, BEFORE).note()
    for path in paths:
        path.unlink()
    back = box(layout, spool, AFTER)
    back.look_back()

    def full(*_arguments: object, **_options: object) -> None:
        raise SpoolFull("spool.full", "no room", "")

    with monkeypatch.context() as patch:
        patch.setattr(spool, "append", full)
        with pytest.raises(SpoolFull):
            back.tell(IDS)
    back.tell(IDS)
    assert len(given_up(spool)) == 3


def test_an_agent_that_was_started_anew_without_the_machine_has_lost_nothing(
    layout: Layout, spool: Spool
) -> None:
    paths = say(layout)
    box(layout, spool, BEFORE).note()
    for path in paths:
        path.unlink()  # handed over and uploaded while the agent was away
    back = box(layout, spool, BEFORE)
    back.look_back()
    back.tell(IDS)
    assert given_up(spool) == []


def test_what_was_handed_over_or_lies_there_still_is_not_lost(layout: Layout, spool: Spool) -> None:
    paths = say(layout)
    box(layout, spool, BEFORE).note()
    paths[0].unlink()
    (layout.recordings_dir / f"{CAPTURE}.json").write_text("{}")
    paths[1].unlink()
    with spool.transaction() as db:
        db.execute(
            """INSERT INTO recording (id, call, path, sha256, cipher_sha256, bytes, started_utc, duration_s, format)
            VALUES ('room-conf-1', '', '', '', '', 1, '', 1, '')"""
        )
    back = box(layout, spool, AFTER)
    back.look_back()
    back.tell(IDS)
    assert given_up(spool) == []


def test_on_a_disk_nothing_is_noted(layout: Layout, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "lies", lambda _layout: Lies.DISK)
    say(layout)
    noting = box(layout, spool, BEFORE)
    assert [noting.note(), noting.note()] == [True, False]
    assert spool.cursor_json(CURSOR)["audio"] == {}


@pytest.mark.parametrize("note", ["", "[]", '{"boot_id": 1}', '{"boot_id": "x", "audio": {"a": 1}}', "{"])
def test_a_note_that_is_damaged_is_none(layout: Layout, spool: Spool, note: str) -> None:
    spool.append(cursors={CURSOR: note})
    back = box(layout, spool, AFTER)
    back.look_back()
    back.tell(IDS)
    assert given_up(spool) == []
