"""Retention classes at a real store. A failure is a recording that is deleted too early, one that the law wanted gone, or a row
that promises audio that is not there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import KyusaiError
from cloudsync import wire
from cloudsync.refusals import NotFound
from cloudsync.service import audit_log, configuration, listening, moving, records, retention, work
from cloudsync.service import backup as backups
from cloudsync.service import recordings as rules
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.settings import StoreSettings
from cloudsync.store import audit, jobs, recordings
from cloudsync.store import retention as store
from cloudsync.store.recordings import DELETED, Recording
from tests.helpers.centre_box import ROOT, CentreProcess, environment, opened, prepare_site
from tests.helpers.centre_box import Box as WireBox
from tests.helpers.centre_contents import put_recording
from tests.helpers.centre_stores import STORES, prepared
from tests.helpers.site_documents import RECIPIENT, document

WHO = BoxIdentity("tokyo-1", "tokyo-1-a")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STEM = f"rec-{'a' * 32}"
FIRST, SECOND = f"{STEM}-{'1' * 16}", f"{STEM}-{'2' * 16}"
OTHER = f"rec-{'b' * 32}-{'1' * 16}"


class Box:
    """Its chain, and the centre's clock."""

    def __init__(self, centre: Centre) -> None:
        self.days = 0.0
        self.centre = replace(centre, clock=lambda: NOW + timedelta(days=self.days))
        self._last: wire.Record | None = None

    def call(self, retention_class: str, *names: str) -> None:
        body: dict[str, Any] = {"recordings": list(names), "retention": retention_class}
        number = self._last.seq + 1 if self._last else 1
        self._last = wire.chain_record(
            self._last.hash if self._last else wire.GENESIS_HASH,
            seq=number,
            record_id=f"r{number}",
            kind="cdr",
            priority=1,
            created_utc=self.centre.now_utc(),
            boot_id="boot-1",
            body=body,
        )
        batch = wire.Batch("tokyo-1", "tokyo-1-a", [wire.as_json(self._last)])
        assert records.take(self.centre, WHO, batch)[0].status == "stored"

    def publish(self, **days: int) -> None:
        classes = [{"class": name, "days": number} for name, number in days.items()]
        recording = {"recipients": [RECIPIENT], "retention": classes}
        configuration.publish(self.centre, json.dumps(document(recording=recording)), "admin:test")

    def after(self, days: float) -> None:
        """The centre's work at that many days from the beginning, at work since the day before at least."""
        self.leap(max(days - 1.0, self.days))
        self.leap(days)

    def leap(self, days: float) -> None:
        """The same after nothing: the clock leapt, or the centre was off."""
        self.days = days
        while work.step(self.centre, "test"):
            pass

    def put(self, *ids: str) -> None:
        for one in ids:
            put_recording(self.centre, one, one.encode() * 100)

    def row(self, recording_id: str) -> Recording:
        with self.centre.database.read() as connection:
            found = recordings.find(connection, "tokyo-1", recording_id)
        assert found is not None
        return found

    def file_bytes(self, recording_id: str) -> int | None:
        known = self.row(recording_id)
        return self.centre.blobs.whole_bytes(known.site_id, known.id, known.cipher_sha256)

    def states(self, *ids: str) -> list[tuple[str, bool]]:
        """State and whether the audio is there."""
        return [(self.row(one).state, self.file_bytes(one) is not None) for one in ids]

    def audited(self, action: str) -> list[dict[str, Any]]:
        with self.centre.database.read() as connection:
            return [row for row in audit.newest(connection, 100) if row["action"] == action]


HERE, GONE = ("stored", True), (DELETED, False)


@pytest.fixture(params=STORES)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    with opened(prepared(tmp_path / "data", request.param)) as centre:
        prepare_site(centre)
        yield Box(centre)


