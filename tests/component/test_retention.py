"""Giving recordings up in a real spool and folder. A failure means silent loss, or a disk that never gets emptier."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import recording_classes, recording_spool
from agent.journal_events import Moment
from agent.recording_table import RecordingTable
from agent.records import NewRecord
from agent.retain import Retention
from agent.retention import DAY_S, Reason
from agent.senders import take_in
from agent.spool import Spool
from agent.spool_files import open_spool
from appliance.site_model import Keeping
from appliance.site_retention import RetentionPlan
from cloudsync.wire import GENESIS_HASH

NOW = Moment("boot-a", 5_000, 1_790_000_000_000)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool.sqlite", NOW)
    opened.spool.rechain(1, GENESIS_HASH)
    yield opened.spool
    opened.close()


def record(folder: Path, name: str, started_utc: str, size: int = 1024 * 1024) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.age"
    path.write_bytes(bytes(size))
    digest = hashlib.sha256(bytes(size)).hexdigest()
    recording_spool.add(name, "call", path, digest, digest, size, started_utc, 1.0, "ogg")


def prepared(spool: Spool, folder: Path) -> RecordingTable:
    for day in (1, 2, 3):
        record(folder, f"rec-{day}", f"2026-11-0{day}T00:00:00Z")
    table = RecordingTable(spool)
    assert take_in(table, folder) == (3, [])
    return table


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_given_up_recordings_go_with_their_files_and_the_centre_is_told(spool: Spool, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    table = prepared(spool, folder)
    retention = Retention(spool, "tokyo-1", "tokyo-1-a")
    assert retention.look(Keeping(mebibytes=2), NOW, 0.0) == [("rec-1", Reason.SIZE)]
    assert names(folder) == ["rec-2.age", "rec-2.json", "rec-3.age", "rec-3.json"]
    assert table.known() == {"rec-2", "rec-3"}
    (told,) = spool.waiting(10)
    assert (told.kind, told.body["event"], told.body["recording"], told.body["reason"]) == (
        "event",
        "recording_given_up",
        "rec-1",
        "size",
    )
    assert (retention.count.size, retention.count.bytes) == (1, 1024 * 1024)
    assert retention.look(Keeping(mebibytes=2), NOW, 0.0) == []
    assert len(spool.waiting(10)) == 1


def test_age_is_counted_over_restarts(spool: Spool, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    prepared(spool, folder)
    for _ in range(3):  # agents one after the other
        assert Retention(spool, "tokyo-1", "tokyo-1-a").look(Keeping(days=3), NOW, DAY_S) == []
    gone = Retention(spool, "tokyo-1", "tokyo-1-a").look(Keeping(days=3), NOW, DAY_S)
    assert gone == [(f"rec-{day}", Reason.AGE) for day in (1, 2, 3)]
    assert names(folder) == []


def test_class_of_a_call_shortens_what_its_recordings_are_kept_here(spool: Spool, tmp_path: Path) -> None:
    prepared(spool, tmp_path / "recordings")
    body = {"recordings": ["rec-1", "rec-x"], "retention": "short"}
    cdr = NewRecord("cdr-1", "cdr", 1, NOW.wall_ms, NOW.boot_id, body)
    spool.append([cdr], cursors=recording_classes.told([cdr]))
    retention = Retention(spool, "tokyo-1", "tokyo-1-a")
    assert retention.look(Keeping(), NOW, 0.0, {"short": 2}) == []
    assert retention.look(Keeping(), NOW, DAY_S, {"short": 2}) == []
    assert retention.look(Keeping(), NOW, DAY_S, {"short": 2}) == [("rec-1", Reason.AGE)]
    assert retention.look(Keeping(), NOW, 10 * DAY_S, {"short": 2}) == [], "the others are in no class"
    assert recording_classes.read(spool) == {"rec-1": "short"}, "rec-x is forgotten, rec-1 only in a day"
    assert retention.look(Keeping(), NOW, 8 * DAY_S, {}) == []
    assert recording_classes.read(spool) == {}


def test_class_of_a_message_is_offered_with_it_and_counts_here(spool: Spool, tmp_path: Path) -> None:
    record(tmp_path, "vm-1", "2026-11-01T00:00:00Z")
    table = RecordingTable(spool)
    take_in(table, tmp_path, RetentionPlan(voicemail="short").class_of_recording)
    assert table.class_of("vm-1") == "short"
    retention = Retention(spool, "tokyo-1", "tokyo-1-a")
    assert retention.look(Keeping(), NOW, 0.0, {"short": 2}) == []
    assert retention.look(Keeping(), NOW, 2 * DAY_S, {"short": 2}) == [("vm-1", Reason.AGE)]


def test_what_is_on_its_way_stays(spool: Spool, tmp_path: Path) -> None:
    table = prepared(spool, tmp_path / "recordings")
    busy = Retention(spool, "tokyo-1", "tokyo-1-a", lambda: frozenset({"rec-1"}))
    assert busy.look(Keeping(mebibytes=2), NOW, 0.0) == []
    assert table.known() == {"rec-1", "rec-2", "rec-3"}


def test_killed_after_the_files_went_it_is_given_up_again_and_told_once(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = prepared(spool, tmp_path / "recordings")
    retention = Retention(spool, "tokyo-1", "tokyo-1-a")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(spool, "add_records", killed)
        with pytest.raises(KeyboardInterrupt):
            retention.look(Keeping(mebibytes=2), NOW, 0.0)
    assert table.known() == {"rec-1", "rec-2", "rec-3"}
    assert not (tmp_path / "recordings" / "rec-1.age").exists()
    assert retention.look(Keeping(mebibytes=2), NOW, 0.0) == [("rec-1", Reason.SIZE)]
    assert [one.body["recording"] for one in spool.waiting(10)] == ["rec-1"]


def test_call_records_are_never_given_up(spool: Spool, tmp_path: Path) -> None:
    prepared(spool, tmp_path / "recordings")
    spool.append([NewRecord("cdr-1", "cdr", 1, NOW.wall_ms, NOW.boot_id, {})])
    Retention(spool, "tokyo-1", "tokyo-1-a").look(Keeping(days=1, mebibytes=1), NOW, 400 * DAY_S)
    assert "cdr-1" in [one.id for one in spool.waiting(10)]
