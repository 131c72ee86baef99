"""A centre died after the last byte of a recording and before its receipt. A failure here is a recording that stays
"receiving" for ever, because the box that sent it has burnt down meanwhile."""

import hashlib
import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from cloudsync import wire
from cloudsync.service import recordings as rules
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import recordings
from cloudsync.store.tables import job
from tests.helpers.centre_box import CentreProcess, prepare_site, random_bytes
from tests.helpers.centre_stores import STORES

WHO = BoxIdentity(box_id="tokyo-1-a", site_id="tokyo-1")
CIPHER = random_bytes(200_000, 7)
LIMIT_S = 60.0


def offered(centre: Centre, recording_id: str, cipher: bytes = CIPHER) -> recordings.Recording:
    sha256 = hashlib.sha256(cipher).hexdigest()
    new = wire.RecordingOffer(
        recording_id, "call", "0" * 64, sha256, len(cipher), "2026-11-21T09:30:00Z", 9.5, "ogg/opus"
    )
    return rules.offer(centre, WHO, new)[0]


def streamed(centre: Centre, recording_id: str, data: bytes) -> None:
    """All of these bytes acknowledged, and then the centre is dead."""
    known = offered(centre, recording_id)
    part, _ = rules.open_part(centre, WHO, recording_id, 0)
    rules.append(part, known, data)
    rules.acknowledge(centre, part, known)
    part.close()


def in_pieces(centre: Centre, recording_id: str, data: bytes) -> None:
    """The same in two pieces, the later one first."""
    known, half = offered(centre, recording_id), len(data) // 2
    for begin, piece in ((half, data[half:]), (0, data[:half])):
        digest = wire.piece_digest(piece)
        rules.take_piece(centre, WHO, recording_id, begin, piece, digest, known.cipher_sha256)


@pytest.mark.parametrize("store", STORES)
def test_recording_that_is_all_there_is_completed_by_the_next_start_alone(tmp_path: Path, store: str) -> None:
    process = CentreProcess(tmp_path / "data", store)
    with process.store() as centre:
        prepare_site(centre)
        streamed(centre, "rec-streamed", CIPHER)
        in_pieces(centre, "rec-pieces", CIPHER)
        streamed(centre, "rec-half", CIPHER[:100_000])
    process.start()
    expected = {"rec-streamed": "stored", "rec-pieces": "stored", "rec-half": "receiving"}
    deadline_s = time.monotonic() + LIMIT_S
    found: dict[str, str] = {}
    try:
        while found != expected and time.monotonic() < deadline_s:
            time.sleep(0.1)
            with process.store() as centre, centre.database.read() as connection:
                rows = recordings.newest(connection, limit=9)
                found = {row.id: row.state for row in rows}
    finally:
        process.stop()
    assert found == expected
    assert all(row.receipt for row in rows if row.state == "stored")


@pytest.mark.parametrize("store", STORES)
def test_recording_whose_box_never_asks_again_is_completed_while_the_centre_serves(
    tmp_path: Path, store: str
) -> None:
    process = CentreProcess(tmp_path / "data", store)
    with process.store() as centre:
        prepare_site(centre)
    process.start()
    expected = {"rec-pieces": "stored", "rec-half": "receiving"}
    found: dict[str, str] = {}
    deadline_s = time.monotonic() + LIMIT_S
    try:
        with process.store() as centre:
            in_pieces(centre, "rec-pieces", CIPHER)
            known, half = offered(centre, "rec-half"), CIPHER[:100_000]
            digest = wire.piece_digest(half)
            rules.take_piece(centre, WHO, "rec-half", 0, half, digest, known.cipher_sha256)
            with centre.database.write() as connection:
                rows = connection.execute(select(job).where(job.c.kind == rules.SETTLE)).all()
                now_s = time.time()
                waits = {row.subject: round((row.due_s - now_s) / 10) * 10 for row in rows}
                assert waits == {"rec-pieces": rules.SOON_S, "rec-half": rules.FIRST_LOOK_S}
                connection.execute(update(job).values(due_s=now_s))
            while found != expected and time.monotonic() < deadline_s:
                time.sleep(0.1)
                with centre.database.read() as connection:
                    found = {row.id: row.state for row in recordings.newest(connection, limit=9)}
            assert found == expected
            while time.monotonic() < deadline_s:
                with centre.database.read() as connection:
                    rows = connection.execute(select(job).where(job.c.kind == rules.SETTLE)).all()
                left = {row.subject: row.due_s > now_s + 200 and row.claimed_by is None for row in rows}
                if left == {"rec-half": True}:
                    break
                time.sleep(0.1)
            assert left == {"rec-half": True}, "the other one is looked at again later"
    finally:
        process.stop()
