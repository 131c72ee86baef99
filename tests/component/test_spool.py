"""The spool on a real disk: one transaction or nothing, one owner, a chain without gaps, damage contained."""

import gc
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent import spool_pages
from agent.journal_events import Moment
from agent.records import NewRecord, Settlement
from agent.spool import DAMAGED_REASON, Spool
from agent.spool_errors import SpoolDamaged, SpoolError, SpoolFull, SpoolLocked, SpoolUnusable
from agent.spool_files import OpenedSpool, open_spool
from agent.spool_schema import PAGE_BYTES
from agent.upload import RecordSender
from cloudsync.wire import GENESIS_HASH, Record, RecordResult, RecordText, hash_fits

NOW = Moment("boot-a", 5_000, 1_790_000_000_000)


def new(name: str, priority: int = 1, kind: str = "cdr", **body: Any) -> NewRecord:
    return NewRecord(name, kind, priority, 1_790_000_000_000, "boot-a", {"id": name, **body})


def open_known(path: Path) -> OpenedSpool:
    """A spool that knows where its site's sequence stands."""
    opened = open_spool(path, NOW)
    chain = opened.spool.chain()
    if chain.unsure_from == 1:
        opened.spool.rechain(chain.next_seq, chain.last_hash)
    return opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


@pytest.fixture
def opened(path: Path) -> Any:
    spool = open_known(path)
    yield spool
    spool.close()


@pytest.fixture
def spool(opened: OpenedSpool) -> Spool:
    return opened.spool


def test_newest_records_go_ahead_of_the_history_and_never_with_it(spool: Spool) -> None:
    spool.append([new(f"old{n}", priority=n % 2 + 1) for n in range(6)])
    spool.append([new("now1", priority=2), new("now2")])
    assert [r.id for r in spool.waiting(10, newest=2)] == ["now2", "now1"]
    spool.append([new("help", priority=0)])
    assert [r.id for r in spool.waiting(10, newest=2)] == ["help"], "an emergency waits for nothing"
    spool.settle(Settlement(("help", "now1", "now2")))
    assert [r.id for r in spool.waiting(3, newest=2)] == ["old0", "old2", "old4"], (
        "then the history, in order"
    )


def test_records_get_numbers_without_gaps_and_a_chain(spool: Spool) -> None:
    spool.append([new("a"), new("b")])
    spool.append([new("b"), new("c")])
    records = spool.waiting(10)
    assert [(r.seq, r.id) for r in records] == [(1, "a"), (2, "b"), (3, "c")]
    assert [r.prev_hash for r in records] == [GENESIS_HASH, records[0].hash, records[1].hash]
    assert all(hash_fits(r) for r in records)


def test_urgent_records_come_first_then_in_sequence(spool: Spool) -> None:
    spool.append([new("stat", 2, "stat"), new("cdr1"), new("help", 0, "event"), new("cdr2")])
    assert [r.id for r in spool.waiting(10)] == ["help", "cdr1", "cdr2", "stat"]


def test_numbers_go_on_after_everything_was_acknowledged(path: Path) -> None:
    with closing(open_known(path)) as opened:
        (first,) = opened.spool.append([new("a")])
        opened.spool.settle(Settlement(("a",)))
    with closing(open_spool(path, NOW)) as opened:
        (second,) = opened.spool.append([new("b")])
    assert (second.seq, second.prev_hash) == (2, first.hash)


def test_refused_record_is_parked_with_its_reason_and_holds_up_nobody(spool: Spool) -> None:
    spool.append([new("bad"), new("good")])
    spool.settle(Settlement((), {"bad": "conflict"}))
    assert [r.id for r in spool.waiting(10)] == ["good"]
    assert spool.parked() == [(1, "bad", "cdr", "conflict")]
    assert spool.retry_parked() == 1
    assert [r.id for r in spool.waiting(10)] == ["bad", "good"]


def test_records_cursor_and_call_documents_move_together_or_not_at_all(spool: Spool) -> None:
    spool.append([new("a")], cursors={"journal": "7"}, calls={"c1": "{}", "c2": "{}"})
    with pytest.raises(ValueError, match="JSON"):
        spool.append([new("b"), new("c", x=float("nan"))], cursors={"journal": "9"}, calls={"c1": None})
    assert [r.id for r in spool.waiting(10)] == ["a"]
    assert (spool.cursor("journal"), set(spool.open_calls())) == ("7", {"c1", "c2"})
    spool.append([], cursors={"journal": "9"}, calls={"c1": None})
    assert (spool.cursor("journal"), set(spool.open_calls())) == ("9", {"c2"})


