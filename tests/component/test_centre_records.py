"""Records against a real centre. A failure means a call record that is lost, doubled, or blocks those behind it."""

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudsync import wire
from cloudsync.service import record_search
from cloudsync.service.record_search import Asked
from cloudsync.store import records as store
from tests.helpers.centre_box import Box, CentreProcess, chain, opened, prepare_site
from tests.helpers.centre_stores import DATABASES, prepared


@pytest.fixture(scope="module", params=DATABASES)
def centre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CentreProcess]:
    process = CentreProcess(tmp_path_factory.mktemp("centre") / "data", request.param)
    yield process.start()
    process.stop()


@pytest.fixture
def box(centre: CentreProcess, request: pytest.FixtureRequest) -> Box:
    site = f"site-{abs(hash(request.node.name)) % 10**8}"
    with centre.store() as opened_centre:
        text = prepare_site(opened_centre, site)
    return Box.enrolled(centre.url, text, f"{site}-a")


def words(results: list[wire.RecordResult]) -> list[str]:
    return [result.reason or result.status for result in results]


def test_repeated_batch_is_acknowledged_again_and_stored_once(centre: CentreProcess, box: Box) -> None:
    records = chain(5)
    assert words(box.send(records)) == ["stored"] * 5
    assert words(box.send(records)) == ["duplicate"] * 5
    with centre.store() as opened_centre, opened_centre.database.read() as connection:
        assert store.ledger(connection, box.site_id) == store.Ledger(5, 5, records[-1].hash)
        rows = store.newest(connection, site_id=box.site_id, limit=10)
    assert json.loads(str(rows[0]["body"])) == records[-1].body


def test_conflicting_record_is_refused_and_those_behind_it_pass(centre: CentreProcess, box: Box) -> None:
    records = chain(3)
    box.send(records[:1])
    forged = replace(chain(1, prefix="x")[0], id="r-1")
    forged = wire.chain_record(
        forged.prev_hash,
        seq=1,
        record_id="r-1",
        kind="cdr",
        priority=1,
        created_utc=forged.created_utc,
        boot_id="",
        body={},
    )
    assert words(box.send([forged, *records[1:]])) == ["conflict", "stored", "stored"]
    assert words(box.send([forged])) == ["conflict"]
    with centre.store() as opened_centre, opened_centre.database.read() as connection:
        rows = store.refused(connection, site_id=box.site_id, limit=10)
    assert [(row["id"], row["reason"], row["times"]) for row in rows] == [("r-1", "conflict", 2)]


def test_missing_record_is_counted_until_it_comes(centre: CentreProcess, box: Box) -> None:
    records = chain(4)
    box.send([records[3], records[0], records[1]])

    def missing() -> int:
        with centre.store() as opened_centre, opened_centre.database.read() as connection:
            return store.ledger(connection, box.site_id).missing

    assert missing() == 1
    box.send([records[2]])
    assert missing() == 0


def test_missing_numbers_are_named_in_runs_page_by_page(centre: CentreProcess, box: Box) -> None:
    records = chain(12)
    box.send([records[seq - 1] for seq in (3, 4, 7, 10, 11, 12)])

    def named(after: int, most: int = 10) -> list[tuple[int, int]]:
        with centre.store() as opened_centre, opened_centre.database.read() as connection:
            return store.missing_runs(connection, box.site_id, after, most)

    assert named(0) == [(1, 2), (5, 6), (8, 9)]
    assert named(0, most=2) == [(1, 2), (5, 6)]
    assert named(6) == [(8, 9)], "the next page"
    assert named(5) == [(6, 6), (8, 9)]
    assert named(9) == named(12) == named(2**61) == []
    answer = box.http.get(wire.PATH_LEDGER_MISSING)
    assert wire.missing_from(answer.json()) == wire.Missing(12, ((1, 2), (5, 6), (8, 9)))


