"""Journal, fold and spool together: killed at any moment, damaged, full, replaced; each call comes out once."""

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent import clock, recording_classes
from agent.call_records import CallRecords
from agent.journal_events import Moment
from agent.journal_reader import PAGE_ROWS, Cursor, JournalUnreadable, read_page
from agent.recording_table import RecordingTable
from agent.spool import Spool
from agent.spool_errors import SpoolFull
from agent.spool_files import open_spool
from appliance.kamailio import journal as journal_writer
from appliance.kamailio import journal_mark
from cloudsync.wire import cdr_with_empty

WALL_MS = 1_790_000_000_000
NOW = Moment("boot-a", 10_000_000, WALL_MS + 10_000_000)
SCHEMA = """CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY AUTOINCREMENT, call TEXT, event TEXT,
    mono_ms INTEGER, wall_ms INTEGER, boot_id TEXT, data TEXT)"""
INSERT = "INSERT INTO event (call, event, mono_ms, wall_ms, boot_id, data) VALUES (?, ?, ?, ?, ?, ?)"


class Journal:
    """Writes a journal as Kamailio's timer process does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute(SCHEMA)
        self.mono_ms = 1_000

    def write(self, event: str, call: str = "", boot: str = "boot-a", **data: object) -> None:
        self.mono_ms += 10
        row = (call, event, self.mono_ms, WALL_MS + self.mono_ms, boot, json.dumps(data))
        self.db.execute(INSERT, row)

    def call(self, name: str, *, ended: bool = True) -> None:
        self.write("start", name, call_id=name, origin="phone", kind="extension", link="UP")
        self.write("answer", name, index=0, user="202")
        if ended:
            self.write("end", name, cause="normal_clearing", code=200, by="caller")

    def calls(self, count: int, prefix: str = "c") -> None:
        self.db.execute("BEGIN")
        for n in range(count):
            self.call(f"{prefix}{n}")
        self.db.execute("COMMIT")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite")
    made.write("process_start", pid=1)
    yield made
    made.db.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool.sqlite", NOW)
    opened.spool.rechain(1, "0" * 64)
    yield opened.spool
    opened.close()


def reader(spool: Spool, journal: Journal) -> CallRecords:
    return CallRecords(spool, journal.path, "tokyo-1", "box-a")


def told(spool: Spool, kind: str = "cdr") -> list[str]:
    return sorted(
        str(r.body.get("call", r.body.get("event"))) for r in spool.waiting(10**6) if r.kind == kind
    )


def test_calls_in_the_journal_become_cdrs_and_the_cursor_moves(journal: Journal, spool: Spool) -> None:
    journal.calls(3)
    assert reader(spool, journal).read(NOW) == 3
    assert told(spool) == ["c0", "c1", "c2"]
    assert reader(spool, journal).read(NOW) == 0, "a new agent goes on behind them"


def test_position_that_can_no_longer_be_read_stops_no_record(journal: Journal, spool: Spool) -> None:
    journal.calls(2)
    reader(spool, journal).read(NOW)
    for name in ("journal", "evidence", "media_journal"):
        spool.append(cursors={name: '[7, "boot-a"'})
    journal.call("later")
    assert reader(spool, journal).read(NOW) == 1, "it goes on by the mark beside the journal"
    assert told(spool) == ["c0", "c1", "later"]


def test_class_that_a_flow_names_before_its_call_was_read_holds_all_the_same(
    journal: Journal, spool: Spool
) -> None:
    agent = reader(spool, journal)
    agent.read(NOW)
    agent.classed("c", "payment")
    agent.paused("c")
    agent.read(NOW)
    journal.write("start", "c", call_id="c", origin="phone", kind="extension", link="UP", record=True)
    agent.read(NOW)
    journal.write("answer", "c", index=0, user="202")
    journal.write("end", "c", cause="normal_clearing", code=200, by="caller")
    agent.read(NOW)
    (cdr,) = spool.waiting(9)
    assert (cdr.body["retention"], cdr.body["recording_pauses"]) == ("payment", 1)


def test_class_of_a_recorded_call_is_noted_with_its_record(journal: Journal, spool: Spool) -> None:
    journal.write("start", "c", call_id="c", origin="phone", kind="extension", link="UP", record=True)
    journal.write("answer", "c", index=0, user="202")
    journal.write("end", "c", cause="normal_clearing", code=200, by="caller")
    CallRecords(spool, journal.path, "tokyo-1", "box-a", classify=lambda cdr: f"of-{cdr['call']}").read(NOW)
    (cdr,) = spool.waiting(9)
    (name,) = cdr.body["recordings"]
    assert cdr.body["retention"] == "of-c"
    assert recording_classes.read(spool) == {name: "of-c"}
    table = RecordingTable(spool)
    assert [table.class_of(one) for one in (name, f"{name}-1", f"{name}1", "rec-other")] == [
        "of-c",
        "of-c",
        "",
        "",
    ]


def test_journal_that_does_not_exist_yet_is_no_fault(tmp_path: Path, spool: Spool) -> None:
    assert CallRecords(spool, tmp_path / "none.sqlite", "s", "b").read(NOW) == 0


def test_open_call_survives_the_agent(journal: Journal, spool: Spool) -> None:
    journal.call("long", ended=False)
    first = reader(spool, journal)
    assert (first.read(NOW), first.open_calls) == (0, 1)
    journal.write("end", "long", cause="normal_clearing")
    assert reader(spool, journal).read(NOW) == 1
    (cdr,) = spool.waiting(9)
    assert (cdr.body["duration_ms"], cdr.body.get("incomplete")) == (20, None)


def test_power_cut_closes_open_calls_at_the_time_noted_last(journal: Journal, spool: Spool) -> None:
    journal.call("cut", ended=False)
    agent = reader(spool, journal)
    agent.read(Moment("boot-a", 2_000, WALL_MS + 2_000))
    agent.read(Moment("boot-a", 61_010, WALL_MS + 61_010))
    assert reader(spool, journal).read(Moment("boot-b", 100, WALL_MS + 90_000)) == 1
    (cdr,) = spool.waiting(9)
    assert (cdr.body["cause"], cdr.body["incomplete"], cdr.body["duration_ms"]) == (
        "box_restart",
        True,
        59_990,
    )


def test_backlog_of_many_pages_is_read_in_one_go(journal: Journal, spool: Spool) -> None:
    journal.calls(PAGE_ROWS)
    assert reader(spool, journal).read(NOW) == PAGE_ROWS


def test_full_spool_loses_nothing_and_goes_on_when_there_is_room(journal: Journal, spool: Spool) -> None:
    journal.calls(400)
    with spool.reading() as db:
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 20}")
    agent = reader(spool, journal)
    with pytest.raises(SpoolFull):
        agent.read(NOW)
    journal.calls(5, "more")
    with spool.reading() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    agent.read(NOW)
    assert told(spool) == sorted([*(f"c{n}" for n in range(400)), *(f"more{n}" for n in range(5))])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("data", "{not json"),
        ("data", "[1, 2]"),
        ("data", '"' + "[" * 5),
        ("event", "surprise"),
        ("mono_ms", "soon"),
        ("mono_ms", 2**60),
        ("wall_ms", None),
        ("boot_id", None),
    ],
)
def test_spoilt_row_is_passed_over_and_told(
    journal: Journal, spool: Spool, column: str, value: object
) -> None:
    journal.calls(1, "before")
    journal.write("registration", "x")
    journal.db.execute(f"UPDATE event SET {column} = ? WHERE seq = last_insert_rowid()", (value,))  # noqa: S608
    journal.calls(1, "after")
    agent = reader(spool, journal)
    agent.read(NOW)
    assert told(spool) == ["after0", "before0"]
    assert told(spool, "event") == ["journal_damaged"]
    assert agent.counters.damaged == 1


def test_bytes_that_are_no_text_do_not_stop_the_reading(journal: Journal, spool: Spool) -> None:
    row = (b"\xff\xfecall", "start", 5_000, WALL_MS, "boot-a", b'{"caller": "\xff\xfe\\ud800"}')
    journal.db.execute(
        INSERT.replace("?, ?, ?, ?, ?, ?", "CAST(? AS TEXT), ?, ?, ?, ?, CAST(? AS TEXT)"), row
    )
    journal.db.execute("UPDATE event SET boot_id = 'boot-old' WHERE mono_ms = 5000")
    journal.calls(1)
    reader(spool, journal).read(NOW)
    assert len(told(spool)) == 2


def test_damaged_page_costs_its_rows_alone(journal: Journal, spool: Spool) -> None:
    journal.calls(600)
    journal.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.db.close()
    raw = bytearray(journal.path.read_bytes())
    raw[20 * 4096 : 20 * 4096 + 100] = b"\xff" * 100
    journal.path.write_bytes(raw)
    journal.db = sqlite3.connect(journal.path)
    agent = reader(spool, journal)
    agent.read(NOW)
    assert 0 < agent.counters.damaged < 120
    assert len(told(spool)) > 540
    assert "journal_damaged" in told(spool, "event")


@pytest.mark.parametrize("read_before", [0, 1, 2], ids=("unread", "half read", "all read"))
def test_flipped_bit_in_a_row_s_number_costs_at_most_that_call_and_none_that_follows(
    journal: Journal, tmp_path: Path, read_before: int
) -> None:
    journal.calls(20, "a")
    early = tmp_path / "early.sqlite"
    _closed_copy(journal, early)
    journal.calls(20, "b")
    whole = tmp_path / "whole.sqlite"
    _closed_copy(journal, whole)
    names = {f"{prefix}{n}" for prefix in "ab" for n in range(20)}
    for place, bit in [
        (place, bit) for place in _numbers_at(whole.read_bytes())[::6] for bit in (0, 3, 6, 7)
    ]:
        folder = tmp_path / f"{place}-{bit}"
        folder.mkdir()
        path, opened = folder / "journal.sqlite", open_spool(folder / "spool.sqlite", NOW)
        opened.spool.rechain(1, "0" * 64)
        try:
            for known in (early, whole)[:read_before]:
                path.write_bytes(known.read_bytes())
                CallRecords(opened.spool, path, "tokyo-1", "box-a").read(NOW)
            data = bytearray(whole.read_bytes())
            data[place] ^= 1 << bit
            path.write_bytes(data)
            agent = CallRecords(opened.spool, path, "tokyo-1", "box-a")
            agent.read(NOW)
            goes_on = _write_one_more(path)
            agent.read(NOW)
            assert agent.read(NOW) == 0, "and it is calm then"
            found = told(opened.spool)
        finally:
            opened.close()
        assert len(found) == len(set(found)), (place, bit)
        assert ("new" in found or not goes_on) and len(names - set(found)) <= 1, (place, bit, found)


def _write_one_more(path: Path) -> bool:
    """False where the damage shows to Kamailio too, which sets the journal aside and begins another."""
    try:
        with closing(sqlite3.connect(path)) as db, db:
            for event, more in (("start", {"call_id": "new"}), ("answer", {}), ("end", {"code": 200})):
                db.execute(INSERT, ("new", event, 9_000, WALL_MS, "boot-a", json.dumps(more)))
    except sqlite3.DatabaseError:
        return False
    return True


def _closed_copy(journal: Journal, path: Path) -> None:
    """All of it in one file."""
    with closing(sqlite3.connect(path)) as copy:
        journal.db.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _numbers_at(data: bytes) -> list[int]:
    """Where the numbers of the table's rows stand: in each cell of a leaf behind the length of what it holds."""
    places = []
    page_bytes = int.from_bytes(data[16:18])
    for page in range(page_bytes, len(data), page_bytes):
        cells = int.from_bytes(data[page + 3 : page + 5]) if data[page] == 13 else 0
        for cell in range(cells):
            at = page + int.from_bytes(data[page + 8 + 2 * cell : page + 10 + 2 * cell])
            while data[at] & 0x80:
                at += 1
            places.append(at + 1)
    return places


