"""A box that may keep only so much gives statistics and plain events up, in a stated order, never a call record; the centre,
a real one, can still say "n of n" and sign for a chain without a hole. A failure is a lost call record, or a sequence that shows
loss for ever."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.journal_events import Moment
from agent.receipts import chain_problem
from agent.record_retain import RecordRetention
from agent.record_retention import Reason, Sort
from agent.records import NewRecord
from agent.retention import DAY_S
from agent.spool import Spool
from agent.spool_files import open_spool
from appliance.site_model import Keeping
from cloudsync.service import ledger
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.records import take_body
from cloudsync.service.sites import list_sites
from cloudsync.store import audit
from cloudsync.store import records as store
from cloudsync.wire import (
    Priority,
    Record,
    RecordText,
    canonical_json,
    chain_text,
    encode_batch,
    given_up_json,
)
from tests.helpers.centre_box import CentreProcess, opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared
from tests.helpers.synced_box import BOX, NOW, SITE, SyncedBox, box_of, hurry, running_centre

LIMIT_S = 150.0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CentreProcess]:
    with running_centre(tmp_path / "centre") as process:
        yield process


@pytest.fixture
async def box(server: CentreProcess, tmp_path: Path) -> AsyncIterator[SyncedBox]:
    async with box_of(server, tmp_path / "box") as made:
        yield made


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        prepare_site(found, SITE)
        yield found


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(open_spool(tmp_path / "spool.sqlite", NOW)) as made:
        made.spool.rechain(1, "0" * 64)
        yield made.spool


def fill(spool: Spool, rounds: int = 200) -> None:
    """Of each sort one after the other: 1,400 records."""
    made = []
    for n in range(rounds):
        figures = {"series": "box", "figures": {"survival_mode": 0, "text": "x" * 500}}
        alone = {"series": "box", "figures": {"survival_mode": 1, "text": "x" * 500}}
        made += [
            _new(f"cdr{n}", "cdr", Priority.CDR, {"call_id": "c", "text": "y" * 500}),
            _new(f"figures{n}", "stat", Priority.REST, figures),
            _new(f"more{n}", "stat", Priority.REST, figures),
            _new(f"alone{n}", "stat", Priority.REST, alone),
            _new(f"plain{n}", "event", Priority.REST, {"event": "link_up"}),
            _new(f"act{n}", "event", Priority.CDR, {"event": "kamailio_ended"}),
            _new(f"emergency{n}", "event", Priority.EMERGENCY, {"event": "emergency"}),
        ]
    spool.append(made)


def _new(name: str, kind: str, priority: int, body: dict[str, Any]) -> NewRecord:
    return NewRecord(name, kind, priority, NOW.wall_ms, "boot-a", body)


def sorts(spool: Spool) -> Counter[str]:
    return Counter(
        record.id.rstrip("0123456789") for record in spool.waiting(100_000) if record.id[5:6] != "-"
    )


KEPT = {"cdr": 200, "act": 200, "emergency": 200}
ALL = Counter({**KEPT, "figures": 200, "more": 200, "alone": 200, "plain": 200})


def test_the_oldest_statistics_go_first_and_call_records_never(spool: Spool) -> None:
    fill(spool)
    retention = RecordRetention(spool, SITE, BOX)
    assert retention.look(Keeping(), NOW, DAY_S) == []
    assert retention.look(Keeping(mebibytes=100), NOW, DAY_S) == []
    gone = retention.look(Keeping(mebibytes=1), NOW, 0.0)
    assert [(sort, why) for sort, why, _ in gone] == [(Sort.FIGURES, Reason.SIZE)]
    left = sorts(spool)
    assert left == ALL - Counter({"figures": gone[0][2] - gone[0][2] // 2, "more": gone[0][2] // 2})
    names = {record.id for record in spool.waiting(100_000)}
    assert "figures0" not in names
    assert "figures199" in names
    assert retention.look(Keeping(mebibytes=1), NOW, 0.0) == [], "once is enough"


def test_more_call_records_than_may_be_kept_are_kept_and_all_else_goes_in_order(spool: Spool) -> None:
    fill(spool, 800)
    retention = RecordRetention(spool, SITE, BOX)
    gone = retention.look(Keeping(mebibytes=1), NOW, 0.0)
    order = [sort for sort, _, _ in gone]
    assert order == sorted(order, key=list(Sort).index)
    assert sorts(spool) == Counter(dict.fromkeys(KEPT, 800))
    assert retention.given_up == {"figures": 1600, "outage_figures": 800, "event": 800}
    assert RecordRetention(spool, SITE, BOX).given_up == retention.given_up, "remembered"
    assert spool.depth().waiting == 2400 + sum(1 for _ in gone)


def test_what_is_too_old_goes_and_a_clock_that_jumps_makes_nothing_old(spool: Spool) -> None:
    fill(spool)
    later = Moment("boot-b", 5_000, NOW.wall_ms + 1000 * int(DAY_S) * 1000)
    retention = RecordRetention(spool, SITE, BOX)
    assert retention.look(Keeping(days=3), later, 0.0) == []
    spool.append([_new("young", "stat", Priority.REST, {"figures": {"survival_mode": 0}})])
    assert RecordRetention(spool, SITE, BOX).look(Keeping(days=3), later, 2.9 * DAY_S) == []
    gone = RecordRetention(spool, SITE, BOX).look(Keeping(days=3), later, 0.2 * DAY_S)
    assert Counter(gone) == Counter(
        {
            (Sort.FIGURES, Reason.AGE, 400): 1,
            (Sort.OUTAGE_FIGURES, Reason.AGE, 200): 1,
            (Sort.EVENT, Reason.AGE, 200): 1,
        }
    )
    assert sorts(spool) == Counter({**KEPT, "young": 1})


def test_records_without_a_sure_number_and_parked_ones_stay(tmp_path: Path) -> None:
    with closing(open_spool(tmp_path / "new.sqlite", NOW)) as made:
        fill(made.spool)
        assert RecordRetention(made.spool, SITE, BOX).look(Keeping(mebibytes=1), NOW, 0.0) == []
        made.spool.rechain(1, "0" * 64)
        with closing(sqlite3.connect(made.spool.path)) as db, db:
            db.execute("UPDATE record SET state = 'parked', reason = 'conflict' WHERE kind = 'stat'")
        retention = RecordRetention(made.spool, SITE, BOX)
        assert {sort for sort, _, _ in retention.look(Keeping(mebibytes=1), NOW, 0.0)} == {Sort.EVENT}


async def test_the_centre_says_n_of_n_and_signs_for_a_chain_without_a_hole(
    server: CentreProcess, box: SyncedBox
) -> None:
    box.add("first")
    await box.sync()
    fill(box.spool)
    retention = RecordRetention(box.spool, SITE, BOX)
    retention.look(Keeping(mebibytes=1, days=1), NOW, 0.0)
    retention.look(Keeping(days=1), NOW, 2 * DAY_S)
    assert retention.given_up == {"figures": 400, "outage_figures": 200, "event": 200}
    box.add("last")
    await box.sync()
    async with asyncio.timeout(LIMIT_S):
        while not _whole(box):
            await box.receipts.drained()
            await asyncio.sleep(0.1)
    standing = box.receipts.standing
    assert standing.problem == ""
    assert standing.receipt is not None
    assert standing.receipt.complete
    assert standing.receipt.given_up == 800
    with server.store() as found, found.database.read() as connection:
        rows = store.newest(connection, site_id=SITE, limit=100_000)
        assert store.ledger(connection, SITE).missing == 0
        (site,) = list_sites(found)
        assert (site.records, site.records_missing) == (len(rows), 0)
        assert site.records_given_up == standing.receipt.given_up
    kept = [_record(row) for row in sorted(rows, key=lambda row: int(str(row["seq"])))]
    assert chain_problem(standing.receipt, kept) == ""
    without = [record for record in kept if record.body.get("event") != "records_given_up"]
    assert chain_problem(standing.receipt, without) != ""
    assert Counter(r.id.rstrip("0123456789") for r in kept if r.kind == "cdr") == {
        "first": 1,
        "cdr": 200,
        "last": 1,
    }


def _whole(box: SyncedBox) -> bool:
    receipt = box.receipts.standing.receipt
    return receipt is not None and receipt.seq == box.spool.chain().next_seq - 1


def _record(row: dict[str, object]) -> Record:
    names = ("seq", "id", "kind", "priority", "created_utc", "boot_id", "prev_hash", "hash")
    return Record(body=json.loads(str(row["body"])), **{name: row[name] for name in names})  # type: ignore[arg-type]


def test_what_was_given_up_and_comes_all_the_same_is_kept_once(centre: Centre, spool: Spool) -> None:
    who = BoxIdentity(SITE, BOX)
    fill(spool)
    before = spool.waiting(100_000)
    RecordRetention(spool, SITE, BOX).look(Keeping(mebibytes=1), NOW, 0.0)
    after = spool.waiting(100_000)
    gone = [record for record in before if record not in after]
    assert len(gone) > 100
    early, late = gone[:40], gone[40:80]
    for some in (early, after[:500], after[500:1000], after[1000:]):
        take_body(centre, who, encode_batch(SITE, BOX, some), coding="gzip")
    receipt = ledger.receipt(centre, SITE)
    assert (receipt.complete, receipt.given_up) == (True, len(gone) - 40)
    body = encode_batch(SITE, BOX, [*late, *early])  # an old backup of the box has them still
    words = [result.status for result in take_body(centre, who, body, coding="gzip").results]
    assert words == ["stored"] * 40 + ["duplicate"] * 40
    receipt = ledger.receipt(centre, SITE)
    assert (receipt.complete, receipt.given_up, receipt.count) == (True, len(gone) - 80, len(after) + 80)
    with centre.database.read() as connection:
        rows = store.newest(connection, site_id=SITE, limit=100_000)
    held = {str(row["id"]) for row in rows}
    assert {record.id for record in (*late, *early)} <= held and len(rows) == len(after) + 80
    again = take_body(centre, who, body, coding="gzip")
    assert {result.status for result in again.results} == {"duplicate"}
    told = next(record for record in after if '"records_given_up"' in record.text)
    assert (
        take_body(centre, who, encode_batch(SITE, BOX, [told]), coding="gzip").results[0].status
        == "duplicate"
    )
    assert ledger.receipt(centre, SITE).given_up == len(gone) - 80


def test_word_of_what_was_given_up_that_does_not_fit_the_chain_explains_nothing(centre: Centre) -> None:
    who = BoxIdentity(SITE, BOX)
    made: list[RecordText] = []
    last = "0" * 64
    for seq in range(1, 6):
        body = '{"n":1}'
        if seq == 5:
            lies = given_up_json(
                [(2, "a" * 64, "b" * 64), (4, made[2].hash, "c" * 64), (9, "d" * 64, "e" * 64)]
            )
            body = canonical_json({"event": "records_given_up", "runs": lies})
        made.append(
            chain_text(
                last,
                seq=seq,
                record_id=f"r{seq}",
                kind="event" if seq == 5 else "cdr",
                priority=1,
                created_utc="2026-11-21T09:30:00.000Z",
                boot_id="boot-a",
                text=body,
            )
        )
        last = made[-1].hash
    batch = [made[0], made[2], made[4]]
    take_body(centre, who, encode_batch(SITE, BOX, batch), coding="gzip")
    receipt = ledger.receipt(centre, SITE)
    assert (receipt.seq, receipt.count, receipt.given_up) == (5, 3, 0)
    with centre.database.read() as connection:
        (line,) = [row for row in audit.newest(connection, 10) if row["action"] == "records.given_up"]
        assert json.loads(str(line["detail"]))["not_taken"] == 2
    for record in (made[1], made[3]):
        (result,) = take_body(centre, who, encode_batch(SITE, BOX, [record]), coding="gzip").results
        assert result.status == "stored"
    assert ledger.receipt(centre, SITE).complete
