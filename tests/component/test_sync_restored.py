"""An old backup comes back, at the box or at the centre, or one disk runs twice. A failure here is a call record that is
billed twice, or one that is lost without a word."""

import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent import spool_desk
from cloudsync.service.backup import backup, restore
from cloudsync.service.centre import Centre
from cloudsync.store import overview, recordings
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


def held(opened: Centre, kind: str = "") -> tuple[Counter[str], int]:
    """Names of the records at the centre, and how many numbers are missing."""
    with opened.database.read() as connection:
        rows = store.newest(connection, site_id=SITE, kinds=(kind,) if kind else (), limit=10_000)
        return Counter(str(row["id"]) for row in rows), store.ledger(connection, SITE).missing


def refused(centre: CentreProcess) -> tuple[int, dict[str, bool]]:
    """How many refused records the centre still misses, and each that it ever refused: whether it has it by now."""
    with centre.store() as opened, opened.database.read() as connection:
        rows = store.refused(connection, site_id=SITE, limit=99)
        return overview.refused_counts(connection).get(SITE, 0), {
            str(row["id"]): bool(row["here"]) for row in rows
        }


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
        assert refused(centre) == (3, {"g": False, "h": False, "i": False})
        spool_desk.retry(image / "spool.sqlite", renumber=True)
        await restored.sync()
        assert restored.parked() == []
        assert refused(centre) == (0, {"g": True, "h": True, "i": True})
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


async def test_old_backup_of_the_centre_gets_what_it_lost_from_the_copies_at_the_box(
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
    _restore(centre, tmp_path)
    await box.sync()
    await box.receipts.drained()
    box.add("f")
    if not list((box.folder / "recordings").glob("*.json")):
        fresh = box.record("rec-fresh", 400_000)
    await box.sync(until=lambda: box.receipts.standing.problem == "" and _speaks_for_all(box))
    assert box.parked() == []
    with centre.store() as opened:
        _, missing = held(opened)
        assert missing == 0
        assert held(opened, kind="cdr") == (Counter("abcdef"), 0)
        for name, data in (("rec-old", old), ("rec-fresh", fresh)):
            assert opened.blobs.whole_path(SITE, name).read_bytes() == data
        with opened.database.read() as connection:
            assert store.refused(connection, site_id=SITE, limit=1) == []
            rows = recordings.newest(connection, site_id=SITE, limit=9)
            assert {row.id: row.state for row in rows} == {"rec-old": "stored", "rec-fresh": "stored"}
            told = [
                json.loads(str(row["body"]))
                for row in store.newest(connection, site_id=SITE, kinds=("event",), limit=9)
            ]
    assert {one["event"] for one in told} == {"records_sent_again"}
    assert box.sent_again.count == sum(one["count"] for one in told) >= 2


async def test_old_backup_of_the_centre_gets_what_it_lost_though_the_box_has_no_room_for_a_receipt(
    centre: CentreProcess, box: SyncedBox, tmp_path: Path
) -> None:
    box.add("a")
    await box.sync()
    with centre.store() as opened:
        backup(opened, tmp_path / "backup")
    box.add("b")
    await box.sync()
    _restore(centre, tmp_path)
    (box.folder / "file").touch()
    box.receipts._path = box.folder / "file" / "receipt.json"  # no file can be made there
    box.add("c")
    await box.sync(until=lambda: box.receipts.standing.problem == "" and _speaks_for_all(box))
    with centre.store() as opened:
        assert held(opened, kind="cdr") == (Counter("abc"), 0)


async def test_old_backup_of_the_centre_takes_what_comes_names_the_gap_and_tells_a_box_without_copies(
    centre: CentreProcess, box: SyncedBox, tmp_path: Path
) -> None:
    box.add("a", "b")
    await box.sync()
    with centre.store() as opened:
        backup(opened, tmp_path / "backup")
    box.add("c", "d")
    await box.sync()
    _restore(centre, tmp_path)
    box.copies.discard()
    box.add("e")
    await box.sync()
    await box.receipts.drained()
    assert box.parked() == []
    assert box.receipts.standing.problem == "missing"
    with centre.store() as opened:
        assert held(opened) == (Counter("abe"), 2)


async def test_box_that_doubts_its_number_gives_none_away_twice_though_the_centre_was_set_back(
    centre: CentreProcess, box: SyncedBox, tmp_path: Path
) -> None:
    box.add("a", "b")
    await box.sync()
    with centre.store() as opened:
        backup(opened, tmp_path / "backup")
    box.add("c", "d", "e")
    await box.sync()
    _restore(centre, tmp_path)
    box.spool.doubt_numbers()  # as after a power cut in the middle of a transaction
    box.add("f", "g")
    await box.sync(until=lambda: box.receipts.standing.problem == "" and _speaks_for_all(box))
    assert box.parked() == []
    with centre.store() as opened:
        assert held(opened, kind="cdr") == (Counter("abcdefg"), 0)


@pytest.mark.parametrize("seed", range(int(os.environ.get("KYUSAI_RESTORES", "1"))))
async def test_backups_come_back_again_and_again_and_every_record_is_there_once(
    centre: CentreProcess, box: SyncedBox, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    made: list[str] = []
    for step in range(6):
        names = [f"r-{step}-{n}" for n in range(chance.randint(0, 9))]
        box.add(*names)
        made += names
        if chance.random() < 0.3:
            await box.sync(until=lambda: chance.random() < 0.3 or not box.left())
        elif chance.random() < 0.7:
            await box.sync()
        if step == 0 or chance.random() < 0.3:
            with centre.store() as opened:
                backup(opened, tmp_path / "backup")
        elif chance.random() < 0.6:
            _restore(centre, tmp_path, f"lost-{step}")
    box.add("last")
    await box.sync(until=lambda: box.receipts.standing.problem == "" and _speaks_for_all(box))
    with centre.store() as opened:
        found, missing = held(opened, kind="cdr")
    assert (found, missing, box.parked()) == (Counter([*made, "last"]), 0, [])


def _restore(centre: CentreProcess, tmp_path: Path, aside: str = "lost") -> None:
    """In place of the centre's data comes its backup."""
    centre.stop()
    centre.data_dir.rename(tmp_path / aside)
    restore(tmp_path / "backup", centre.data_dir, "admin:test")
    centre.start()


def _speaks_for_all(box: SyncedBox) -> bool:
    receipt = box.receipts.standing.receipt
    return not box.left() and receipt is not None and receipt.seq == box.spool.chain().next_seq - 1