def test_file_that_is_no_journal_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(JournalUnreadable) as caught:
        read_page(path, Cursor())
    assert caught.value.key == "journal.unreadable"


def test_replaced_journal_is_read_from_its_beginning_and_told(tmp_path: Path, spool: Spool) -> None:
    path = tmp_path / "journal.sqlite"
    first = Journal(path)
    first.calls(20, "old")
    reader(spool, first).read(NOW)
    first.db.close()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    second = Journal(path)
    second.mono_ms = 500_000
    second.calls(40, "new")
    agent = reader(spool, second)
    agent.read(NOW)
    second.db.close()
    assert len(told(spool)) == 60
    assert told(spool, "event") == ["journal_replaced"]


def test_rows_are_deleted_by_the_writer_below_the_mark_only(journal: Journal, spool: Spool) -> None:
    journal.calls(10)
    assert journal_mark.prune(journal.db, journal.path) == 0, "no mark, nothing is deleted"
    agent = reader(spool, journal)
    agent.read(NOW)
    journal.calls(5, "later")
    assert journal_mark.prune(journal.db, journal.path, 7) == 7
    assert journal_mark.prune(journal.db, journal.path) == 23
    assert journal_mark.prune(journal.db, journal.path) == 0
    assert journal.db.execute("SELECT min(seq), count(*) FROM event").fetchone() == (31, 16)
    agent.read(NOW)
    assert agent.counters.replaced == 0
    assert len(told(spool)) == 15


