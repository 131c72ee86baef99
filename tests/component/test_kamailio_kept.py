"""What telephones set, on disk: loaded again after a restart, whatever the old file is like."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.kamailio.journal import SystemClock
from appliance.kamailio.kept import TABLE, Kept, Writer
from appliance.kamailio.ksr import Ksr
from appliance.kamailio.ksr_call import KsrCall
from tests.helpers.ksr_double import KsrDouble


def writer(double: KsrDouble, path: Path, warnings: list[str]) -> Writer:
    return Writer(path, KsrCall(double), Ksr(double), warnings.append, SystemClock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.sqlite"


def run(path: Path, *puts: tuple[str, str]) -> tuple[dict[str, str | int], list[str]]:
    """One run of Kamailio: load, put, write. Gives what its table held at the end, and warnings."""
    double, warnings = KsrDouble(), list[str]()
    of = writer(double, path, warnings)
    of.load()
    kept = Kept(KsrCall(double))
    for key, value in puts:
        kept.put(key, value)
    of.tick()
    return dict(double.tables.get(TABLE, {})), warnings


def test_what_was_set_outlives_a_restart_and_what_was_taken_away_does_not(path: Path) -> None:
    run(path, ("set:201", "a"), ("set:202", "b"))
    run(path, ("set:201", ""), ("set:202", "c"))
    assert run(path) == ({"set:202": "c"}, [])


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_damaged_file_is_set_aside_and_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found, warnings = run(path, ("set:201", "a"))
    assert found == {"set:201": "a"}
    assert len(warnings) == 1
    assert run(path) == ({"set:201": "a"}, [])


def test_nobody_else_can_read_the_file(path: Path) -> None:
    run(path, ("set:201", "a"))
    assert path.stat().st_mode & 0o077 == 0


def test_an_entry_that_cannot_be_written_now_is_written_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double, warnings = KsrDouble(), list[str]()
    of = writer(double, path, warnings)
    of.load()
    Kept(KsrCall(double)).put("set:201", "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert of.tick() == 0
        other.execute("ROLLBACK")
    assert len(warnings) == 1
    of._retry_ms = 0
    assert of.tick() == 1
    assert run(path)[0] == {"set:201": "a"}


def test_what_another_worker_put_is_seen_after_a_refresh_and_not_before(path: Path) -> None:
    double = KsrDouble()
    one, other = Kept(KsrCall(double)), Kept(KsrCall(double))
    one.put("set:201", "a")
    assert other.get("set:201") == ""
    other.refresh()
    assert other.get("set:201") == "a"
