"""A spool of which the log, or the next number, was damaged on the disk. A failure here is a call's record that is gone without a
word, or a number that is given to two records."""

import random
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent import spool_desk, spool_wal
from agent.journal_events import Moment
from agent.records import NewRecord, Settlement
from agent.spool_chain import CHAIN
from agent.spool_errors import SpoolDamaged
from agent.spool_files import open_spool
from agent.spool_schema import PAGE_BYTES
from agent.spool_wal import FRAME_HEADER_BYTES, HEADER_BYTES, Found
from cloudsync.store import records as store
from tests.helpers.centre_box import CentreProcess
from tests.helpers.synced_box import SITE, SyncedBox, box_of, hurry, running_centre

NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES
IN_FILE, IN_LOG = 20, 25
"""Records that the file holds, and records that only the log does, each in a transaction of its own."""


def new(name: str) -> NewRecord:
    return NewRecord(name, "cdr", 1, NOW.wall_ms, "boot-a", {"id": name, "text": "x" * 300})


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool as a killed agent leaves it: the file, and beside it the log with its last transactions."""
    path = tmp_path_factory.mktemp("spool") / "open" / "spool.sqlite"
    with closing(open_spool(path, NOW)) as opened:
        opened.spool.rechain(1, "0" * 64)
        opened.spool.append([new(f"r{n}") for n in range(1, IN_FILE + 1)], cursors={"journal": "0"})
    with closing(open_spool(path, NOW)) as opened:
        opened.spool.settle(Settlement(tuple(f"r{n}" for n in range(1, 6))))
        for n in range(IN_FILE + 1, IN_FILE + IN_LOG + 1):
            opened.spool.append([new(f"r{n}")], cursors={"journal": str(n)}, calls={f"c{n}": "{}"})
        shutil.copytree(path.parent, path.parent.parent / "killed")
    return path.parent.parent / "killed"


@pytest.fixture
def path(killed: Path, tmp_path: Path) -> Path:
    shutil.copytree(killed, tmp_path / "box")
    return tmp_path / "box" / "spool.sqlite"


def wal_of(path: Path) -> Path:
    return path.with_name("spool.sqlite-wal")


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0x10
    path.write_bytes(raw)


def test_log_of_a_killed_agent_is_whole_and_all_of_it_counts(path: Path) -> None:
    with closing(open_spool(path, NOW)) as opened:
        assert (opened.set_aside, opened.doubted) == (None, "")
        names = {record.id for record in opened.spool.waiting(999)}
        assert names == {f"r{n}" for n in range(6, IN_FILE + IN_LOG + 1)}
        assert opened.spool.chain().unsure_from == 0


def places(frames: int) -> Iterator[tuple[str, int]]:
    """Where a bit is flipped: in every part of a log and of a frame, all along."""
    for name, place in (("magic", 1), ("page size", 10), ("salt", 17), ("sum", 25)):
        yield f"header, {name}", place
    parts = (
        ("page", 3),
        ("commit", 7),
        ("salt", 9),
        ("sum", 17),
        ("content", 500),
        ("end", FRAME_BYTES - 20),
    )
    for number in range(0, frames, 3):
        name, place = parts[number // 3 % len(parts)]
        yield f"frame {number}, {name}", HEADER_BYTES + number * FRAME_BYTES + place


def test_flipped_bit_anywhere_in_the_log_takes_at_most_its_own_page_is_told_and_doubles_no_number(
    path: Path, killed: Path
) -> None:
    raw = wal_of(path).read_bytes()
    log = spool_wal.look(raw, PAGE_BYTES)
    assert log.found is Found.WHOLE
    ends = [n for n, frame in enumerate(log.frames) if frame.commit_pages]
    kinds = set()
    everything = {f"r{n}" for n in range(6, IN_FILE + IN_LOG + 1)}
    for what, place in places(len(log.frames)):
        shutil.rmtree(path.parent)
        shutil.copytree(killed, path.parent)
        flip(wal_of(path), place)
        number = (place - HEADER_BYTES) // FRAME_BYTES
        in_last = number > ends[-2] or (number == ends[-2] and not what.endswith(("salt", "sum")))
        with closing(open_spool(path, NOW)) as opened:
            spool = opened.spool
            kinds.add((opened.set_aside is not None, bool(opened.doubted)))
            assert (opened.set_aside is None) is in_last, what
            assert opened.doubted or opened.set_aside, f"{what}: it is told"
            first = spool.chain().unsure_from
            assert first, f"{what}: the centre is asked for the next number"
            assert len(everything - {record.id for record in spool.waiting(999)}) <= 4, what
            spool.append([new("after")])
            spool.rechain(IN_FILE + IN_LOG + 1, "c" * 64)
            found = {record.id: record.seq for record in spool.waiting(999) if record.kind == "cdr"}
            assert found.pop("after") > IN_FILE + IN_LOG, f"{what}: no number is given again"
            assert all(name == f"r{seq}" for name, seq in found.items()), what
            if not in_last and what.endswith(("magic", "size", "salt", "sum")):
                assert everything <= found.keys(), f"{what}: no page was hit"
                assert (spool.cursor("journal"), len(spool.open_calls())) == (str(IN_FILE + IN_LOG), IN_LOG)
        kept = list(path.parent.glob("*.damaged-*-wal"))
        assert bool(kept) is not in_last, "the log is kept as it was found"
        assert not list(path.parent.glob("*.patched*"))
        with closing(open_spool(path, NOW)) as opened:
            assert (opened.set_aside, opened.doubted) == (None, ""), f"{what}: it is over"
    assert kinds == {(True, False), (False, True)}


def test_each_page_is_proved_also_where_only_what_is_beside_it_was_damaged(path: Path) -> None:
    raw = bytearray(wal_of(path).read_bytes())
    count = len(spool_wal.look(bytes(raw), PAGE_BYTES).frames)
    for place in (9, 17, 22):  # salt, sum
        for number in range(0, count - 1, 7):
            at = HEADER_BYTES + number * FRAME_BYTES + place
            raw[at] ^= 0x10
            log = spool_wal.look(bytes(raw), PAGE_BYTES)
            assert [n for n, frame in enumerate(log.frames) if not frame.whole] == [], (number, place)
            assert [n for n, frame in enumerate(log.frames) if not frame.sound][:1] == [number]
            raw[at] ^= 0x10


def test_end_of_the_log_that_a_kill_left_half_written_is_no_damage_and_no_loss(path: Path) -> None:
    raw = wal_of(path).read_bytes()
    header = raw[-FRAME_BYTES:][:FRAME_HEADER_BYTES]
    for left in (raw + header[:11], raw + header, raw + header + b"x" * 100):
        wal_of(path).write_bytes(left)
        assert spool_wal.look(left, PAGE_BYTES).found is Found.WHOLE
    wal_of(path).write_bytes(raw + header + b"old content of the page".ljust(PAGE_BYTES))
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is None
        assert "middle of a transaction" in opened.doubted
        assert len(opened.spool.waiting(999)) == IN_FILE + IN_LOG - 5


def test_power_cut_that_leaves_any_part_of_the_last_transaction_is_never_taken_for_damage(path: Path) -> None:
    raw = wal_of(path).read_bytes()
    ends = [n for n, frame in enumerate(spool_wal.look(raw, PAGE_BYTES).frames) if frame.commit_pages]
    begin = HEADER_BYTES + (ends[-2] + 1) * FRAME_BYTES
    old = bytearray(raw[begin - (len(raw) - begin) : begin])  # frames of an earlier log, commits among them
    for at in range(0, len(old), FRAME_BYTES):
        old[at + 8] ^= 0x01
        old[at + 4 : at + 8] = b"\x00\x00\x00\x60"
    chance = random.Random(7)
    seen = set()
    for _ in range(300):
        cut = bytearray(raw)
        for sector in range(begin // 512, len(raw) // 512 + 1):
            first, last = max(sector * 512, begin), min((sector + 1) * 512, len(raw))
            if chance.random() < 0.5:
                cut[first:last] = old[first - begin : last - begin]
        seen.add(spool_wal.look(bytes(cut), PAGE_BYTES).found)
    assert seen <= {Found.WHOLE, Found.CUT}
    assert Found.CUT in seen


def test_leftovers_of_an_earlier_log_are_none_of_this_one(path: Path) -> None:
    raw = wal_of(path).read_bytes()
    old = bytearray(raw[-3 * FRAME_BYTES :])
    for n in range(3):
        old[n * FRAME_BYTES + 8] ^= 0x01
    assert spool_wal.look(raw + bytes(old), PAGE_BYTES).found is Found.WHOLE
    assert spool_wal.look(b"", PAGE_BYTES).found is Found.WHOLE
    assert spool_wal.look(raw[:40], PAGE_BYTES).found is Found.WHOLE


def test_person_at_the_spool_of_a_dead_agent_leaves_a_damaged_log_alone(path: Path) -> None:
    flip(wal_of(path), HEADER_BYTES + 9 * FRAME_BYTES + 17)
    before = wal_of(path).read_bytes()
    for look in (lambda: spool_desk.parked(path, 9), lambda: spool_desk.retry(path)):
        with pytest.raises(SpoolDamaged, match="the log beside it is damaged"):
            look()
    assert wal_of(path).read_bytes() == before
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is not None
        assert spool_desk.parked(path, 9) == [], "while the agent is at work"


def test_power_cut_while_a_damaged_log_is_dealt_with_begins_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(wal_of(path), HEADER_BYTES + 9 * FRAME_BYTES + 17)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="cut"):
        patched.setattr("agent.spool_files._finish_exchange", _cut_when_rebuilt)
        open_spool(path, NOW)
    with closing(open_spool(path, NOW)) as opened:
        names = {record.id for record in opened.spool.waiting(999)}
    assert names >= {f"r{n}" for n in range(6, IN_FILE + IN_LOG + 1)}
    assert list(path.parent.glob("*.damaged-*-wal"))


def _cut_when_rebuilt(path: Path, _now: Moment) -> None:
    if path.with_name("spool.sqlite.rebuilt").exists():
        raise OSError("cut")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('[46, "', '[86, "', id="a number that is too high"),
        pytest.param('[46, "', '[56, "', id="another one"),
        pytest.param(", 0, ", ", 4, ", id="what is unsure"),
        pytest.param("SUM", "", id="the sum"),
        pytest.param("HASH", "", id="the hash of the last record"),
    ],
)
def test_flipped_bit_in_the_next_number_is_seen_and_the_centre_is_asked(
    path: Path, before: str, after: str
) -> None:
    with closing(open_spool(path, NOW)) as opened:
        spool = opened.spool
        spool.settle(
            Settlement(tuple(f"r{n}" for n in range(1, IN_FILE + IN_LOG + 1)))
        )  # nothing proves it then
        with spool.transaction() as db:
            if before == "SUM":
                db.execute(
                    "UPDATE cursor SET value = replace(value, ', 0, \"', ', 0, \"0') WHERE name = ?", (CHAIN,)
                )
                db.execute(
                    "UPDATE cursor SET value = substr(value, 1, length(value) - 3) || '\"]' WHERE name = ?",
                    (CHAIN,),
                )
            elif before == "HASH":
                hash_ = spool.chain().last_hash
                other = ("1" if hash_[0] != "1" else "2") + hash_[1:]
                db.execute(
                    "UPDATE cursor SET value = replace(value, ?, ?) WHERE name = ?", (hash_, other, CHAIN)
                )
            else:
                db.execute(
                    "UPDATE cursor SET value = replace(value, ?, ?) WHERE name = ?", (before, after, CHAIN)
                )
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is None, "nothing is lost"
        assert "not what was written" in opened.doubted
        assert opened.spool.chain().unsure_from
        opened.spool.append([new("after")])
        assert opened.spool.waiting(9) == []
        opened.spool.rechain(46, "c" * 64)
        assert [(r.id, r.seq, r.prev_hash) for r in opened.spool.waiting(9)] == [("after", 46, "c" * 64)]


async def test_centre_gets_every_record_once_after_the_log_of_a_box_was_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    with running_centre(tmp_path / "centre") as centre:
        async with box_of(centre, tmp_path / "box") as box:
            for n in range(6):
                box.add(f"sent-{n}")
                await box.sync()
            for n in range(6):
                box.add(f"waits-{n}")
            image = box.copy(tmp_path / "image")
        names = await _after_damage(centre, image)
        assert sorted(names) == sorted(
            [*(f"sent-{n}" for n in range(6)), *(f"waits-{n}" for n in range(6)), "after-0", "after-1"]
        )


async def _after_damage(centre: CentreProcess, image: Path) -> list[str]:
    """Names of the calls' records at the centre once the box with that disk, its log damaged early on, has gone on."""
    flip(image / "spool.sqlite-wal", HEADER_BYTES + 2 * FRAME_BYTES + 17)
    restored = SyncedBox(image, centre.url)
    try:
        assert restored.opened.set_aside is not None
        restored.add("after-0", "after-1")
        await restored.sync()
        assert restored.parked() == []
    finally:
        await restored.close()
    with centre.store() as opened, opened.database.read() as connection:
        assert store.ledger(connection, SITE).missing == 0
        rows = store.newest(connection, site_id=SITE, limit=99)
        return [str(row["id"]) for row in rows if row["kind"] == "cdr"]
