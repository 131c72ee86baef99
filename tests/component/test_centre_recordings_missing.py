"""Calls of which the recording is not at the centre, and audio there that nobody knows. A failure here is a recording that is
gone and that nobody hears of, or one that could be played and that nobody finds."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from sqlalchemy import event, text

from appliance.errors import KyusaiError
from cloudsync import wire
from cloudsync.held import Held
from cloudsync.layout import CentreLayout
from cloudsync.refusals import NotFound
from cloudsync.service import listening, record_search, records, retention, strays, work
from cloudsync.service import recordings as rules
from cloudsync.service.access import BoxIdentity
from cloudsync.service.backup import backup, restore
from cloudsync.service.centre import Centre
from cloudsync.settings import StoreSettings, save
from cloudsync.store import boxes, naming, recordings
from tests.helpers.centre_box import ROOT, environment, opened, prepare_site
from tests.helpers.centre_contents import put_recording
from tests.helpers.centre_stores import DATABASES, STORES, prepared

WHO = BoxIdentity("tokyo-1", "tokyo-1-a")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
EVERYTHING = set(Held) - {Held.STORED}


class Box:
    """Its chain, what it tells of itself, and the centre's clock."""

    def __init__(self, centre: Centre, who: BoxIdentity = WHO) -> None:
        self.now = NOW
        self.who = who
        self.centre = replace(centre, clock=lambda: self.now)
        self._last: wire.Record | None = None
        self._first: wire.Record | None = None
        with centre.database.write() as connection:
            boxes.enrol(connection, self.who.box_id, self.who.site_id, "k", "{}", wire.format_utc(NOW))

    def use(self, centre: Centre) -> None:
        """Go on at a centre that was set back to the first record."""
        self.centre = replace(centre, clock=lambda: self.now)
        self._last = self._first

    def send(self, kind: str, body: dict[str, Any], made: datetime | None = None) -> None:
        number = self._last.seq + 1 if self._last else 1
        self._last = wire.chain_record(
            self._last.hash if self._last else wire.GENESIS_HASH,
            seq=number,
            record_id=f"r{number}",
            kind=kind,
            priority=1,
            created_utc=wire.format_utc(made or self.now),
            boot_id="boot-1",
            body=body,
        )
        self._first = self._first or self._last
        batch = wire.Batch(self.who.site_id, self.who.box_id, [wire.as_json(self._last)])
        assert records.take(self.centre, self.who, batch)[0].status == "stored"

    def call(self, *names: str, made: datetime | None = None) -> None:
        body = {"call_id": f"call-of-{names[0]}", "recordings": list(names), "billsec_ms": 61_000}
        self.send("cdr", body | {"start_utc": wire.format_utc(made or self.now)}, made)

    def give_up(self, recording_id: str) -> None:
        self.send("event", {"event": "recording_given_up", "recording": recording_id, "reason": "age"})

    def beat(self, waiting: int = 0, parked: int = 0) -> None:
        told = json.dumps({"spool": {"recordings_waiting": waiting, "recordings_parked": parked}})
        with self.centre.database.write() as connection:
            boxes.saw_all(connection, {self.who.box_id: told}, self.centre.now_utc())

    def offer(self, recording_id: str) -> None:
        digest = "0" * 64
        offer = wire.RecordingOffer(recording_id, "c", digest, digest, 9, "2026-11-21T09:00:00Z", 1.0, "o")
        rules.offer(self.centre, self.who, offer)

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)

    def missing(
        self, states: set[Held] | None = None, since: str = "", limit: int = 50
    ) -> dict[str, list[str]]:
        """Name -> what is told of it, of calls that are listed."""
        asked = record_search.Asked(site=self.who.site_id, since=since, limit=limit)
        found = record_search.without_recordings(self.centre, asked, states or {Held.MISSING}, self.now)
        return {one["name"]: one["held"] for row in found.rows for one in row["recordings_held"]}


def stem(letter: str) -> str:
    return f"rec-{letter * 32}"


def piece(letter: str, number: int = 1) -> str:
    return f"{stem(letter)}-{str(number) * 16}"


