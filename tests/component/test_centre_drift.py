"""What each box runs beside what it should, as an administrator sees it. A failure hides a box that does not follow."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloudsync.cli import app
from cloudsync.service import configuration
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import boxes
from cloudsync.wire import ConfigState
from tests.helpers.centre_box import ROOT, opened, prepare_site

DOCUMENT = json.loads((ROOT / "tests/data/site.json").read_text("utf-8"))
SITE, TENANT = DOCUMENT["site"]["id"], DOCUMENT["site"]["tenant"]
WHO = "admin:test"
TOLD = {
    "a": (2, ConfigState.APPLIED),
    "b": (1, ConfigState.APPLIED),
    "c": (2, ConfigState.REFUSED),
    "d": (2, ConfigState.ROLLED_BACK),
    "e": (9, ConfigState.APPLIED),
    "f": None,
}
STANDINGS = {"a": "applied", "b": "behind", "c": "refused", "d": "rolled_back", "e": "ahead", "f": "unknown"}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    with opened(tmp_path / "data") as centre:
        prepare_site(centre, SITE, TENANT)
        for _ in range(2):
            configuration.publish(centre, json.dumps(DOCUMENT), WHO)
        for name, told in TOLD.items():
            with centre.database.write() as connection:
                boxes.enrol(connection, f"box-{name}", SITE, f"key-{name}", "{}", centre.now_utc())
            if told is not None:
                say(centre, name, *told)
    yield tmp_path / "data"


def say(centre: Centre, name: str, version: int, state: ConfigState) -> None:
    if state is not ConfigState.APPLIED:
        configuration.report(centre, BoxIdentity(SITE, f"box-{name}"), 1, ConfigState.APPLIED, [])
    problems = ["$.gateways[0].uri: not a literal address"] if state is ConfigState.REFUSED else []
    configuration.report(centre, BoxIdentity(SITE, f"box-{name}"), version, state, problems)


def test_every_box_that_does_not_run_what_it_should_is_told_apart(data: Path) -> None:
    (site,) = json.loads(CliRunner().invoke(app, ["sites", "--json", "--data", str(data)]).stdout)
    assert {box["id"]: box["standing"] for box in site["boxes"]} == {
        f"box-{name}": standing for name, standing in STANDINGS.items()
    }
    assert {box["wanted_version"] for box in site["boxes"]} == {2}
    assert all(box["standing_since_utc"] for box in site["boxes"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "v2 applied"),
        ("b", "v1, v2 not taken yet"),
        ("c", "v2 refused"),
        ("d", "v2 rolled back"),
        ("e", "v9, newer than v2"),
    ],
)
def test_people_read_it_with_the_reason(data: Path, name: str, words: str) -> None:
    shown = CliRunner().invoke(app, ["sites", "--data", str(data)], env={"COLUMNS": "300"}).stdout
    (line,) = (line for line in shown.splitlines() if f"box-{name}" in line)
    assert words in line
    assert "not a literal address" in shown
