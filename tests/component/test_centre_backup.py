"""Backup and restore, by doing both. A failure means a centre that is lost with its disk."""

import os
import stat
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import KyusaiError
from cloudsync import wire
from cloudsync.rollout import Policy
from cloudsync.service import audit_log, rollouts, telemetry
from cloudsync.service.backup import backup, restore
from cloudsync.service.centre import Centre
from cloudsync.service.configuration import publish
from cloudsync.service.enrolment import enrol, make_code
from cloudsync.service.listening import fetch
from tests.helpers.centre_box import ROOT, chain, opened
from tests.helpers.centre_contents import WHO, altered_file, contents, fill, send, store_recording
from tests.helpers.centre_stores import DATABASES, STORES, prepared


@pytest.mark.parametrize(("source", "target"), [(STORES[0], STORES[0]), STORES, (STORES[1], STORES[0])])
def test_restored_centre_holds_what_was_backed_up(tmp_path: Path, source: str, target: str) -> None:
    with opened(prepared(tmp_path / "a", source)) as centre:
        records = fill(centre)
        done = backup(centre, tmp_path / "backup")
        held = contents(centre)
        keys = (centre.keys.public(), centre.tls.ca_certificate())
    assert (done.rows["ledger"], done.recordings.copied, done.recordings.wrong) == (1200, 2, [])
    found = restore(tmp_path / "backup", prepared(tmp_path / "b", target), "admin:test")
    assert (found.rows["record"], found.recordings.copied, found.recordings.wrong) == (1200, 2, [])
    with opened(tmp_path / "b") as centre:
        assert contents(centre) == held
        assert (centre.keys.public(), centre.tls.ca_certificate()) == keys
        assert audit_log.check(centre).faults == (), "the audit trail's chain holds"
        assert fetch(centre, "rec-1", "", tmp_path / "audio", "admin:test").sha256_fits
        send(centre, chain(2, begin=1201, prev_hash=records[-1].hash))  # and it goes on
        assert len(contents(centre)["record"]) == 1202
        assert publish(centre, (ROOT / "tests/data/site.json").read_text("utf-8"), "t")[0].version == 2


@pytest.mark.parametrize("database", DATABASES)
def test_restored_centre_takes_no_box_for_a_copy_and_publishes_nothing_by_itself(
    tmp_path: Path, database: str
) -> None:
    def beat(centre: Centre, lease: str, source: str = "192.0.2.1") -> telemetry.HeartbeatAnswer:
        moment = centre.clock() + timedelta(hours=next(hours))
        return telemetry.heartbeat(replace(centre, clock=lambda: moment), WHO, {"lease": lease}, source)

    hours = count(1)
    with opened(prepared(tmp_path / "a", database)) as centre:
        fill(centre, 10, 0)
        code = wire.parse_enrolment(make_code(centre, WHO.site_id, 1, "t")[0]).code
        key = wire.to_base64(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
        enrol(centre, code, WHO.box_id, key, {}, "192.0.2.1")
        rollouts.start(centre, {"link": {"life_ms": 900}}, [[WHO.site_id]], Policy(0, 0, 0), "t")
        copied = lease = str(beat(centre, "").lease)
        backup(centre, tmp_path / "backup")
        for _ in range(3):
            lease = str(beat(centre, lease).lease)
    restore(tmp_path / "backup", prepared(tmp_path / "b", database), "t")
    with opened(tmp_path / "b") as centre:
        assert not rollouts.step(centre)
        assert (rollouts.status(centre).state, rollouts.status(centre).reason) == (
            "stopped",
            "restored from a backup",
        )
        answer = beat(centre, lease)
        assert not answer.cloned, "the centre was set back, the box is no copy"
        assert not beat(centre, str(answer.lease)).cloned
        assert beat(centre, copied, "198.51.100.9").cloned, "a copy shows all the same"


def test_next_backup_into_the_same_folder_copies_what_is_new(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as centre:
        records = fill(centre, 10)
        backup(centre, tmp_path / "backup")
        send(centre, chain(5, begin=11, prev_hash=records[-1].hash))
        store_recording(centre, "rec-later")
        done = backup(centre, tmp_path / "backup")
        held = contents(centre)
    assert (done.recordings.copied, done.recordings.kept, done.rows["ledger"]) == (1, 2, 15)
    assert len(list((tmp_path / "backup").glob("tables-*"))) == 1
    restore(tmp_path / "backup", tmp_path / "b", "admin:test")
    with opened(tmp_path / "b") as centre:
        assert contents(centre) == held


def test_backup_that_was_cut_off_leaves_the_one_before_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with opened(tmp_path / "a") as centre:
        records = fill(centre, 10, 0)
        backup(centre, tmp_path / "backup")
        held = contents(centre)
        send(centre, chain(5, begin=11, prev_hash=records[-1].hash))
        with monkeypatch.context() as patched, pytest.raises(OSError):
            patched.setattr("cloudsync.service.backup.copy", full)
            backup(centre, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "b", "admin:test")
    with opened(tmp_path / "b") as centre:
        assert contents(centre) == held


def test_altered_backup_is_refused_and_altered_audio_is_told(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as centre:
        fill(centre, 10)
        backup(centre, tmp_path / "backup")
    altered_file(tmp_path / "backup/recordings/tokyo-1/rec-0.age")
    assert restore(tmp_path / "backup", tmp_path / "b", "t").recordings.wrong == ["tokyo-1/rec-0"]
    (table,) = (tmp_path / "backup").glob("tables-*/record.jsonl.gz")
    altered_file(table)
    with pytest.raises(KyusaiError) as caught:
        restore(tmp_path / "backup", tmp_path / "c", "t")
    assert caught.value.key == "restore.damaged"
    with pytest.raises(KyusaiError) as caught:
        restore(tmp_path / "nothing", tmp_path / "c", "t")
    assert caught.value.key == "restore.no_backup"


@pytest.mark.parametrize("database", DATABASES)
def test_restore_never_touches_a_centre_that_is_there(tmp_path: Path, database: str) -> None:
    with opened(tmp_path / "a") as centre:
        fill(centre, 10)
        backup(centre, tmp_path / "backup")
    with opened(prepared(tmp_path / "b", database)) as centre:
        fill(centre, 20)
        held = contents(centre)
        with pytest.raises(KyusaiError) as caught:
            restore(tmp_path / "backup", tmp_path / "b", "t")
        assert caught.value.key == "centre.in_use"
    with pytest.raises(KyusaiError) as caught:
        restore(tmp_path / "backup", tmp_path / "b", "t")
    assert caught.value.key == "restore.not_empty"
    with opened(tmp_path / "b") as centre:
        assert contents(centre) == held


def test_backup_is_for_its_owner_only_and_without_keys_when_told(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as centre:
        fill(centre, 10)
        backup(centre, tmp_path / "backup")
        backup(centre, tmp_path / "open", with_keys=False, with_recordings=False)
    for folder, _, names in os.walk(tmp_path / "backup"):
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE((Path(folder) / name).stat().st_mode) == 0o600, name
    assert not any((tmp_path / "open" / name).exists() for name in ("keys", "tls"))
    assert not any((tmp_path / "open" / "recordings").rglob("*.age"))