@pytest.fixture(params=DATABASES)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    with opened(prepared(tmp_path / "data", request.param)) as centre:
        prepare_site(centre)
        yield Box(centre)


def test_every_recording_that_a_call_names_is_accounted_for(box: Box) -> None:
    for letter in "abcdefg":
        box.call(stem(letter))
    box.send("cdr", {"call_id": "not recorded"})
    prepare_site(box.centre, "osaka-1")
    other = Box(box.centre, BoxIdentity("osaka-1", "osaka-1-a"))
    other.call(stem("o"))
    box.send("event", {"event": "voicemail", "recording": piece("9"), "box": "201"})
    put_recording(box.centre, piece("a"), b"audio" * 100)
    put_recording(box.centre, piece("b"), b"audio" * 100)
    put_recording(box.centre, piece("b", 2), b"more" * 100)
    box.offer(piece("c"))
    put_recording(box.centre, piece("d"), b"audio" * 100)
    with box.centre.database.write() as connection:
        known = recordings.find(connection, WHO.site_id, piece("d"))
        assert known is not None
        retention.note_deleted(connection, known, box.centre.now_utc(), "test")
    box.give_up(piece("e"))
    put_recording(box.centre, piece("f"), b"audio" * 100)
    box.give_up(piece("f", 2))
    box.beat(waiting=1)
    box.pass_time(hours=2)
    assert box.missing() == {}, "the box may still have them"
    assert box.missing(EVERYTHING) == {
        stem("c"): ["coming"],
        stem("d"): ["deleted"],
        stem("e"): ["given_up"],
        stem("f"): ["stored", "given_up"],
        stem("g"): ["expected"],
        piece("9"): ["expected"],
    }
    box.beat()
    assert box.missing() == {stem("g"): ["missing"], piece("9"): ["missing"]}
    assert other.missing(EVERYTHING) == {stem("o"): ["expected"]}
    shown = record_search.find(box.centre, record_search.Asked(), box.now)
    held = {row["body"].get("call_id"): row.get("recordings_held") for row in shown.rows}
    assert held["not recorded"] is None
    assert held[f"call-of-{stem('b')}"] == [
        {
            "name": stem("b"),
            "held": ["stored"],
            "recordings": [{"id": piece("b"), "held": "stored"}, {"id": piece("b", 2), "held": "stored"}],
        }
    ]
    assert held[f"call-of-{stem('g')}"] == [{"name": stem("g"), "held": ["missing"], "recordings": []}]


def test_recording_is_expected_until_its_box_was_heard_an_hour_later_with_nothing_left(box: Box) -> None:
    box.call(stem("a"))
    assert box.missing(EVERYTHING) == {stem("a"): ["expected"]}, "never heard"
    box.pass_time(minutes=59)
    box.beat()
    assert box.missing(EVERYTHING) == {stem("a"): ["expected"]}, "it may still be made"
    box.pass_time(minutes=2)
    box.beat(parked=1)
    assert box.missing(EVERYTHING) == {stem("a"): ["expected"]}
    box.beat()
    assert box.missing() == {stem("a"): ["missing"]}
    box.beat(waiting=3)
    with box.centre.database.write() as connection:
        boxes.revoke(connection, WHO.box_id, box.centre.now_utc())
    assert box.missing() == {stem("a"): ["missing"]}, "a box that is shut out brings nothing"