def test_recording_goes_when_its_class_has_run_out_and_not_a_moment_before(box: Box) -> None:
    box.publish(short=30, long=3650)
    box.put(FIRST)  # before its call's record
    box.call("short", STEM)
    box.put(SECOND)  # after it
    box.call("long", OTHER)
    box.put(OTHER)
    box.put("rec-without")
    box.after(29.99)
    assert box.states(FIRST, SECOND, OTHER, "rec-without") == [HERE] * 4
    with box.centre.database.read() as connection:
        until = retention.kept_until(connection, recordings.newest(connection, limit=9), box.centre.now_utc())
    assert until["tokyo-1", FIRST] == until["tokyo-1", SECOND] == "2026-12-21T09:00:00.000Z"
    assert ("tokyo-1", "rec-without") not in until
    box.after(30.1)
    assert box.states(FIRST, SECOND, OTHER, "rec-without") == [GONE, GONE, HERE, HERE]
    told = {row["subject"]: json.loads(row["detail"]) for row in box.audited("recording.delete")}
    assert set(told) == {FIRST, SECOND}
    assert (told[FIRST]["retention"], told[FIRST]["days"]) == ("short", 30)
    box.after(36_500)
    assert box.states(OTHER, "rec-without") == [GONE, HERE]
    assert len(box.audited("recording.delete")) == 3, "each once"


def test_held_recording_stays_until_it_is_let_go(box: Box) -> None:
    box.publish(short=1)
    box.call("short", FIRST)
    box.put(FIRST)
    retention.hold(box.centre, FIRST, "", "admin:test")
    box.after(400)
    assert box.states(FIRST) == [HERE]
    retention.hold(box.centre, FIRST, "tokyo-1", "admin:test", off=True)
    box.after(401)
    assert box.states(FIRST) == [GONE]
    assert [len(box.audited(f"recording.{word}")) for word in ("hold", "release")] == [1, 1]
    with pytest.raises(KyusaiError) as refused:
        retention.hold(box.centre, FIRST, "", "admin:test")
    assert refused.value.key == "recording.deleted"
    with pytest.raises(NotFound):
        retention.hold(box.centre, "rec-nobody", "", "admin:test")


def test_hold_on_an_upload_survives_that_it_is_offered_anew(box: Box) -> None:
    offer = wire.RecordingOffer(FIRST, "c", "0" * 64, "1" * 64, 9, "2026-11-21T09:00:00Z", 1.0, "ogg/opus")
    rules.offer(box.centre, WHO, offer)
    retention.hold(box.centre, FIRST, "", "admin:test")
    rules.offer(box.centre, WHO, replace(offer, cipher_sha256="2" * 64))
    assert (box.row(FIRST).cipher_sha256, box.row(FIRST).held_utc) == ("2" * 64, box.centre.now_utc())


def test_class_without_days_deletes_nothing_until_a_document_gives_it_some(box: Box) -> None:
    box.call("short", FIRST)
    box.put(FIRST)
    box.after(1000)
    assert box.states(FIRST) == [HERE], "no document yet"
    box.publish(long=1)
    box.after(1001)
    assert box.states(FIRST) == [HERE]
    box.publish(short=1002)
    box.after(1001.5)
    assert box.states(FIRST) == [HERE]
    box.after(1003)
    assert box.states(FIRST) == [GONE]


