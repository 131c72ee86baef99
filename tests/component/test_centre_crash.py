"""SIGKILL in the middle of records and uploads. A failure means that an acknowledged thing is lost, or one is doubled."""

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cloudsync import wire
from cloudsync.store import records as store
from tests.helpers.centre_box import Box, CentreProcess, chain, prepare_site, random_bytes
from tests.helpers.centre_stores import DATABASES

# What a killed centre leaves half open, httpx leaves to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
    ),
]

KILLS = 4
SEED = 20261121
GIVE_UP_S = 180.0


@pytest.fixture
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CentreProcess]:
    process = CentreProcess(tmp_path / "data", getattr(request, "param", "sqlite"))
    with process.store() as opened:
        text = prepare_site(opened)
    process.start()
    process.box = Box.enrolled(process.url, text)  # type: ignore[attr-defined]
    yield process
    process.stop()


class Killer:
    """Kills and restarts the centre at random moments until it is left."""

    def __init__(self, centre: CentreProcess, kills: int) -> None:
        self._centre = centre
        self._kills = kills
        self._random = random.Random(SEED)
        self._thread = threading.Thread(target=self._run)
        self.done = threading.Event()

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(GIVE_UP_S)

    def _run(self) -> None:
        for _ in range(self._kills):
            time.sleep(self._random.uniform(0.02, 0.4))
            self._centre.kill()
            self._centre.start()
        self.done.set()


@pytest.mark.parametrize("centre", DATABASES, indirect=True)
def test_killed_centre_neither_loses_nor_doubles_records(centre: CentreProcess) -> None:
    box: Box = centre.box  # type: ignore[attr-defined]
    records = chain(60_000)
    acknowledged: list[wire.Record] = []
    with Killer(centre, KILLS) as killer:
        position = 0
        while not killer.done.is_set():
            batch = records[position : position + 40]
            try:
                results = box.send(batch)
            except httpx.TransportError:
                continue
            assert {str(result.status) for result in results} <= {"stored", "duplicate"}
            acknowledged += batch
            position += len(batch)
    with centre.store() as opened, opened.database.read() as connection:
        rows = store.newest(connection, site_id=box.site_id, limit=len(records))
        ledger = store.ledger(connection, box.site_id)
    assert len(acknowledged) > KILLS * 40
    held = {row["id"]: row["hash"] for row in rows}
    assert len(held) == len(rows)
    assert {record.id: record.hash for record in acknowledged}.items() <= held.items()
    assert ledger.missing == 0


def test_killed_centre_resumes_uploads_and_keeps_every_byte(centre: CentreProcess) -> None:
    box: Box = centre.box  # type: ignore[attr-defined]
    whole: dict[str, bytes] = {}
    with Killer(centre, KILLS) as killer:
        number = 0
        while not killer.done.is_set() or number == 0:
            number += 1
            recording_id, cipher = f"rec-{number}", random_bytes(6_000_000, number)
            _upload(box, recording_id, cipher)
            whole[recording_id] = cipher
    for recording_id, cipher in whole.items():
        assert box.recording(recording_id)["state"] == "stored"
        with (
            centre.store() as opened,
            opened.blobs.open_whole(box.site_id, recording_id, hashlib.sha256(cipher).hexdigest()) as file,
        ):
            assert file.read() == cipher
    with centre.store() as opened:
        assert not list((opened.layout.parts_dir / box.site_id).iterdir())


def _upload(box: Box, recording_id: str, cipher: bytes) -> None:
    """Upload as a box does: whatever fails, ask for the offset and go on; an acknowledged offset never shrinks."""
    acknowledged = 0
    deadline_s = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline_s:
        try:
            box.offer(recording_id, cipher)
            offset = box.offset(recording_id)
            assert offset >= acknowledged
            while offset < len(cipher):
                answer = box.patch(recording_id, offset, cipher[offset : offset + 1_000_000])
                if answer.status_code != 204:
                    break
                offset = acknowledged = int(answer.headers["Upload-Offset"])
            if box.recording(recording_id)["state"] == "stored":
                return
        except (httpx.TransportError, KeyError):
            continue
    raise AssertionError(f"{recording_id} did not get through")
