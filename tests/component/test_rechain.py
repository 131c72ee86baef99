"""Numbers given anew to a spool full of records, in slices, killed anywhere. A failure means a sequence with a hole or a record
sent under two numbers after a new disk or a restored backup."""

import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from agent import rechain
from agent.journal_events import Moment
from agent.records import NewRecord, Settlement
from agent.spool import Spool
from agent.spool_chain import FAR
from agent.spool_desk import retry
from agent.spool_files import open_spool
from cloudsync.wire import text_fits

NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
BEFORE = "f" * 64


def new(name: str, size: int = 20) -> NewRecord:
    return NewRecord(name, "cdr", 1, NOW.wall_ms, "boot-a", {"name": name, "text": "x" * size})


def fill(spool: Spool, begin: int, end: int, size: int = 20) -> None:
    for first in range(begin, end, 500):
        spool.append([new(f"r{n}", size) for n in range(first, min(first + 500, end))])


def numbered(spool: Spool, first: int, last_hash: str) -> list[str]:
    """Names in the order of their numbers, which are checked with the chain."""
    found = spool.waiting(100_000)
    for record in found:
        assert (record.seq, record.prev_hash) == (first, last_hash)
        assert text_fits(record)
        first, last_hash = first + 1, record.hash
    assert (spool.chain().next_seq, spool.chain().last_hash, spool.chain().unsure_from) == (
        first,
        last_hash,
        0,
    )
    return [record.id for record in found]


@pytest.mark.parametrize("first", [1, 40, 60, 5_000], ids=["same", "overlapping", "half", "behind"])
def test_killed_after_any_slice_and_written_to_meanwhile_all_get_numbers_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    monkeypatch.setattr(rechain, "SLICE_ROWS", 30)
    path, wanted = tmp_path / "spool.sqlite", [f"r{n}" for n in range(100)]
    with closing(open_spool(path, NOW)) as opened:
        fill(opened.spool, 0, 100)
        opened.spool.begin_rechain(first, BEFORE)
    for life in range(50):
        with closing(open_spool(path, NOW)) as opened:
            spool = opened.spool
            assert all(record.seq < FAR for record in spool.waiting(1_000))
            if not spool.rechaining:
                break
            spool.begin_rechain(9_999, "e" * 64)  # an agent that starts anew does not begin anew
            spool.rechain_some()
            if life < 6:
                spool.append([new(f"late{life}")])
                wanted.append(f"late{life}")
            assert spool.depth().next_seq <= first + len(wanted)
    with closing(open_spool(path, NOW)) as opened:
        assert numbered(opened.spool, first, BEFORE) == wanted


def test_what_has_its_number_is_sent_while_the_rest_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechain, "SLICE_ROWS", 30)
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as opened:
        spool = opened.spool
        fill(spool, 0, 90)
        spool.begin_rechain(7, BEFORE)
        sent = []
        while spool.rechaining:
            spool.rechain_some()
            batch = spool.waiting(1_000, newest=500)
            sent += [(record.seq, record.id) for record in batch]
            spool.settle(Settlement(tuple(record.id for record in batch)))
        assert sent == [(7 + n, f"r{n}") for n in range(90)]
        assert (spool.depth().waiting, spool.depth().next_seq) == (0, 97)


def test_asked_to_renumber_everything_in_the_midst_of_it_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechain, "SLICE_ROWS", 30)
    path = tmp_path / "spool.sqlite"
    for slices in range(9):
        with closing(open_spool(path, NOW)) as opened:
            spool = opened.spool
            fill(spool, 0, 100)
            spool.begin_rechain(3, BEFORE)
            for _ in range(slices):
                spool.rechain_some()
            retry(path, renumber=True)
            assert spool.waiting(10) == []
            spool.rechain(500, "a" * 64)
            assert numbered(spool, 500, "a" * 64) == [f"r{n}" for n in range(100)]
            spool.settle(Settlement(tuple(f"r{n}" for n in range(100))))


def test_a_large_backlog_takes_no_more_memory_than_a_slice(tmp_path: Path) -> None:
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as opened:
        fill(opened.spool, 0, 12_000, size=1_000)
        tracemalloc.start()
        try:
            opened.spool.rechain(77, BEFORE)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < 6_000_000, "a slice of 1,000 records has 1.3 MB"
        assert len(numbered(opened.spool, 77, BEFORE)) == 12_000