@pytest.mark.parametrize("mark", ["", "999999", "999999 00000000", "-4 x", "\xff"])
def test_spoilt_mark_deletes_nothing(journal: Journal, mark: str) -> None:
    journal.calls(1)
    journal_mark.mark_path(journal.path).write_text(mark, "latin-1")
    assert journal_mark.prune(journal.db, journal.path) == 0


def test_lost_spool_begins_at_the_mark_and_not_at_calls_long_sent(
    journal: Journal, spool: Spool, tmp_path: Path
) -> None:
    journal.calls(10)
    reader(spool, journal).read(NOW)
    journal.calls(2, "later")
    with closing(open_spool(tmp_path / "fresh.sqlite", NOW)) as opened:
        opened.spool.rechain(1, "0" * 64)
        reader(opened.spool, journal).read(NOW)
        assert told(opened.spool) == ["later0", "later1"]


def test_document_that_cannot_be_read_does_not_stop_the_agent(journal: Journal, spool: Spool) -> None:
    spool.append(
        [], calls={"x": '{"call": "x"', "y": '{"call": "y", "boot_id": "b", "phase": "?"}', "z": "[]"}
    )
    journal.calls(1)
    agent = reader(spool, journal)
    agent.read(NOW)
    assert (told(spool), agent.counters.damaged) == (["c0"], 3)


