"""An old backup comes back, at the box or at the centre, or one disk runs twice. A failure here is a call record that is
billed twice, or one that is lost without a word."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent import spool_desk
from cloudsync.service.backup import backup, restore
from cloudsync.service.centre import Centre
from cloudsync.store import recordings
from cloudsync.store import records as store
from tests.helpers.centre_box import CentreProcess
from tests.helpers.synced_box import SITE, SyncedBox, box_of, hurry, running_centre


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[CentreProcess]:
    with running_centre(tmp_path / "centre") as process:
        yield process


@pytest.fixture
async def box(centre: CentreProcess, tmp_path: Path) -> AsyncIterator[SyncedBox]:
    async with box_of(centre, tmp_path / "box") as made:
        yield made


def held(opened: Centre) -> tuple[Counter[str], int]:
    """Names of the records at the centre, and how many numbers are missing."""
    with opened.database.read() as connection:
        rows = store.newest(connection, site_id=SITE, limit=10_000)
        return Counter(str(row["id"]) for row in rows), store.ledger(connection, SITE).missing


async def test_old_spool_doubles_nothing_is_told_and_sends_all_once_its_numbers_are_new(
    centre: CentreProcess, box: SyncedBox, tmp_path: Path
) -> None:
    box.add("a", "b")
    await box.sync()
    box.add("c", "d")
    image = box.copy(tmp_path / "image")
    await box.sync()
    box.add("e", "f")
    await box.sync()
    restored = SyncedBox(image, centre.url)
    try:
        restored.add("g", "h", "i")
        await restored.sync()
        assert restored.parked() == [("g", "seq_conflict"), ("h", "seq_conflict"), ("i", "broken_chain")]
        spool_desk.retry(image / "spool.sqlite", renumber=True)
        await restored.sync()
        assert restored.parked() == []
    finally:
        await restored.close()
    with centre.store() as opened:
        assert held(opened) == (Counter("abcdefghi"), 0)


async def test_one_disk_in_two_boxes_doubles_nothing_and_keeps_what_the_centre_does_not_take(
    centre: CentreProcess, box: SyncedBox, tmp_path: Path
) -> None:
    box.add("a")
    await box.sync()
    twin = SyncedBox(box.copy(tmp_path / "twin"), centre.url)
    try:
        for n in range(3):
            box.add(f"mine-{n}")
            twin.add(f"his-{n}")
            await box.sync()
            await twin.sync()
        assert box.parked() == []
        assert twin.parked() == [(f"his-{n}", "seq_conflict") for n in range(3)]
        spool_desk.retry(twin.folder / "spool.sqlite", renumber=True)
        await twin.sync()
    finally:
        await twin.close()
    with centre.store() as opened:
        names = ["a", *(f"{whose}-{n}" for n in range(3) for whose in ("mine", "his"))]
        assert held(opened) == (Counter(names), 0)


async def test_old_backup_of_the_centre_takes_what_comes_names_the_gap_and_tells_the_box(
    centre: CentreProcess, box: SyncedBox, tmp_path: Path
) -> None:
    box.add("a", "b")
    old = box.record("rec-old")
    await box.sync()
    with centre.store() as opened:
        backup(opened, tmp_path / "backup")
    box.add("c", "d")
    await box.sync()
    box.add("e")
    fresh = box.record("rec-fresh", 400_000)
    await box.sync(until=lambda: box.table.depth().bytes < len(fresh) or not box.left())
    centre.stop()
    centre.data_dir.rename(tmp_path / "lost")
    restore(tmp_path / "backup", centre.data_dir, "admin:test")
    centre.start()
    box.add("f")
    if not list((box.folder / "recordings").glob("*.json")):
        fresh = box.record("rec-fresh", 400_000)
    await box.sync()
    box.add("g")
    await box.sync()
    assert box.parked() == []
    with centre.store() as opened:
        found, missing = held(opened)
        assert found >= Counter("abfg")
        assert missing == 7 - found.total() > 0, "what only the lost centre held is named as missing"
        for name, data in (("rec-old", old), ("rec-fresh", fresh)):
            assert opened.blobs.whole_path(SITE, name).read_bytes() == data
        with opened.database.read() as connection:
            assert store.refused(connection, site_id=SITE, limit=1) == []
            rows = recordings.newest(connection, site_id=SITE, limit=9)
            assert {row.id: row.state for row in rows} == {"rec-old": "stored", "rec-fresh": "stored"}
    await box.receipts.drained()
    assert box.receipts.standing.problem == "missing"