def test_full_disk_is_a_typed_error_and_nothing_half_written(spool: Spool) -> None:
    spool.append([new("a")], cursors={"journal": "1"})
    with spool.reading() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolFull) as caught:
        spool.append([new(f"r{n}", text="x" * 5_000) for n in range(50)], cursors={"journal": "2"})
    assert caught.value.key == "spool.full"
    assert ([r.id for r in spool.waiting(99)], spool.cursor("journal")) == (["a"], "1")
    with spool.reading() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert [r.seq for r in spool.append([new("b")])] == [2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system of its own: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_disk_that_is_really_full_refuses_whole_transactions_and_empties_by_acknowledgements(
    small_disk: Path,
) -> None:
    with closing(open_known(small_disk / "spool.sqlite")) as opened:
        spool, count = opened.spool, 0
        with pytest.raises(SpoolFull):
            while True:
                spool.append(
                    [new(f"r{count + n}", text="x" * 1_000) for n in range(100)], cursors={"at": str(count)}
                )
                count += 100
        (small_disk / "log").write_bytes(b"")
        with (
            pytest.raises(OSError),
            (small_disk / "log").open("wb") as log,
        ):  # somebody else takes the last bytes
            while True:
                log.write(b"x" * 4096)
                log.flush()
    with closing(open_known(small_disk / "spool.sqlite")) as opened:  # the agent is started on the full disk
        assert opened.set_aside is None
        spool = opened.spool
        assert (spool.depth().waiting, spool.cursor("at")) == (count, str(count - 100))
        for _ in range(20):
            batch = spool.waiting(500)
            spool.settle(Settlement(tuple(r.id for r in batch)))
        left = count - 20 * 500
        spool.append([new("after the flood")])
        assert spool.depth().waiting == left + 1
    with closing(open_spool(small_disk / "spool.sqlite", NOW)) as opened:
        assert opened.set_aside is None
        assert opened.spool.depth().waiting == left + 1


def test_second_agent_on_the_same_spool_is_refused(opened: OpenedSpool, path: Path) -> None:
    with pytest.raises(SpoolLocked) as caught:
        open_spool(path, NOW)
    assert caught.value.key == "spool.locked"
    opened.spool.append([new("a")])


def test_spool_is_readable_by_its_owner_only(opened: OpenedSpool, path: Path) -> None:
    opened.spool.append([new("a")])
    modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_folder_that_cannot_be_written_is_an_error_a_person_can_act_on(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").mkdir()
    with pytest.raises((SpoolError, IsADirectoryError)):
        open_spool(tmp_path / "spool.sqlite", NOW)


class _Taking:
    """A centre that takes everything."""

    async def send_records(self, _site: str, batch: list[Record]) -> list[RecordResult]:
        return [RecordResult(record.id, "stored") for record in batch]

    async def ledger(self) -> None:
        raise AssertionError


async def test_backlog_drains_in_memory_that_does_not_grow_with_it(spool: Spool) -> None:
    peaks = []
    for count in (1_000, 4_000):
        for n in range(0, count, 500):
            spool.append([new(f"r{count}-{n + k}", text="x" * 500) for k in range(500)])
        sender = RecordSender(spool, _Taking(), "tokyo-1")  # type: ignore[arg-type]
        tracemalloc.start()
        while await sender.send():
            gc.collect()  # when it would come by itself is chance, and a batch more or less
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert spool.depth().waiting == 0
    assert peaks[1] < peaks[0] * 1.2, peaks


def test_depth_is_known_without_counting_however_the_transactions_end(spool: Spool) -> None:
    spool.append([new(f"r{n}") for n in range(10)])
    assert spool.depth().waiting == 10
    with pytest.raises(ValueError, match="JSON"):
        spool.append([new("b"), new("c", x=float("nan"))])
    spool.settle(Settlement(("r1", "r2", "never there"), {"r3": "conflict"}))
    spool.append([new("r4"), new("d")])
    assert (spool.depth().waiting, spool.depth().parked) == (8, 1)


# ------------------------------------------------------------------------------------------------------- damage


def _filled(path: Path, count: int = 400) -> None:
    with closing(open_known(path)) as opened:
        for n in range(0, count, 100):
            opened.spool.append([new(f"r{n + k}", text="x" * 300) for k in range(100)])
        opened.spool.append([], cursors={"journal": "77"}, calls={"c": "{}"})
        opened.spool.settle(Settlement((), {"r5": "conflict"}))


def _damage(path: Path, page: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[page * PAGE_BYTES : page * PAGE_BYTES + 200] = b"\xff" * 200
    path.write_bytes(raw)


def test_flipped_bit_in_a_record_is_found_parked_and_never_sent(path: Path) -> None:
    _filled(path, 100)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"x" * 300)
    raw[place + 9] ^= 0x01
    path.write_bytes(raw)
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is None, "the pages are sound, one record is not"
        assert len(opened.spool.waiting(1000)) == 98
        assert DAMAGED_REASON in [reason for *_, reason in opened.spool.parked()]
        assert opened.spool.retry_parked() == 1, "a damaged record does not come back by command"


@pytest.mark.parametrize(
    ("before", "after", "rebuilt"),
    [
        pytest.param(b"x" * 300, b"x" * 299 + b"\xf8", False, id="text that is none"),
        pytest.param(b'[102, "', b"[102, \x02", True, id="where the sequence stands"),
        pytest.param(b'[102, "', b'[003, "', True, id="a number of the sequence"),
        pytest.param(b'[102, "', b'[101, "', True, id="a number that was given"),
        pytest.param(b'", 0, "', b'", 1, "', False, id="what is unsure"),
        pytest.param(b'[102, "', b"[102, \xa2", True, id="a place that is no text"),
        pytest.param(b'"started_utc"', b'"started_utb"', True, id="a column's name"),
        pytest.param(b'TABLE "open_call"', b'TABLE "open_calm"', True, id="a table's name"),
        pytest.param(b'["journal", "77"]', b'["journal", "77"}', False, id="a position"),
    ],
)
def test_flipped_bit_anywhere_loses_at_most_what_it_is_in_and_holds_up_nothing(
    path: Path, before: bytes, after: bytes, rebuilt: bool
) -> None:
    _filled(path, 100)
    with closing(open_known(path)) as opened:
        opened.spool.append([new("last")], cursors={"place": '["journal", "77"]'}, calls={"d": "{}"})
    raw = path.read_bytes()
    place = raw.rindex(before)
    path.write_bytes(raw[:place] + after + raw[place + len(before) :])
    with closing(open_spool(path, NOW)) as opened:
        assert (opened.set_aside is not None) is rebuilt
        spool = opened.spool
        if spool.chain().unsure_from:
            spool.rechain(200, "c" * 64)
        spool.append([new("next")])
        while batch := _asked_again(lambda: spool.waiting(30)):
            spool.settle(Settlement(tuple(r.id for r in batch)))
        spool.look_for_stranded()
        assert spool.depth().waiting == 0
        assert spool.depth().parked == (1 if rebuilt else 1 + before.startswith(b"x"))
        if before.startswith(b"TABLE"):  # then SQLite reads none of them: only what its hash proves is saved
            return
        assert spool.cursor("journal") == "77"
        assert spool.cursor_json("place") == (None if before.startswith(b'["jour') else ["journal", "77"])


def _asked_again(ask: Callable[[], list[RecordText]]) -> list[RecordText]:
    """As the sender does after an error that may pass."""
    try:
        return ask()
    except SpoolUnusable:
        return ask()


async def test_records_that_the_index_does_not_show_any_more_are_found_and_sent_by_the_next_agent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.records.NEWEST_RECORDS", 0)  # those are found without the index
    _filled(path, 100)
    raw = path.read_bytes()
    pages = [raw[at : at + PAGE_BYTES] for at in range(0, len(raw), PAGE_BYTES)]
    spoilt = [page.replace(b"waiting", b"vaiting") if page[0] in (0x02, 0x0A) else page for page in pages]
    path.write_bytes(b"".join(spoilt))
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is None, "all pages are pages"
        with pytest.raises(SpoolDamaged, match="does not lead to record"):
            await RecordSender(opened.spool, None, "s").send()  # type: ignore[arg-type]
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is not None
        assert "does not lead to record" in opened.set_aside.problem
        assert len(opened.spool.waiting(1000)) == 100, "all but the parked one, and what tells of it"
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is None, "it is in doubt no more"


@pytest.mark.parametrize("page", [12, 20, 30])
def test_damaged_page_loses_its_own_records_alone_and_is_reported(path: Path, page: int) -> None:
    _filled(path)
    _damage(path, page)
    with closing(open_spool(path, NOW)) as opened:
        found = opened.set_aside
        assert found is not None
        assert found.path.read_bytes()[:16] == b"SQLite format 3\0"
        assert found.saved >= 350
        records = opened.spool.waiting(1000)
        (told,) = [r for r in records if r.kind == "event"]
        assert (told.body["event"], told.body["saved"]) == ("spool_damaged", found.saved)
        assert told.seq == 401, "the sequence goes on where it stood"
        assert len(records) + len(opened.spool.parked()) == found.saved + 1
        assert opened.spool.cursor("journal") == "77"


def test_any_page_may_be_damaged_and_all_other_records_are_saved(path: Path) -> None:
    _filled(path, 100)
    whole = path.read_bytes()
    for page in range(1, len(whole) // PAGE_BYTES, 3):
        path.write_bytes(whole)
        _damage(path, page)
        with closing(open_spool(path, NOW)) as opened:
            opened.spool.rechain(500, "c" * 64, everything=True)
            names = {r.id for r in opened.spool.waiting(1000)} | {row[1] for row in opened.spool.parked()}
            assert len([n for n in names if n.startswith("r")]) >= 92, page
        for other in path.parent.glob("spool.sqlite*"):
            other.unlink()


def test_large_records_are_saved_from_bare_pages_byte_for_byte(path: Path) -> None:
    sizes = [10, 500, 600, 640, 700, 900, 990, 1_100, 2_000, 4_061, 9_000, 60_000]
    with closing(open_known(path)) as opened:
        opened.spool.append([new(f"r{size}", text="é" * (size // 2)) for size in sizes])
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'record'").fetchone()
    found = [row for row in spool_pages.rows(path.read_bytes(), 11) if row[1].startswith("r")]
    assert sorted(row[1] for row in found) == sorted(f"r{size}" for size in sizes)
    _damage(path, root - 1)
    with closing(open_spool(path, NOW)) as opened:
        texts = {r.id: r.body["text"] for r in opened.spool.waiting(99) if r.kind == "cdr"}
    assert texts == {f"r{size}": "é" * (size // 2) for size in sizes}


def test_spool_that_lost_its_place_sends_old_records_as_they_are_and_asks_for_the_rest(path: Path) -> None:
    _filled(path, 100)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM cursor WHERE name = 'chain'")
    _damage(path, 20)
    with closing(open_spool(path, NOW)) as opened:
        spool, found = opened.spool, opened.set_aside
        assert found is not None
        old = spool.waiting(1000)
        assert {r.kind for r in old} == {"cdr"}, "the event's number is not sure"
        spool.settle(Settlement(tuple(r.id for r in old)))
        assert spool.waiting(1000) == []
        spool.rechain(120, "a" * 64)
        assert [(r.seq, r.prev_hash, r.kind) for r in spool.waiting(9)] == [(120, "a" * 64, "event")]


def test_file_that_is_no_database_is_kept_and_replaced(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with closing(open_spool(path, NOW)) as opened:
        assert opened.set_aside is not None
        assert opened.set_aside.path.read_bytes() == b"not a database" * 1000
        assert opened.spool.waiting(9) == []
        opened.spool.rechain(8, "b" * 64)
        assert [(r.seq, r.body["event"]) for r in opened.spool.waiting(9)] == [(8, "spool_damaged")]


@pytest.mark.parametrize("step", ["unfinished", "rebuilt", "aside"])
def test_power_cut_while_a_damaged_spool_is_exchanged_loses_nothing(path: Path, step: str) -> None:
    _filled(path, 100)
    whole = path.read_bytes()
    if step == "unfinished":
        path.with_name("spool.sqlite.unfinished").write_bytes(b"half")
        _damage(path, 20)
    else:
        path.with_name("spool.sqlite.rebuilt").write_bytes(whole)
        path.unlink()
        if step == "rebuilt":
            path.write_bytes(b"damaged")
    with closing(open_spool(path, NOW)) as opened:
        saved = {r.id for r in opened.spool.waiting(1000)} | {row[1] for row in opened.spool.parked()}
        assert len([id_ for id_ in saved if id_.startswith("r")]) >= 85
    assert not path.with_name("spool.sqlite.rebuilt").exists()


def test_new_numbers_from_the_centre_relink_everything_that_waits(spool: Spool) -> None:
    spool.append([new("a"), new("b"), new("c")])
    spool.settle(Settlement(("a",)))
    spool.rechain(41, "f" * 64, everything=True)
    (b, c) = spool.waiting(10)
    assert [(b.seq, b.prev_hash), (c.seq, c.prev_hash)] == [(41, "f" * 64), (42, b.hash)]
    (d,) = spool.append([new("d")])
    assert (d.seq, d.prev_hash) == (43, c.hash)
    assert spool.chain().unsure_from == 0
    spool.rechain(2, "e" * 64, everything=True)
    assert [r.seq for r in spool.waiting(10)] == [2, 3, 4]


# ------------------------------------------------------------------------------------------------- kill at any time


def _append_for_ever(path: Path, told: int) -> None:
    """Child: append, then say on the pipe what is now durable."""
    with closing(open_known(path)) as opened:
        number = opened.spool.chain().next_seq
        while True:
            opened.spool.append(
                [new(f"r{number}"), new(f"r{number + 1}")], cursors={"journal": str(number + 1)}
            )
            os.write(told, f"{number + 1}\n".encode())
            number += 2


@pytest.mark.parametrize("run", range(4))
def test_kill_9_at_any_moment_keeps_what_was_told_and_no_half_transaction(path: Path, run: int) -> None:
    read_end, write_end = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=_append_for_ever, args=(path, write_end))
    child.start()
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        told = [int(stream.readline())]
        time.sleep(0.07 * run)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        told += [int(line) for line in stream.read().split()]
    with closing(open_spool(path, NOW)) as opened:
        records = opened.spool.waiting(1_000_000)
        journal = int(opened.spool.cursor("journal") or 0)
    assert opened.set_aside is None
    assert [r.seq for r in records] == list(range(1, journal + 1))
    assert journal >= max(told)


# -------------------------------------------------------------------------------------------------- against a model


class SpoolModel(RuleBasedStateMachine):
    """The spool beside a list and a dict; a reopened file must be the same as one that was never closed."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory(prefix="kyusai-spool-")
        self.path = Path(self.folder.name) / "spool.sqlite"
        self.opened = open_known(self.path)
        self.waiting: dict[str, tuple[int, int]] = {}
        self.parked: dict[str, tuple[int, int]] = {}
        self.next_seq = 1
        self.count = 0
        self.journal: str | None = None

    def teardown(self) -> None:
        self.opened.close()
        self.folder.cleanup()

    @rule(priorities=st.lists(st.integers(0, 2), max_size=4), again=st.booleans())
    def append(self, priorities: list[int], again: bool) -> None:
        known = [new(name) for name in (*self.waiting, *self.parked)][:2] if again else []
        fresh = []
        for priority in priorities:
            self.count += 1
            fresh.append(new(f"r{self.count}", priority))
            self.waiting[f"r{self.count}"] = (priority, self.next_seq)
            self.next_seq += 1
        self.journal = str(self.count)
        self.opened.spool.append([*known, *fresh], cursors={"journal": self.journal})

    @rule(count=st.integers(1, 5))
    def acknowledge(self, count: int) -> None:
        batch = [record.id for record in self.opened.spool.waiting(count)]
        self.opened.spool.settle(Settlement(tuple(batch)))
        for name in batch:
            del self.waiting[name]

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.waiting)))
        self.opened.spool.settle(Settlement((), {name: "conflict"}))
        self.parked[name] = self.waiting.pop(name)

    @rule()
    def retry(self) -> None:
        assert self.opened.spool.retry_parked() == len(self.parked)
        self.waiting |= self.parked
        self.parked = {}

    @rule()
    def reopen(self) -> None:
        self.opened.close()
        self.opened = open_spool(self.path, NOW)

    @rule()
    def crash_without_closing(self) -> None:
        other = sqlite3.connect(self.path)  # keeps the log from being folded in, as a killed process does
        self.opened.close()
        self.opened = open_spool(self.path, NOW)
        other.close()

    @invariant()
    def same_as_the_model(self) -> None:
        spool = self.opened.spool
        expected = sorted(self.waiting, key=lambda name: self.waiting[name])
        records = spool.waiting(10_000)
        assert [r.id for r in records] == expected
        assert [r.seq for r in records] == [self.waiting[name][1] for name in expected]
        assert {row[1]: row[0] for row in spool.parked(10_000)} == {n: s for n, (_, s) in self.parked.items()}
        assert spool.depth().waiting == len(self.waiting)
        assert spool.chain().next_seq == self.next_seq
        assert spool.cursor("journal") == self.journal


SpoolModel.TestCase.settings = settings(max_examples=15, stateful_step_count=20)
test_spool_against_a_simple_model = SpoolModel.TestCase


def test_stored_body_is_the_exact_canonical_text(spool: Spool, path: Path) -> None:
    spool.append([new("a", display="佐藤", n=1.5)])
    with closing(sqlite3.connect(path)) as db:
        (body,) = db.execute("SELECT body FROM record").fetchone()
    assert body == '{"display":"佐藤","id":"a","n":1.5}'
    assert json.loads(body) == spool.waiting(1)[0].body