# ------------------------------------------------------------------------------------------------- kill at any time


def _read_for_ever(folder: Path) -> None:
    """Child: an agent that reads the journal as long as it lives."""
    with closing(open_spool(folder / "spool.sqlite", NOW)) as opened:
        agent = CallRecords(opened.spool, folder / "journal.sqlite", "tokyo-1", "box-a")
        while True:
            agent.read(NOW)


def _write_for_ever(folder: Path, told_fd: int) -> None:
    """Child: Kamailio's timer process; says on the pipe which calls are durable in the journal."""
    journal = Journal(folder / "journal.sqlite")
    number = 0
    while True:
        journal.call(f"call-{os.getpid()}-{number}")
        os.write(told_fd, f"call-{os.getpid()}-{number}\n".encode())
        number += 1


def test_kill_9_of_reader_and_writer_again_and_again_gives_each_call_once(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    read_end, write_end = os.pipe()
    Journal(tmp_path / "journal.sqlite").db.close()
    for round_ in range(6):
        agent = fork.Process(target=_read_for_ever, args=(tmp_path,))
        kamailio = fork.Process(target=_write_for_ever, args=(tmp_path, write_end))
        agent.start()
        kamailio.start()
        time.sleep(0.12 + 0.03 * round_)
        for process in (agent, kamailio) if round_ % 2 else (kamailio, agent):
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        durable = stream.read().split()
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as opened:
        opened.spool.rechain(1, "0" * 64)
        CallRecords(opened.spool, tmp_path / "journal.sqlite", "tokyo-1", "box-a").read(
            Moment("boot-b", 5, WALL_MS)
        )
        calls = told(opened.spool)
        whole = {r.body["call"] for r in opened.spool.waiting(10**6) if not r.body.get("incomplete")}
    assert len(calls) == len(set(calls))
    assert set(durable) <= whole
    assert len(durable) > 50, "next to nothing was written: nothing was tested"


class Queue:
    """Kamailio's queue in memory."""

    def __init__(self) -> None:
        self.items: list[tuple[str, str]] = []

    def put(self, _queue: str, key: str, value: str) -> bool:
        self.items.append((key, value))
        return True

    def take(self, _queue: str) -> tuple[str, str] | None:
        return self.items.pop(0) if self.items else None

    def take_all(self, _queue: str, most: int) -> list[tuple[str, str]]:
        taken, self.items = self.items[:most], self.items[most:]
        return taken


def test_what_kamailio_writes_is_what_the_agent_reads_and_old_rows_go(tmp_path: Path, spool: Spool) -> None:
    path, queue, clock = tmp_path / "journal.sqlite", Queue(), journal_writer.SystemClock()
    boot = journal_writer.boot_id()
    assert journal_writer.prepare(path) == ""
    workers = journal_writer.Journal(queue, clock)
    writer = journal_writer.Writer(path, queue, pytest.fail, clock, boot)
    for n in range(3):
        workers.put(
            "start", f"c{n}", {"call_id": f"c{n}", "origin": "phone", "caller": "\udcff", "link": "DOWN"}
        )
        workers.put("end", f"c{n}", {"cause": "user_busy", "code": 486, "by": "callee"})
    workers.put("registration", "", {"aor": "201"})
    assert writer.tick() == 8
    now = Moment(boot, clock.mono_ms() + 60_000, clock.wall_ms() + 60_000)
    assert CallRecords(spool, path, "tokyo-1", "box-a").read(now) == 3
    assert [(r.body["disposition"], r.body["offline"]) for r in spool.waiting(9)] == [("busy", True)] * 3
    with closing(sqlite3.connect(path)) as db:
        assert journal_mark.prune(db, path) == 7
        assert db.execute("SELECT count(*) FROM event").fetchone() == (1,)


# --------------------------------------------------------------------------- Kamailio and the agent die, calls go on

LIVES = 3
TICK_S = 0.05
"""As kamailio.cfg has the journal's process write."""
SAFE_S = 1.0
"""A call that ended this long before the kill must be there."""


def _fold_for_ever(folder: Path) -> None:
    """Child: the agent on the machine's own clocks."""
    with closing(open_spool(folder / "spool.sqlite", clock.now())) as opened:
        agent = CallRecords(opened.spool, folder / "journal.sqlite", "tokyo-1", "box-a")
        while True:
            agent.read(clock.now())
            time.sleep(0.02)


def _serve_for_ever(folder: Path, seed: int, life: int, told_fd: int, orphans: list[str]) -> None:
    """Child: one life of Kamailio. Calls come, are answered and end at random; some of the calls that were up when it
    was killed last end with a BYE that it cannot place, as many more are invented. Says on the pipe what it does."""
    chance, queue, clock_ = random.Random(f"{seed} {life}"), Queue(), journal_writer.SystemClock()
    workers = journal_writer.Journal(queue, clock_)
    path = folder / "journal.sqlite"
    writer = journal_writer.Writer(path, queue, lambda _text: None, clock_, journal_writer.boot_id())
    up: list[str] = []
    number, next_tick_s = 0, 0.0

    def say(what: str, call: str) -> None:
        os.write(told_fd, f"{what} {call} {time.monotonic()}\n".encode())

    def end(call: str, **more: object) -> None:
        workers.put("end", call, {"cause": "normal_clearing", "code": 200, "by": "caller", **more})

    while True:
        call = f"{life}-{number}@192.0.2.20#00aabbcc"
        number += 1
        workers.put("start", call, {"call_id": call.partition("#")[0], "origin": "phone", "link": "UP"})
        say("start", call)
        if chance.random() < 0.8:
            workers.put("answer", call, {"index": 0, "user": "202"})
        up.append(call)
        if len(up) > 20:
            done = up.pop(chance.randrange(len(up)))
            end(done)
            say("end", done)
        if orphans and chance.random() < 0.3:
            orphan = orphans.pop(chance.randrange(len(orphans)))
            end(orphan, forgotten=True)
            say("bye", orphan)
        if chance.random() < 0.1:
            end(f"invented-{number}@x#00000000", forgotten=True)
        if time.monotonic() >= next_tick_s:
            next_tick_s = time.monotonic() + TICK_S
            writer.tick()
        time.sleep(0.005)


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_with_calls_up_loses_none_that_ended_a_second_before_and_closes_the_others(
    tmp_path: Path, seed: int
) -> None:
    chance, fork = random.Random(seed), multiprocessing.get_context("fork")
    assert journal_writer.prepare(tmp_path / "journal.sqlite") == ""
    begun: set[str] = set()
    ended: set[str] = set()
    orphans: list[str] = []
    for life in range(LIVES):
        read_end, write_end = os.pipe()
        kamailio = fork.Process(target=_serve_for_ever, args=(tmp_path, seed, life, write_end, list(orphans)))
        kamailio.start()
        os.close(write_end)
        agent = fork.Process(target=_fold_for_ever, args=(tmp_path,))
        agent.start()
        for _ in range(2):
            time.sleep(chance.uniform(0.2, 0.5))
            os.kill(agent.pid or 0, signal.SIGKILL)
            agent.join()
            agent = fork.Process(target=_fold_for_ever, args=(tmp_path,))
            agent.start()
        time.sleep(chance.uniform(0.5, 0.8))
        killed_s = time.monotonic()
        os.kill(kamailio.pid or 0, signal.SIGKILL)
        kamailio.join()
        os.kill(agent.pid or 0, signal.SIGKILL)
        agent.join()
        with os.fdopen(read_end) as stream:
            said = [line.split() for line in stream if line.endswith("\n")]
        safe = [(what, call) for what, call, at in said if float(at) <= killed_s - SAFE_S]
        begun |= {call for what, call in safe if what == "start"}
        ended |= {call for what, call in safe if what in ("end", "bye")}
        over = {call for what, call, _ in said if what in ("end", "bye")}
        orphans = sorted((set(orphans) | {call for what, call, _ in said if what == "start"}) - over)
    after = clock.now()
    much_later = Moment("boot-next", 5_000, after.wall_ms + 60_000)
    with closing(open_spool(tmp_path / "spool.sqlite", after)) as opened:
        opened.spool.rechain(1, "0" * 64)
        CallRecords(opened.spool, tmp_path / "journal.sqlite", "tokyo-1", "box-a").read(much_later)
        cdrs = [cdr_with_empty(r.body) for r in opened.spool.waiting(10**6) if r.kind == "cdr"]
    by_call = {cdr["call"]: cdr for cdr in cdrs}
    assert len(by_call) == len(cdrs), "doubled"
    assert begun - set(by_call) == set(), "lost"
    assert {call for call in ended & begun if by_call[call]["incomplete"]} == set()
    assert not any(call.startswith("invented") for call in by_call)
    closed = [cdr for cdr in cdrs if cdr["incomplete"]]
    assert {cdr["cause"] for cdr in closed} <= {"box_restart", "kamailio_restart"}
    assert len(ended) > 50, "next to nothing happened: nothing was tested"
    assert len(closed) > 10, "no call was up at a kill: nothing was tested"
