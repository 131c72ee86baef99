"""Months of records: listed, exported, dropped. A failure means bills without records, or a disk that only fills."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import inspect
from typer.testing import CliRunner

from agent.receipt_command import app
from appliance.errors import KyusaiError
from cloudsync import wire
from cloudsync.service import ledger, months
from cloudsync.service.centre import Centre
from cloudsync.store import records as store
from tests.helpers.centre_box import chain, opened
from tests.helpers.centre_contents import fill, send
from tests.helpers.centre_stores import DATABASES, prepared


def at(centre: Centre, text: str) -> Centre:
    """The centre at another time."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return replace(centre, clock=lambda: moment)


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        october = at(found, "2026-10-31T23:59:59")
        records = fill(october, 300, 0)
        november = at(found, "2026-11-01T00:00:00")
        send(november, chain(100, begin=301, prev_hash=records[-1].hash))
        yield at(found, "2026-11-01T01:00:00")


def test_month_is_exported_whole_and_dropped_and_its_records_stay_known(
    centre: Centre, tmp_path: Path
) -> None:
    assert [(one.month, one.records) for one in months.list_months(centre)] == [
        ("2026-11", 100),
        ("2026-10", 300),
    ]
    path = tmp_path / "october.jsonl.gz"
    done = months.export(centre, "2026-10", path, "admin:test")
    assert (done.records, done.sha256) == (300, hashlib.sha256(path.read_bytes()).hexdigest())
    prev_hash = wire.GENESIS_HASH
    for line in gzip.decompress(path.read_bytes()).splitlines():  # whoever has the file can check it
        row = json.loads(line)
        assert row["prev_hash"] == prev_hash
        names = ("seq", "id", "kind", "priority", "created_utc", "boot_id", "prev_hash", "hash")
        prev_hash = wire.record_hash(
            wire.Record(body=json.loads(row["body"]), **{name: row[name] for name in names})
        )
        assert row["hash"] == prev_hash
    assert months.drop(centre, "2026-10", "admin:test") == 300
    with centre.database.read() as connection:
        assert len(store.newest(connection, limit=1000)) == 100
        assert store.ledger(connection, "tokyo-1").missing == 0
        if centre.database.dialect == "postgresql":
            assert not inspect(connection).has_table("record_2026_10")
    send(centre, chain(400))  # a box restored from an old disk brings everything again
    with centre.database.read() as connection:
        assert len(store.newest(connection, limit=1000)) == 100
    found = {
        one.month: (one.records, one.exported_records, one.dropped_utc) for one in months.list_months(centre)
    }
    assert found == {"2026-11": (100, None, None), "2026-10": (0, 300, "2026-11-01T01:00:00.000Z")}


def test_receipt_speaks_for_records_of_an_exported_month_too(centre: Centre, tmp_path: Path) -> None:
    def verify(*files: Path) -> str:
        given = [word for file in files for word in ("--records", str(file))]
        key = centre.keys.public()[-1].public_key
        done = CliRunner().invoke(app, ["verify", str(tmp_path / "receipt.json"), "--key", key, *given])
        assert (done.exit_code == 0) is not (done.exit_code == 1), done.output
        return "" if done.exit_code == 0 else done.output

    month, rest = tmp_path / "october.jsonl.gz", tmp_path / "records.json"
    months.export(centre, "2026-10", month, "admin:test")
    months.drop(centre, "2026-10", "admin:test")
    (tmp_path / "receipt.json").write_text(json.dumps(wire.as_json(ledger.receipt(centre, "tokyo-1"))))
    with centre.database.read() as connection:
        rows = store.newest(connection, site_id="tokyo-1", limit=1000)
    rest.write_text(json.dumps([row | {"body": json.loads(str(row["body"]))} for row in rows]))
    assert verify(month, rest, month) == ""
    assert verify(rest), "the month is missing"
    lines = gzip.decompress(month.read_bytes()).replace(b'\\"caller\\":\\"201', b'\\"caller\\":\\"202', 1)
    month.write_bytes(gzip.compress(lines))
    assert verify(month, rest), "one was altered"
    month.write_bytes(month.read_bytes()[:-9])
    assert verify(month, rest), "it is cut off"


def test_month_s_last_records_come_while_the_next_has_begun_elsewhere_and_are_not_dropped(
    centre: Centre, tmp_path: Path
) -> None:
    early = at(centre, "2026-11-01T00:59:59")
    for drop_it in (
        lambda: months.export(early, "2026-10", tmp_path / "x", "t"),
        lambda: months.drop(early, "2026-10", "t", unexported=True),
    ):
        with pytest.raises(KyusaiError) as caught:
            drop_it()
        assert caught.value.key == "month.not_over"
    late = at(centre, "2026-10-31T23:59:59")  # another machine, an hour behind
    send(late, chain(1, begin=401, prev_hash=chain(400)[-1].hash))
    assert months.export(centre, "2026-10", tmp_path / "x", "t").records == 301


def test_month_that_is_not_over_or_not_exported_stays(centre: Centre, tmp_path: Path) -> None:
    for action, month, key in (
        (lambda m: months.export(centre, m, tmp_path / "x", "t"), "2026-11", "month.not_over"),
        (lambda m: months.drop(centre, m, "t"), "2026-11", "month.not_over"),
        (lambda m: months.drop(centre, m, "t"), "2026-10", "month.not_exported"),
        (lambda m: months.drop(centre, m, "t"), "2025-10", "month.unknown"),
        (lambda m: months.drop(centre, m, "t"), "x; DROP TABLE box", "month.unknown"),
    ):
        with pytest.raises(KyusaiError) as caught:
            action(month)
        assert caught.value.key == key
    (tmp_path / "x").write_text("mine")
    with pytest.raises(FileExistsError):
        months.export(centre, "2026-10", tmp_path / "x", "t")
    assert (tmp_path / "x").read_text() == "mine"
    assert months.drop(centre, "2026-10", "t", unexported=True) == 300