def test_centre_that_dies_between_row_and_file_removes_the_file_later(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.publish(short=1)
    box.call("short", STEM)
    box.put(FIRST, SECOND)

    def dies(_centre: Centre, _job: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setitem(work.HANDLERS, retention.REMOVE, dies)
        box.after(2)
    assert box.states(FIRST, SECOND) == [(DELETED, True)] * 2, "no row says stored without its file"
    box.after(3)
    assert box.states(FIRST, SECOND) == [GONE] * 2
    box.centre.blobs.remove_whole("tokyo-1", FIRST, box.row(FIRST).cipher_sha256)  # again is no fault
    assert len(box.audited("recording.delete")) == 2


def test_box_that_asks_again_after_the_deletion_is_told_to_delete_its_own(box: Box) -> None:
    box.publish(short=1)
    box.call("short", FIRST)
    box.put(FIRST)
    before = box.row(FIRST)
    box.after(2)
    names = ("id", "call", "sha256", "cipher_sha256", "bytes", "started_utc", "duration_s", "format")
    offer = wire.RecordingOffer(**{name: getattr(before, name) for name in names})
    known, new = rules.offer(box.centre, WHO, offer)
    assert (known.complete, new, known.receipt) == (True, False, before.receipt)
    anew, _ = rules.offer(box.centre, WHO, replace(offer, cipher_sha256="2" * 64))
    assert anew.receipt == before.receipt, "encrypted anew by a conversion that was repeated"
    again = rules.find(box.centre, WHO, FIRST)
    assert (again.offset_bytes, rules.pieces(box.centre, again)) == (again.bytes, [])
    assert rules.settle_all(box.centre) == 0
    assert box.states(FIRST) == [GONE]
    with pytest.raises(KyusaiError) as refused:
        listening.fetch(box.centre, FIRST, "", Path("/nonexistent"), "admin:test")
    assert refused.value.key == "recording.deleted"


def test_box_hears_over_the_wire_that_a_deleted_recording_is_stored(tmp_path: Path) -> None:
    process = CentreProcess(tmp_path / "data")
    with process.store() as centre:
        text = prepare_site(centre)
    process.start()
    try:
        over_the_wire = WireBox.enrolled(process.url, text)
        with process.store() as centre:
            put_recording(centre, FIRST, b"x" * 100)
            with centre.database.write() as connection:
                known = recordings.find(connection, "tokyo-1", FIRST)
                assert known is not None
                assert store.deleted(connection, known, centre.now_utc())
        told = over_the_wire.recording(FIRST)
        assert (told["state"], told["receipt"]["id"], told["offset"]) == ("stored", FIRST, known.bytes)
        assert over_the_wire.offset(FIRST) == known.bytes
    finally:
        process.stop()


def test_commands_show_and_hold(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with opened(prepared(data, "sqlite")) as centre:
        prepare_site(centre)
        box = Box(centre)
        box.publish(short=30)
        box.call("short", FIRST)
        box.put(FIRST)
    before = kyusai(data, "recordings")
    assert "2026-12-21T09:00:00.000Z" in before
    assert "short" in before
    kyusai(data, "centre", "recording", "hold", FIRST)
    assert "held" in kyusai(data, "recordings")
    kyusai(data, "centre", "recording", "hold", FIRST, "--off")
    (row,) = json.loads(kyusai(data, "recordings", "--json"))
    assert (row["retention"], row["held_utc"], row["kept_until_utc"]) == (
        "short",
        None,
        "2026-12-21T09:00:00.000Z",
    )


def kyusai(data: Path, *arguments: str) -> str:
    """Run the command; what it says."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "kyusai_cli.py"), *arguments],
        capture_output=True,
        cwd=ROOT,
        env=environment(KYUSAI_CENTRE_DATA=str(data)),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_more_than_fit_into_one_transaction_go_one_after_the_other(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    ids = [f"{STEM}-{number:016d}" for number in range(7)]
    box.publish(short=1)
    box.call("short", STEM)
    box.put(*ids)
    for one in ids[:2]:  # those that are held do not stand in the way of the others
        retention.hold(box.centre, one, "", "admin:test")
    box.after(2)
    assert box.states(*ids) == [HERE, HERE] + [GONE] * 5


def test_class_comes_with_the_offer_and_the_record_of_the_call_has_the_last_word(box: Box) -> None:
    offer = wire.RecordingOffer(
        *(FIRST, "c", "0" * 64, "1" * 64, 9, "2026-11-21T09:00:00Z", 1.0, "ogg/opus"), retention="short"
    )
    rules.offer(box.centre, WHO, offer)
    assert box.row(FIRST).retention == "short"
    with box.centre.database.read() as connection:
        assert jobs.waiting(connection)[retention.KIND] == 1
    box.call("long", STEM)
    assert box.row(FIRST).retention == "long"
    rules.offer(box.centre, WHO, replace(offer, id=SECOND))
    assert box.row(SECOND).retention == "long"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"recordings":["rec-1"],"retention":"short"}', True),
        ('{"recordings":["rec-1"],"retention":""}', False),
        ('{"recordings":[],"retention":"short"}', False),
        ('{"recordings":["rec-1"]}', False),
    ],
)
def test_records_without_class_or_recording_are_not_read(body: str, *, told: bool) -> None:
    assert retention.told_in(body) == told


def test_backup_that_meets_a_deletion_says_so_and_restores_it_as_deleted(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    box.publish(short=1)
    box.call("short", FIRST)
    box.put(FIRST, "rec-kept", "rec-lost")
    copy = backups.copy

    def copy_late(*given: Any) -> Any:
        box.after(2)  # between the look at the tables and the copies
        if not restoring:
            lost = box.row("rec-lost")
            box.centre.blobs.remove_whole(lost.site_id, lost.id, lost.cipher_sha256)
        return copy(*given)

    restoring = False
    monkeypatch.setattr(backups, "copy", copy_late)
    done = backups.backup(box.centre, tmp_path / "backup")
    assert box.states(FIRST) == [GONE]
    assert done.deleted == (f"tokyo-1/{FIRST}",)
    assert done.recordings.wrong == ["tokyo-1/rec-lost"], "what nobody deleted is told as before"
    assert json.loads((tmp_path / "backup/manifest.json").read_text())["recordings"] == 2
    restoring = True
    other = prepared(tmp_path / "restored", request.node.callspec.params["box"])
    found = backups.restore(tmp_path / "backup", other, "admin:test")
    assert (found.deleted, found.recordings.wrong) == (done.deleted, ["tokyo-1/rec-lost"])
    with opened(other) as centre:
        restored = Box(centre)
        assert restored.states(FIRST, "rec-kept", "rec-lost") == [GONE, HERE, ("stored", False)]
        assert restored.row(FIRST).deleted_utc == box.row(FIRST).deleted_utc
        (told,) = restored.audited("recording.delete")
        assert (told["subject"], json.loads(told["detail"])["why"]) == (
            FIRST,
            "deleted while the backup was made",
        )
        assert audit_log.check(centre).faults == ()


def test_move_that_meets_a_deletion_leaves_nothing_of_it_at_the_new_place(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.publish(short=1)
    box.call("short", FIRST)
    box.put(FIRST, "rec-kept")
    copy, passes = moving.copy, count(1)

    def copy_then_delete(*given: Any) -> Any:
        done = copy(*given)
        if next(passes) == 1:
            box.after(2)
        return done

    monkeypatch.setattr(moving, "copy", copy_then_delete)
    place = tmp_path / "moved"
    moving.move(box.centre, StoreSettings("", str(place)), "admin:test")
    assert [path.name for path in (place / "recordings" / "tokyo-1").iterdir()] == ["rec-kept.age"]


def test_clock_that_is_years_ahead_for_an_hour_deletes_nothing_and_the_look_goes_on_when_it_is_right(
    box: Box,
) -> None:
    box.publish(short=30)
    box.put(FIRST)
    box.call("short", STEM)
    for day in range(6):
        box.leap(day)
    for hours in range(3):
        box.leap(3650 + hours / 24)
    assert box.states(FIRST) == [HERE]
    assert len(box.audited("retention.wait")) == 1, "told once for a site"
    box.leap(6)  # set right
    assert box.states(FIRST) == [HERE]
    for day in range(7, 30):
        box.leap(day)
    assert box.states(FIRST) == [HERE]
    box.leap(30.01)
    assert box.states(FIRST) == [GONE]
    assert len(box.audited("retention.wait")) == 1


def test_two_machines_with_clocks_days_apart_delete_nothing_and_do_not_fill_the_audit_trail(box: Box) -> None:
    box.publish(short=30)
    box.put(FIRST)
    box.call("short", STEM)
    box.leap(0)
    for n in range(20):
        box.leap(40 + n / 10_000)
        box.leap(n / 10_000)
    assert box.states(FIRST) == [HERE]
    assert len(box.audited("retention.wait")) == 1


def test_centre_that_was_off_for_weeks_deletes_what_has_run_out_after_half_a_day(box: Box) -> None:
    box.publish(short=30)
    box.put(FIRST)
    box.call("short", STEM)
    box.after(1)
    box.leap(60)
    box.leap(60.49)
    assert box.states(FIRST) == [HERE]
    box.leap(60.51)
    assert box.states(FIRST) == [GONE]


def test_recording_stored_while_the_centre_s_clock_was_years_behind_is_kept_as_long_as_any(box: Box) -> None:
    box.publish(short=30)
    box.leap(-3650)  # an empty clock battery, until the clock is set
    box.put(FIRST)  # its box knew the time
    box.call("short", STEM)
    for day in range(1, 30):
        box.leap(day)
    assert box.states(FIRST) == [HERE]
    with box.centre.database.read() as connection:
        until = retention.kept_until(connection, [box.row(FIRST)], box.centre.now_utc())
    assert until["tokyo-1", FIRST] == "2026-12-21T00:00:00.000Z"
    box.leap(30)
    assert box.states(FIRST) == [GONE]
