"""Recordings go to the real centre and are deleted here only when it has proved that it holds them."""

import contextlib
import errno
import hashlib
import os
from typing import Any

import pytest

from agent import recording_spool, recording_upload
from agent.cloud_errors import CloudBusy, CloudConfused, CloudUnreachable, busy, unreachable
from agent.recording_classes import CLASS_PREFIX
from agent.recording_table import RecordingTable
from agent.recording_upload import RecordingSender
from agent.senders import take_in
from agent.spool_files import open_spool
from cloudsync.wire import (
    ConfigKey,
    RecordingOffer,
    UploadStands,
    to_base64,
)
from tests.helpers.broken_line import (
    NOW,
    SITE,
    Box,
    Centre,
    record_audio,
    stored_bytes,
)


async def test_recording_arrives_byte_for_byte_and_is_deleted_only_then(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name)
    table, sender = RecordingTable(box.spool), box.recordings()
    assert take_in(table, box.folder / "recordings") == (1, [])
    assert take_in(table, box.folder / "recordings") == (0, [])
    box.spool.append(cursors={f"{CLASS_PREFIX}{name}": "short"})
    assert await sender.upload()
    assert stored_bytes(centre, name) == [data]
    assert centre.rows("SELECT retention FROM recording WHERE id = ?", name) == [("short",)]
    assert list((box.folder / "recordings").iterdir()) == []
    assert (table.known(), await sender.upload()) == (set(), False)


async def test_receipt_by_a_key_that_is_newer_than_the_enrolment_is_believed(
    centre: Centre, box: Box
) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 1000)
    table = RecordingTable(box.spool)
    take_in(table, box.folder / "recordings")
    assert await RecordingSender(table, box.cloud, SITE, lambda: ()).upload()
    assert table.known() == set()


async def test_receipt_by_a_stranger_deletes_nothing(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 1000)
    table = RecordingTable(box.spool)
    take_in(table, box.folder / "recordings")
    (own,) = box.enrolled.enrolment.config_keys
    forged = (ConfigKey(own.key_id, to_base64(b"\x01" * 32)),)
    with pytest.raises(CloudConfused, match="not signed"):
        await RecordingSender(table, box.cloud, SITE, lambda: forged).upload()
    assert (box.folder / "recordings" / f"{name}.age").exists()
    assert table.known() == {name}


async def test_recording_spoilt_on_disk_is_parked_and_kept(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name)
    path = box.folder / "recordings" / f"{name}.age"
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    spoilt = bytearray(path.read_bytes())
    spoilt[1000] ^= 1
    path.write_bytes(spoilt)
    assert await sender.upload()
    assert table.parked() == [(name, "damaged on the box's disk")]
    assert path.exists()
    assert stored_bytes(centre, name) == []


async def test_recording_without_its_file_is_parked_and_holds_up_nobody(centre: Centre, box: Box) -> None:
    record_audio(box, f"rec-a-{box.id}", 1000)
    data = record_audio(box, f"rec-b-{box.id}", 1000)
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    (box.folder / "recordings" / f"rec-a-{box.id}.age").unlink()
    while await sender.upload():
        pass
    assert [name for name, _ in table.parked()] == [f"rec-a-{box.id}"]
    assert stored_bytes(centre, f"rec-b-{box.id}") == [data]


async def test_recording_that_the_centre_cannot_take_holds_up_no_other_and_is_tried_again(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"rec-{letter}-{box.id}" for letter in "abc"]
    data = {name: record_audio(box, name, 5000) for name in names}
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    offer, tried = box.cloud.offer, list[str]()

    async def fail(one: RecordingOffer) -> UploadStands:
        tried.append(one.id)
        if one.id == names[0] and tried.count(one.id) < 3:
            raise busy(box.cloud.url, 500, 0.0)
        return await offer(one)

    monkeypatch.setattr(box.cloud, "offer", fail)
    for _ in range(20):
        with contextlib.suppress(CloudBusy):
            if not await sender.upload():
                break
    assert tried == [names[0], names[1], names[2], names[0], names[0]]
    assert {name: stored_bytes(centre, name) for name in names} == {name: [data[name]] for name in names}


