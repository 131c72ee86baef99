"""The spool and the centre's ledger together, beside a model that is a dictionary: whatever gets lost, comes twice, late, out of
order or altered on the way, and whichever side is closed in between, each record is at the centre once and as it was made.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent import records
from agent.journal_events import Moment
from agent.receipts import chain_problem, problem
from agent.records import NewRecord
from agent.spool_desk import retry
from agent.spool_files import open_spool
from cloudsync.service import ledger
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import open_centre
from cloudsync.service.records import take_body
from cloudsync.service.sites import add_site
from cloudsync.store import records as store
from cloudsync.wire import Record, RecordResult, RecordText, encode_batch

SITE, BOX = "tokyo-1", "tokyo-1-a"
NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
ROWS_MAX = 10_000


class SyncModel(RuleBasedStateMachine):
    """made: id -> body of everything that the box still answers for."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="kyusai-model-"))
        self.path = self.folder / "spool.sqlite"
        self.opened = open_spool(self.path, NOW)
        self.opened.spool.rechain(1, "0" * 64)
        self.centre = open_centre(self.folder / "centre")
        add_site(self.centre, SITE, "Tokyo", "acme", (), "admin:test")
        self.who = BoxIdentity(SITE, BOX)
        self.made: dict[str, dict[str, Any]] = {}
        self.acknowledged: set[str] = set()
        self.on_the_way: list[bytes] = []
        self.count = 0
        self.backup: dict[str, dict[str, Any]] | None = None
        self.restored = False

    def teardown(self) -> None:
        try:
            self.everything_arrives_in_the_end()
        finally:
            self.opened.close()
            self.centre.close()
            shutil.rmtree(self.folder)

    # the box

    @rule(priorities=st.lists(st.integers(0, 2), min_size=1, max_size=4))
    def make(self, priorities: list[int]) -> None:
        fresh = []
        for priority in priorities:
            self.count += 1
            id_, body = f"r{self.count}", {"n": self.count, "text": "佐藤"}
            fresh.append(NewRecord(id_, "cdr", priority, NOW.wall_ms, "boot-a", body))
            self.made[id_] = body
        self.opened.spool.append(fresh)

    @rule(limit=st.integers(1, 6), answered=st.booleans(), newest=st.integers(0, 3))
    def send(self, limit: int, answered: bool, newest: int = 0) -> None:
        batch = records.choose(self.opened.spool.waiting(limit, newest=newest), limit)
        results = self.deliver(batch)
        if answered:
            self.settle(results)

    @precondition(lambda self: self.opened.spool.depth().waiting > 1)
    @rule(data=st.data())
    def send_some_out_of_order(self, data: st.DataObject) -> None:
        waiting = self.opened.spool.waiting(10)
        batch = data.draw(st.lists(st.sampled_from(waiting), min_size=1, unique_by=lambda r: r.seq))
        self.settle(self.deliver(batch))

    @rule()
    def close_and_open_the_box(self) -> None:
        self.opened.close()
        self.opened = open_spool(self.path, NOW)

    @rule()
    def back_up_the_box(self) -> None:
        """With something made and sent behind it, so that a restored box gives numbers away twice."""
        self.opened.close()
        shutil.copy(self.path, self.folder / "backup")
        self.opened = open_spool(self.path, NOW)
        self.backup = dict(self.made)
        self.make([1, 2])
        self.send(2, True)

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore_the_box(self) -> None:
        """Its disk broke: what it had not sent since the backup is gone with it."""
        self.opened.close()
        shutil.copy(self.folder / "backup", self.path)
        self.opened = open_spool(self.path, NOW)
        assert self.backup is not None
        self.made = {id_: body for id_, body in self.made.items() if id_ in self.backup or id_ in self.held()}
        self.restored = True
        self.make([1, 0])

    # the way and the centre

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def request_arrives_again(self, data: st.DataObject) -> None:
        take_body(self.centre, self.who, data.draw(st.sampled_from(self.on_the_way)), coding="gzip")

    @precondition(lambda self: self.opened.spool.depth().waiting)
    @rule()
    def record_is_altered_on_the_way(self) -> None:
        first = self.opened.spool.waiting(1)[0]
        altered = Record(
            first.seq,
            first.id,
            first.kind,
            first.priority,
            first.created_utc,
            first.boot_id,
            {"n": -1},
            first.prev_hash,
            first.hash,
        )
        (result,) = take_body(
            self.centre, self.who, encode_batch(SITE, BOX, [altered]), coding="gzip"
        ).results
        assert result.status in ("refused", "duplicate")

    @rule()
    def close_and_open_the_centre(self) -> None:
        self.centre.close()
        self.centre = open_centre(self.folder / "centre")

    # what must hold

    @invariant()
    def centre_holds_each_once_and_as_made(self) -> None:
        held = self.held()
        assert all(held[id_] == body for id_, body in self.made.items() if id_ in held)
        assert self.acknowledged <= set(held)

    def everything_arrives_in_the_end(self) -> None:
        for _ in range(3):
            self.drain()
            if not self.opened.spool.depth().parked:
                break
            retry(self.path, renumber=True)
        assert (self.opened.spool.depth().waiting, self.opened.spool.depth().parked) == (0, 0)
        held = self.held()
        assert {id_: held.get(id_) for id_ in self.made} == self.made
        receipt = ledger.receipt(self.centre, SITE)
        assert problem(receipt, self.centre.keys.public(), SITE) == ""
        assert receipt.count == len(held)
        if not self.restored:
            assert set(held) == set(self.made)
            assert receipt.complete
            assert chain_problem(receipt, self.chain()) == ""

    # how

    def deliver(self, batch: list[RecordText]) -> tuple[RecordResult, ...]:
        body = encode_batch(SITE, BOX, batch)
        self.on_the_way.append(body)
        return take_body(self.centre, self.who, body, coding="gzip").results

    def settle(self, results: tuple[RecordResult, ...]) -> None:
        settlement = records.settle(results)
        self.opened.spool.settle(settlement)
        self.acknowledged |= set(settlement.delete)

    def drain(self) -> None:
        spool = self.opened.spool
        if spool.chain().unsure_from:
            with self.centre.database.read() as connection:
                found = store.ledger(connection, SITE)
            spool.rechain(found.last_seq + 1, found.last_hash)
        while batch := records.choose(spool.waiting(5), 5):
            self.settle(self.deliver(batch))

    def rows(self) -> list[dict[str, Any]]:
        with self.centre.database.read() as connection:
            return store.newest(connection, site_id=SITE, limit=ROWS_MAX)

    def held(self) -> dict[str, dict[str, Any]]:
        rows = self.rows()
        held = {row["id"]: json.loads(row["body"]) for row in rows}
        assert len(held) == len(rows), "twice"
        return held

    def chain(self) -> list[Record]:
        names = ("seq", "id", "kind", "priority", "created_utc", "boot_id", "prev_hash", "hash")
        made = [Record(**{n: row[n] for n in names}, body=json.loads(row["body"])) for row in self.rows()]
        return sorted(made, key=lambda record: record.seq)


SyncModel.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
test_spool_and_ledger_against_a_simple_model = SyncModel.TestCase