def test_calls_are_looked_through_page_by_page_back_to_the_time_that_was_asked_for(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudsync.service.recording_holes.PAGE", 3)
    for number in range(10):
        made = NOW - timedelta(days=number, minutes=number % 2)
        box.call(f"rec-{number:032}", made=made)
        box.call(f"rec-b{number:031}", made=made)
    put_recording(box.centre, f"rec-{4:032}-{'1' * 16}", b"audio" * 100)
    box.pass_time(hours=2)
    box.beat()
    assert len(box.missing(since="30d")) == 19
    assert set(box.missing(since="50h")) == {f"rec-{c}{n:031}" for c in "0b" for n in range(2)} | {
        f"rec-{2:032}", f"rec-b{2:031}"
    }  # fmt: skip
    assert list(box.missing(limit=1)) == [f"rec-b{0:031}"], "the newest first"
    box.call(f"rec-{99:032}", made=datetime(1970, 1, 1, tzinfo=UTC))
    while work.step(box.centre, "test"):  # its time is corrected: it is known by its arrival
        pass
    box.pass_time(hours=2)
    box.beat()
    assert f"rec-{99:032}" in box.missing(since="3h")
    with pytest.raises(NotFound):
        record_search.without_recordings(
            box.centre, record_search.Asked(site="nowhere"), {Held.MISSING}, box.now
        )
    with pytest.raises(KyusaiError) as refused:
        box.missing(since="soon")
    assert refused.value.key == "centre.bad_since"


def test_names_and_calls_are_found_by_indexes(box: Box) -> None:
    box.call(stem("a"))
    box.give_up(piece("a"))
    steps: list[str] = []
    with box.centre.database.read() as connection:
        postgresql = connection.dialect.name == "postgresql"
        if postgresql:  # of a large table; a small one is read as a whole, and rightly
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN" if postgresql else "EXPLAIN QUERY PLAN"
        seen: list[tuple[str, Any]] = []

        def note(_conn: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            seen.append((statement, values))

        event.listen(connection.engine, "before_cursor_execute", note)
        naming.held(connection, "tokyo-1", [stem("a")])
        list(naming.bodies(connection, "tokyo-1", "event", "given_up", "2026"))
        naming.page(connection, "tokyo-1", "cdr", "recordings", "2026", ("2027", 1), 10)
        naming.corrected(connection, "tokyo-1", "cdr", "recordings", "2026", 10)
        event.remove(connection.engine, "before_cursor_execute", note)
        for statement, values in seen:
            rows = connection.exec_driver_sql(f"{explain} {statement}", values)
            steps += [str(row[-1]) for row in rows]
    assert len(seen) == 5
    if not postgresql:
        assert sum("record_by_site_kind" in step for step in steps) >= 2, "\n".join(steps)
    read = [step for step in steps if "SCAN " in step or "Seq Scan" in step]
    assert [step for step in read if "wanted" not in step] == [], "\n".join(steps)


@pytest.mark.parametrize("store", STORES)
def test_audio_that_the_database_does_not_know_is_found_and_taken_in_where_a_call_names_it(
    tmp_path: Path, store: str
) -> None:
    key = pyrage.x25519.Identity.generate()
    with opened(prepared(tmp_path / "data", store)) as centre:
        prepare_site(centre)
        box = Box(centre)

        def lay(recording_id: str, audio: bytes, *, sealed: bool = True) -> str:
            cipher = pyrage.encrypt(audio, [key.to_public()]) if sealed else audio
            digest = hashlib.sha256(cipher).hexdigest()
            centre.blobs.put_whole(WHO.site_id, recording_id, digest, iter([cipher]))
            return digest

        put_recording(box.centre, piece("a"), b"known" * 100)
        digest = lay(piece("b"), b"lost" * 100)
        lay(piece("c"), b"nobody" * 100)
        lay(piece("d"), b"not sealed" * 100, sealed=False)
        box.call(stem("a"))
        box.call(stem("b"))
        box.call(stem("d"))
        box.pass_time(hours=2)
        box.beat()
        assert set(box.missing()) == {stem("b"), stem("d")}
        found = strays.find(box.centre, "", "", box.now)
        assert [(one.id, one.row is not None) for one in found] == [
            (piece("b"), True), (piece("c"), False), (piece("d"), True)
        ]  # fmt: skip
        assert [strays.adopt(box.centre, one, "admin:test") for one in found] == [True, False, False]
        assert [strays.adopt(box.centre, one, "admin:test") for one in found[:1]] == [False], "once"
        assert set(box.missing()) == {stem("d")}
        with centre.database.read() as connection:
            row = recordings.find(connection, WHO.site_id, piece("b"))
        assert row is not None
        assert (row.state, row.call, row.cipher_sha256, row.duration_s, row.sha256) == (
            "stored", f"call-of-{stem('b')}", digest, 61.0, ""
        )  # fmt: skip
        keys = [str(key)]
        got = listening.fetch(box.centre, piece("b"), "", tmp_path / "audio", "admin:test", keys)
        assert (got.path.read_bytes(), got.sha256_fits) == (b"lost" * 100, True)
        offer = wire.RecordingOffer(
            piece("b"),
            "c",
            hashlib.sha256(b"lost" * 100).hexdigest(),
            digest,
            row.bytes,
            "2026-11-21T09:00:00Z",
            4.0,
            "ogg/opus",
        )
        stands, fresh = rules.offer(box.centre, WHO, offer)
        assert fresh, "a box that still has it says what it is"
        now = rules.settle(box.centre, stands)
        assert (now.state, now.sha256, now.receipt is not None) == ("stored", offer.sha256, True)
        assert rules.offer(box.centre, WHO, offer)[1] is False


def test_recordings_that_came_after_the_backup_are_named_and_found_again_where_they_still_lie(
    tmp_path: Path,
) -> None:
    place = tmp_path / "recordings"
    folders = [tmp_path / "lost", tmp_path / "restored"]
    for folder in folders:
        folder.mkdir()
        save(CentreLayout(folder).settings, StoreSettings("", str(place)))
    with opened(folders[0]) as centre:
        prepare_site(centre)
        box = Box(centre)
        box.call(stem("a"))
        put_recording(box.centre, piece("a"), b"before" * 100)
        backup(centre, tmp_path / "backup")
        box.call(stem("b"))
        put_recording(box.centre, piece("b"), b"after" * 100)
        box.call(stem("c"))
        put_recording(box.centre, piece("c"), b"and gone" * 100)
    (place / "recordings/tokyo-1" / f"{piece('c')}.age").unlink()
    restore(tmp_path / "backup", folders[1], "admin:test")
    with opened(folders[1]) as centre:
        box.use(centre)
        assert strays.find(box.centre, "", "", box.now)[0].row is None, "nobody names it yet"
        for letter in "bc":
            box.call(stem(letter))  # the box sends what the centre lost
        box.pass_time(hours=2)
        box.beat()
        assert set(box.missing()) == {stem("b"), stem("c")}
        (stray,) = strays.find(box.centre, "", "", box.now)
        assert strays.adopt(box.centre, stray, "admin:test")
        assert set(box.missing()) == {stem("c")}
        done = backup(centre, tmp_path / "next")
        assert (done.recordings.copied, done.recordings.wrong) == (2, [])


def test_commands_list_what_is_missing_and_what_is_unknown(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as centre:
        prepare_site(centre)
        box = Box(centre)
        box.now = datetime.now(UTC) - timedelta(hours=3)
        box.call(stem("a"))
        box.call(stem("b"))
        put_recording(box.centre, piece("b"), b"audio" * 100)
        box.pass_time(hours=2)
        box.beat()
        stray = tmp_path / "data" / "recordings" / "tokyo-1" / f"{piece('a')}.age"
        stray.write_bytes(b"age-encryption.org/v1\nand so on")

    def run(*words: str, lang: str = "en") -> str:
        command = [sys.executable, "kyusai_cli.py", *words, "--data", str(tmp_path / "data")]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(KYUSAI_LANG=lang), capture_output=True, text=True, check=True
        )
        return done.stdout

    assert "recording: NOT THERE" in run("recordings", "missing")
    assert "録音: 所在不明" in run("recordings", "missing", lang="ja")
    (row,) = json.loads(run("recordings", "missing", "--json"))
    assert row["recordings_held"][0]["name"] == stem("a")
    shown = run("records")
    assert "recording: NOT THERE" in shown
    assert "recorded" in shown
    (found,) = json.loads(run("recordings", "strays", "--json"))
    assert (found["id"], found["call_id"]) == (piece("a"), f"call-of-{stem('a')}")
    assert "1 recordings were taken in." in run("recordings", "strays", "--adopt")
    assert json.loads(run("recordings", "missing", "--json")) == []