def test_hostile_items_are_refused_one_by_one(box: Box) -> None:
    good = asdict(chain(1)[0])
    items = [None, {"id": "\ud800"}, {**good, "seq": "1"}, {**good, "body": {"x": "\ud800"}}, good]
    body = json.dumps({"site_id": box.site_id, "box_id": box.box_id, "records": items}).encode()
    answer = box.post_batch(gzip.compress(body))
    assert answer.status_code == 200, answer.text
    assert [item["status"] for item in answer.json()["results"]] == ["refused"] * 4 + ["stored"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "key"),
    [
        (b"<html>", {}, 400, "body.bad_gzip"),
        (gzip.compress(b"nothing"), {}, 400, "body.malformed"),
        (gzip.compress(b"0" * (wire.BATCH_BYTES_MAX + 1)), {}, 413, "body.too_large"),
        (gzip.compress(b"0" * 100_000_000), {}, 413, "body.too_large"),
        (b"{}", {"Content-Encoding": "br"}, 415, "body.encoding"),
        (b"0" * (wire.BATCH_BYTES_MAX + 1), {"Content-Encoding": "identity"}, 413, "body.too_large"),
    ],
    ids=["html", "no json", "too large", "bomb", "brotli", "too large in plain"],
)
def test_bad_batch_gets_a_clear_answer(
    box: Box, body: bytes, headers: dict[str, str], status: int, key: str
) -> None:
    answer = box.post_batch(body, **headers)
    assert (answer.status_code, answer.json()["key"]) == (status, key)
    assert set(answer.json()) == {"key", "message", "hint", "problems"}


def test_concurrent_batches_with_the_same_records_store_each_once(centre: CentreProcess, box: Box) -> None:
    records = chain(200)
    batches = [records[start : start + 50] for start in range(0, 200, 25)] * 2
    with ThreadPoolExecutor(4) as pool:
        results = [result for batch in pool.map(box.send, batches) for result in batch]
    assert {str(result.status) for result in results} == {"stored", "duplicate"}
    assert sum(result.status == "stored" for result in results) == 200
    with centre.store() as opened_centre, opened_centre.database.read() as connection:
        assert store.ledger(connection, box.site_id) == store.Ledger(200, 200, records[-1].hash)


def test_two_processes_write_to_one_store_without_loss(centre: CentreProcess, box: Box) -> None:
    from cloudsync.service.access import BoxIdentity
    from cloudsync.service.records import take

    records = chain(300)
    who = BoxIdentity(box.site_id, box.box_id)

    def through_this_process(batch: list[wire.Record]) -> list[str]:
        raw = [asdict(record) for record in batch]
        return words(list(take(own, who, wire.Batch(who.site_id, who.box_id, raw))))

    batches = [records[start : start + 20] for start in range(0, 300, 20)]
    with opened(centre.data_dir) as own, ThreadPoolExecutor(4) as pool:
        here = pool.map(through_this_process, batches)
        there = pool.map(lambda batch: words(box.send(batch)), batches)
        counted = [word for batch in (*here, *there) for word in batch]
        with own.database.read() as connection:
            assert store.ledger(connection, box.site_id) == store.Ledger(300, 300, records[-1].hash)
    assert (counted.count("stored"), counted.count("duplicate")) == (300, 300)


@pytest.mark.parametrize("database", DATABASES)
def test_record_that_another_writer_stored_meanwhile_is_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    from cloudsync.service import records as rules
    from cloudsync.service.access import BoxIdentity

    who = BoxIdentity("tokyo-1", "tokyo-1-a")
    record = chain(1)[0]
    batch = wire.Batch("tokyo-1", "tokyo-1-a", [asdict(record)])
    stale = [[], None]
    real = store.near
    with opened(prepared(tmp_path / "data", database)) as centre:
        prepare_site(centre)
        rules.take(centre, who, batch)

        def held_before_the_other(*arguments: object) -> object:
            return stale.pop(0) if stale[0] == [] else real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "near", held_before_the_other)
        assert words(list(rules.take(centre, who, batch))) == ["duplicate"]


def altered(record: wire.Record, **changes: object) -> wire.Record:
    """The record with a changed field and a hash that fits."""
    fields = asdict(replace(record, **changes))  # type: ignore[arg-type]
    del fields["hash"]
    fields["record_id"] = fields.pop("id")
    return wire.chain_record(fields.pop("prev_hash"), **fields)


