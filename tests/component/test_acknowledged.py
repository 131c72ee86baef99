"""Copies of acknowledged records, and what becomes of them when their file has trouble. A failure is a centre that gets nothing
back of what it had, or a box whose records wait for a file that it could do without."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.acknowledged import Acknowledged
from agent.acknowledged_age import forget_old
from agent.journal_events import Moment
from agent.records import NewRecord, Settlement
from agent.spool_errors import SpoolError, SpoolUnusable
from agent.spool_files import open_spool
from appliance.site_model import Keeping
from cloudsync.wire import GENESIS_HASH, RecordText, canonical_json, chain_text

DAY_S = 86_400.0


def records(first: int, last: int, text: str = "") -> list[RecordText]:
    made: list[RecordText] = []
    for seq in range(first, last + 1):
        made.append(
            chain_text(
                made[-1].hash if made else GENESIS_HASH,
                seq=seq,
                record_id=f"r-{seq}",
                kind="cdr",
                priority=1,
                created_utc="2026-11-21T09:30:00.000Z",
                boot_id="boot",
                text=canonical_json({"call_id": f"c-{seq}", "name": "佐藤", "text": text}),
            )
        )
    return made


class Limit:
    """How much copies may take."""

    bytes = 1024 * 1024

    def __call__(self) -> int:
        return self.bytes


@pytest.fixture
def limit() -> Limit:
    return Limit()


@pytest.fixture
def copies(tmp_path: Path, limit: Limit) -> Acknowledged:
    return Acknowledged(tmp_path / "acknowledged.sqlite", limit)


def found(copies: Acknowledged, *runs: tuple[int, int]) -> list[RecordText]:
    return [record for batch in copies.find(list(runs)) for record in batch]


def test_copies_are_found_by_their_numbers_also_after_a_restart(copies: Acknowledged, limit: Limit) -> None:
    first, second = records(1, 10), records(11, 20)
    copies.keep(first)
    copies.keep(second)
    copies.close()
    again = Acknowledged(copies._path, limit)
    assert found(again, (1, 20)) == first + second
    assert found(again, (3, 4), (9, 12), (20, 400)) == [*first[2:4], *first[8:], *second[:2], second[-1]]
    assert found(again, (21, 2**62)) == [] == found(again)
    assert copies._path.stat().st_mode & 0o777 == 0o600


def test_the_oldest_go_when_there_are_too_many(copies: Acknowledged, limit: Limit) -> None:
    for n in range(40):
        copies.keep(records(10 * n + 1, 10 * n + 10))
        if n == 9:
            limit.bytes = copies.size_bytes
        assert copies.size_bytes <= limit.bytes
    numbers = [record.seq for record in found(copies, (1, 400))]
    assert numbers == list(range(numbers[0], 401)) and 50 < len(numbers) <= 100
    before = copies.size_bytes
    copies.close()
    copies.mark()
    assert copies.size_bytes == before, "as it was counted"


def test_all_go_when_the_disk_has_no_room_for_them(
    copies: Acknowledged, limit: Limit, tmp_path: Path
) -> None:
    copies.keep(records(1, 10))
    limit.bytes = 0
    copies.keep(records(11, 20))
    assert list(tmp_path.iterdir()) == [] and copies.size_bytes == 0
    limit.bytes = 1024 * 1024
    copies.keep(records(21, 22))
    assert [record.seq for record in found(copies, (1, 99))] == [21, 22]


@pytest.mark.parametrize("spoilt", [b"not a database, certainly not one", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_is_thrown_away_and_begun_anew(copies: Acknowledged, spoilt: bytes) -> None:
    copies.keep(records(1, 10))
    copies.close()
    copies._path.write_bytes(spoilt)
    with pytest.raises(SpoolUnusable):  # what ends no task of the agent's, as damage of the spool does
        copies.keep(records(11, 12))
    copies.keep(records(13, 14))
    assert [record.seq for record in found(copies, (1, 99))] == [13, 14]


def test_a_spoilt_copy_is_left_out_and_the_others_are_there(copies: Acknowledged) -> None:
    for n in range(3):
        copies.keep(records(10 * n + 1, 10 * n + 10))
    copies.close()
    with closing(sqlite3.connect(copies._path)) as db, db:
        (packed,) = db.execute("SELECT packed FROM batch WHERE id = 2").fetchone()
        db.execute(
            "UPDATE batch SET packed = ? WHERE id = 2", (packed[:60] + bytes([packed[60] ^ 4]) + packed[61:],)
        )
        db.execute("UPDATE batch SET packed = ? WHERE id = 3", (b"",))
    numbers = [record.seq for record in found(copies, (1, 99))]
    assert numbers[:10] == list(range(1, 11)) and len(numbers) < 20


def test_a_shell_that_holds_the_file_costs_the_copy_and_not_the_file(
    copies: Acknowledged, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.keep(records(1, 10))
    copies.close()
    monkeypatch.setattr("agent.acknowledged.BUSY_S", 0.05)
    with closing(sqlite3.connect(copies._path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(SpoolError):
            copies.keep(records(11, 12))
        shell.execute("ROLLBACK")
    assert [record.seq for record in found(copies, (1, 99))] == list(range(1, 11))


def test_place_where_no_file_can_be_made_costs_the_copies_and_ends_no_task(
    tmp_path: Path, limit: Limit
) -> None:
    copies = Acknowledged(tmp_path / "gone" / "acknowledged.sqlite", limit)
    for ask in (lambda: copies.keep(records(1, 2)), lambda: found(copies, (1, 2)), copies.last, copies.mark):
        with pytest.raises(SpoolUnusable):
            ask()
    (tmp_path / "gone").mkdir()
    copies.keep(records(1, 2))
    assert found(copies, (1, 2)) == records(1, 2)


def test_age_is_counted_while_the_agent_runs_and_not_by_a_clock(copies: Acknowledged, tmp_path: Path) -> None:
    opened = open_spool(tmp_path / "spool.sqlite", Moment("boot", 1, 1))
    week = Keeping(days=7, mebibytes=64)
    try:
        copies.keep(records(1, 10))
        for _ in range(6):
            forget_old(copies, opened.spool, week, DAY_S)
        copies.keep(records(11, 20))
        assert len(found(copies, (1, 99))) == 20
        forget_old(copies, opened.spool, week, DAY_S)
        forget_old(copies, opened.spool, week, DAY_S)
        assert [record.seq for record in found(copies, (1, 99))] == list(range(11, 21))
        forget_old(copies, opened.spool, Keeping(days=0, mebibytes=64), 400 * DAY_S)
        assert len(found(copies, (1, 99))) == 10
    finally:
        opened.close()


def test_what_is_put_back_keeps_its_place_and_takes_nobody_elses(tmp_path: Path) -> None:
    opened = open_spool(tmp_path / "spool.sqlite", Moment("boot", 1, 1))
    spool = opened.spool
    try:
        spool.rechain(1, GENESIS_HASH)
        made = spool.append(
            [NewRecord(f"r-{n}", "cdr", 1, 1_790_000_000_000, "boot", {"n": n}) for n in range(4)]
        )
        spool.settle(Settlement(delete=("r-0", "r-1")))
        assert spool.put_back(made) == [1, 2], "the others are here"
        assert spool.put_back(made) == []
        other = made[0]._replace(id="other", seq=99)
        assert spool.put_back([other]) == [], "a number that was never given out here"
        assert [record.id for record in spool.waiting(10)] == ["r-0", "r-1", "r-2", "r-3"]
        assert (spool.depth().waiting, spool.depth().next_seq) == (4, 5)
    finally:
        opened.close()
