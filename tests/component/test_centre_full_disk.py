"""The centre's disk is full, really, while a box sends. A failure here is a record or recording that the box deleted and the
centre had no room for, or a centre that does not come back by itself once there is room."""

import asyncio
import contextlib
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tenacity.wait import wait_random

from agent import senders
from cloudsync.service.centre import open_centre
from cloudsync.store import recordings
from cloudsync.store import records as store
from tests.crash.forked_centre import ForkedCentre
from tests.helpers.centre_box import prepare_site
from tests.helpers.synced_box import SITE, SyncedBox

ADDRESS = "127.0.99.52"
DISK_MIB = 24
LEFT_BYTES = 300_000
"""Room left before the box begins: less than one recording."""
RECORDING_BYTES = 1_500_000
LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter pauses than at a site, also when the centre asks for more."""
    monkeypatch.setattr(senders, "IDLE_S", 0.05)
    monkeypatch.setattr(senders, "RECORDINGS_EVERY_S", 0.1)
    monkeypatch.setattr(senders, "_pause", lambda _state: wait_random(0.05, 0.2)(_state))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system of its own: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path, left_bytes: int) -> None:
    """Take all room but so much."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as stream:
        while stream.write(b"x" * 4096):
            pass
    with file.open("r+b") as stream:
        stream.truncate(max(file.stat().st_size - left_bytes, 0))


async def test_centre_without_room_takes_nothing_it_cannot_keep_and_goes_on_when_there_is_some(
    small_disk: Path, tmp_path: Path
) -> None:
    data = small_disk / "centre"
    with closing(open_centre(data)) as opened:
        text = prepare_site(opened, SITE)
    centre = ForkedCentre(data, ADDRESS)
    centre.start()
    names = [f"call-{n}" for n in range(400)]
    try:
        box = await SyncedBox.enrolled(tmp_path / "box", centre.url, text)
        fill(small_disk / "other", LEFT_BYTES)
        box.add(*names)
        audio = {f"rec-{n}": box.record(f"rec-{n}", RECORDING_BYTES) for n in range(2)}
        sending = asyncio.create_task(box.sync())
        async with asyncio.timeout(LIMIT_S):
            while box.errors.count("cloud.busy") < 5:
                await asyncio.sleep(0.05)
        assert box.left(), "with no room the box must still have something"
        centre.kill()
        centre.start()
        (small_disk / "other").unlink()
        await sending
        assert box.parked() == []
        await box.close()
    finally:
        centre.kill()
    with closing(open_centre(data)) as opened, opened.database.read() as connection:
        rows = store.newest(connection, site_id=SITE, limit=999)
        assert Counter(str(row["id"]) for row in rows) == Counter(names)
        assert store.ledger(connection, SITE).missing == 0
        states = {row.id: row.state for row in recordings.newest(connection, site_id=SITE, limit=99)}
        assert states == dict.fromkeys(audio, "stored")
        for name, cipher in audio.items():
            assert opened.blobs.whole_path(SITE, name).read_bytes() == cipher