def test_id_that_is_held_under_another_number_is_refused_wherever_that_is(box: Box) -> None:
    """A box that lost its spool numbers old calls anew: they must not be there twice."""
    records = chain(2000)
    for begin in range(0, 2000, 500):
        box.send(records[begin : begin + 500])
    last = records[-1]
    again = wire.chain_record(
        last.hash, seq=2001, record_id="r-7", kind="cdr", priority=1, created_utc="2026-12-01T00:00:00Z",
        boot_id="", body={},
    )  # fmt: skip
    new = chain(1, begin=2002, prev_hash=again.hash)
    assert words(box.send([again, *new])) == ["conflict", "stored"]
    assert words(box.send([altered(records[6], seq=5000), records[3]])) == ["conflict", "duplicate"]


def test_batch_of_far_apart_numbers_is_judged_as_well(box: Box) -> None:
    records = chain(3000)
    some = records[::300]
    assert words(box.send(some)) == ["stored"] * len(some)
    assert words(box.send([*some[:2], records[1]])) == ["duplicate", "duplicate", "stored"]
    assert words(box.send([altered(records[2], prev_hash="1" * 64)])) == ["broken_chain"]


def test_batch_that_begins_where_the_ledger_ends_has_to_continue_it(centre: CentreProcess, box: Box) -> None:
    """Such a batch is stored without a look at what is there: nothing but the ledger's end holds it to the chain."""
    records = chain(4)
    assert words(box.send(records[:2])) == ["stored"] * 2
    assert words(box.send(chain(1, begin=3, prev_hash="1" * 64, prefix="x"))) == ["broken_chain"]
    assert words(box.send(records[3:])) == ["stored"]
    assert words(box.send(records[2:3])) == ["stored"]
    with centre.store() as opened_centre, opened_centre.database.read() as connection:
        assert store.ledger(connection, box.site_id) == store.Ledger(4, 4, records[-1].hash)


def test_text_of_every_kind_comes_back_as_it_was_sent(centre: CentreProcess, box: Box) -> None:
    body = {
        "text": 'tab\t newline\n backslash \\ \\N \\. quote " nul \0 emoji \U0001f600 氏名',
        "n": [1, 1e-7, 2.5],
    }
    record = wire.chain_record(
        wire.GENESIS_HASH, seq=1, record_id="r:1+@#-_.", kind="event", priority=0,
        created_utc="1970-01-01T00:00:00Z", boot_id='a \\ "b"\\.', body=body,
    )  # fmt: skip
    assert words(box.send([record])) == ["stored"]
    with centre.store() as opened_centre, opened_centre.database.read() as connection:
        (row,) = store.newest(connection, site_id=box.site_id, limit=2)
    assert json.loads(str(row["body"])) == body
    assert {name: row[name] for name in ("id", "created_utc", "boot_id", "hash")} == {
        "id": record.id,
        "created_utc": record.created_utc,
        "boot_id": record.boot_id,
        "hash": record.hash,
    }


def test_calls_are_not_drowned_by_the_figures_of_each_minute(centre: CentreProcess, box: Box) -> None:
    calls = chain(2)
    records, before = list(calls), calls[-1].hash
    for seq in range(3, 63):
        kind, body = ("event", {"event": "link_down"}) if seq == 32 else ("stat", {"series": "box"})
        made = wire.chain_record(
            before, seq=seq, record_id=f"r-{seq}", kind=kind, priority=2,
            created_utc=f"2026-11-21T01:{seq - 3:02}:00.000Z", boot_id="boot-1", body=body,
        )  # fmt: skip
        records.append(made)
        before = made.hash
    assert set(words(box.send(records))) == {"stored"}
    now = datetime(2026, 11, 21, 3, tzinfo=UTC)

    def found(**asked: object) -> list[str]:
        with centre.store() as opened_centre:
            rows = record_search.find(opened_centre, Asked(site=box.site_id, limit=5, **asked), now).rows  # type: ignore[arg-type]
        return [str(row["id"]) for row in rows]

    assert found() == ["r-32", "r-2", "r-1"]
    assert found(since="2026-11-21T00:30+00:00") == ["r-32"]
    assert found(figures=True) == ["r-62", "r-61", "r-60", "r-59", "r-58"]  # for programs: all that there is
    assert found(figures=True, number="201") == found(number="201") == ["r-2", "r-1"]
    assert found(kind="stat") == found(figures=True)
    assert found(kind="event") == ["r-32"]