async def test_line_that_is_cut_goes_on_with_the_same_recording(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"rec-{letter}-{box.id}" for letter in "ab"]
    for name in names:
        record_audio(box, name, 5000)
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    tried = list[str]()

    async def fail(one: RecordingOffer) -> UploadStands:
        tried.append(one.id)
        raise unreachable(box.cloud.url, "cut")

    monkeypatch.setattr(box.cloud, "offer", fail)
    for _ in range(2):
        with pytest.raises(CloudUnreachable):
            await sender.upload()
    assert tried == [names[0]] * 2


@pytest.mark.parametrize("when", ["while it is sent", "while its hash is looked at"])
async def test_recording_on_a_spoilt_sector_is_parked_and_holds_up_nobody(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    record_audio(box, f"rec-a-{box.id}", 5000)
    data = record_audio(box, f"rec-b-{box.id}", 5000)
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    spoilt = box.folder / "recordings" / f"rec-a-{box.id}.age"
    if when != "while it is sent":
        spoilt.write_bytes(bytes(5000))
    place = "_read" if when == "while it is sent" else "_own_sha256"
    way: Any = getattr(recording_upload, place)

    def read(recording: recording_spool.Recording, *arguments: Any) -> Any:
        with recording_upload._reading():
            if recording.path == spoilt:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return way(recording, *arguments)

    monkeypatch.setattr(recording_upload, place, read)
    while await sender.upload():
        pass
    assert table.parked() == [(f"rec-a-{box.id}", "the file cannot be read: Input/output error")]
    assert spoilt.exists()
    assert stored_bytes(centre, f"rec-b-{box.id}") == [data]


async def test_recording_under_an_id_that_nobody_handed_over_is_not_sent(centre: Centre, box: Box) -> None:
    data = record_audio(box, f"rec-a-{box.id}", 1000)
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    with box.spool.transaction() as db:
        db.execute("UPDATE recording SET id = ?", (f"rec-c-{box.id}",))  # a bit was flipped
    assert take_in(table, box.folder / "recordings")[0] == 1
    while await sender.upload():
        pass
    assert [name for name, _ in table.parked()] == [f"rec-c-{box.id}"]
    assert stored_bytes(centre, f"rec-c-{box.id}") == []
    assert stored_bytes(centre, f"rec-a-{box.id}") == [data]


async def test_crash_between_the_deletions_after_a_receipt_parks_nothing(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 5000)
    table, folder = RecordingTable(box.spool), box.folder / "recordings"
    take_in(table, folder)
    sidecar = (folder / f"{name}.json").read_bytes()
    assert await box.recordings().upload()
    (folder / f"{name}.json").write_bytes(sidecar)
    assert take_in(table, folder)[0] == 1
    assert await box.recordings().upload()
    assert (table.known(), table.parked(), list(folder.iterdir())) == (set(), [], [])


async def test_recording_converted_again_after_a_crash_is_sent_as_it_is_now(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 5000)
    table, folder = RecordingTable(box.spool), box.folder / "recordings"
    take_in(table, folder)
    data = b"the same audio, encrypted once more"
    audio = folder / f"{name}.age"
    audio.write_bytes(data)
    assert await box.recordings().upload()
    assert [id_ for id_, _ in table.parked()] == [name], "the media process has not said yet what it is"
    digest = hashlib.sha256(data).hexdigest()
    recording_spool.add(
        name, "abc@192.0.2.20", audio, "0" * 64, digest, len(data), "2026-11-21T09:30:00Z", 12.5, "ogg"
    )
    assert take_in(table, folder)[0] == 1
    assert await box.recordings().upload()
    assert stored_bytes(centre, name) == [data]


async def test_spool_lost_after_hand_over_loses_no_recording(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 5000)
    with contextlib.closing(open_spool(box.folder / "other.sqlite", NOW)) as opened:
        table = RecordingTable(opened.spool)
        assert take_in(table, box.folder / "recordings")[0] == 1
        keys = box.enrolled.enrolment.config_keys
        assert await RecordingSender(table, box.cloud, SITE, lambda: keys).upload()
    assert stored_bytes(centre, name) == [data]
