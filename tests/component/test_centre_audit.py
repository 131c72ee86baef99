"""The audit trail as evidence. A failure is a line that somebody could alter or remove without its showing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from appliance.errors import KyusaiError
from cloudsync.audit_chain import Fault
from cloudsync.cli import app
from cloudsync.service import audit_log
from cloudsync.service.centre import Centre
from cloudsync.store import audit, seals
from tests.helpers.centre_box import opened
from tests.helpers.centre_stores import DATABASES, prepared


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as found:
        write(found, 5)
        yield found


def write(centre: Centre, lines: int) -> None:
    with centre.database.write() as connection:
        for number in range(lines):
            audit.add(connection, centre.now_utc(), "admin:sato", "site.publish", f"site-{number}", 版=number)


def spoil(centre: Centre, *statements: str) -> None:
    with centre.database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def faults(centre: Centre, **noted: object) -> list[tuple[Fault, int]]:
    return [(one.fault, one.position) for one in audit_log.check(centre, **noted).faults]  # type: ignore[arg-type]


def test_a_trail_that_grew_is_whole_and_continues_every_head_that_was_noted(centre: Centre) -> None:
    early = audit_log.head(centre)
    write(centre, 3)
    late = audit_log.head(centre)
    assert (early.count, late.count) == (5, 8)
    for noted in (None, early, late):
        checked = audit_log.check(centre, noted)
        assert (checked.faults, checked.unsealed, checked.head.hash) == ((), 0, late.hash)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit SET actor = 'admin:ito' WHERE serial = 3", (Fault.ALTERED, 3)),
        ("UPDATE audit SET detail = '{}' WHERE serial = 5", (Fault.ALTERED, 5)),
        ("DELETE FROM audit WHERE serial = 2", (Fault.MISSING, 2)),
        ("DELETE FROM audit_seal WHERE position = 4", (Fault.GAP, 5)),
        ("UPDATE audit_seal SET serial = -serial WHERE position = 4", (Fault.MISSING, 4)),
    ],
)
def test_what_was_done_to_a_line_shows(centre: Centre, statement: str, found: tuple[Fault, int]) -> None:
    audit_log.seal(centre)
    spoil(centre, statement)
    assert faults(centre) == [found]


def test_an_end_that_was_cut_off_or_a_chain_made_anew_shows_by_the_noted_head(centre: Centre) -> None:
    noted = audit_log.head(centre)
    spoil(centre, "DELETE FROM audit WHERE serial = 5", "DELETE FROM audit_seal WHERE position = 5")
    assert faults(centre) == [], "nobody can tell by the chain alone"
    assert faults(centre, noted=noted) == [(Fault.OTHER_TRAIL, 5)]
    spoil(centre, "UPDATE audit SET actor = 'admin:ito' WHERE serial = 1", "DELETE FROM audit_seal")
    write(centre, 1)
    assert faults(centre) == []
    assert faults(centre, noted=noted) == [(Fault.OTHER_TRAIL, 5)]


def test_a_note_that_somebody_else_wrote_proves_nothing(centre: Centre) -> None:
    noted = audit_log.head(centre)
    assert faults(centre, noted=replace(noted, utc="2020-01-01T00:00:00.000Z")) == [(Fault.UNSIGNED, 5)]
    for value in ([], {"count": "5", "hash": ""}, {"count": 5, "hash": "x", "more": 1}):
        with pytest.raises(KyusaiError):
            audit_log.head_from(value)


def test_a_line_that_becomes_visible_late_is_sealed_with_the_next(centre: Centre) -> None:
    audit_log.seal(centre)
    spoil(
        centre,
        "INSERT INTO audit (serial, at_utc, actor, action, subject, detail) VALUES (90, 'x', 'a', 'b', 'c', '{}')",
    )
    assert audit_log.seal(centre) == 1
    spoil(
        centre,
        "INSERT INTO audit (serial, at_utc, actor, action, subject, detail) VALUES (80, 'x', 'a', 'b', 'c', '{}')",
        "INSERT INTO audit (serial, at_utc, actor, action, subject, detail) VALUES (91, 'x', 'a', 'b', 'c', '{}')",
    )
    assert audit_log.seal(centre) == 2
    assert faults(centre) == []


def test_sealing_goes_on_over_pieces(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "BATCH_ROWS", 2)
    assert audit_log.seal(centre) == 5
    assert audit_log.check(centre).head.count == 5


def test_the_command_checks_and_says_by_its_exit_code_what_it_found(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with opened(data) as found:
        write(found, 3)
    runner = CliRunner()
    arguments = ["centre", "audit", "--data", str(data)]
    head = runner.invoke(app, [*arguments, "--head"])
    note = tmp_path / "head.json"
    note.write_text(head.stdout)
    assert json.loads(head.stdout)["count"] == 3
    good = runner.invoke(app, [*arguments, "--against", str(note), "--json"])
    assert (good.exit_code, json.loads(good.stdout)["faults"]) == (0, [])
    with opened(data) as found:
        spoil(found, "UPDATE audit SET actor = 'nobody' WHERE serial = 2")
    bad = runner.invoke(app, [*arguments, "--check"])
    assert bad.exit_code == 1 and "line 2" in bad.stdout
