"""Which boxes stand on a disk in the clear, among hundreds. A failure hides one that a thief could read, or calls it encrypted
because of a word that nobody knows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from cloudsync.cli import app
from cloudsync.metrics import CentreMetrics
from cloudsync.service import telemetry
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.sites import add_site, list_sites, revoke_box
from cloudsync.store import boxes
from tests.helpers.centre_box import opened

TOLD: dict[str, Any] = {
    "clear": "none",
    "luks": "dm_crypt",
    "folder": "fscrypt",
    "tmpfs": "memory",
    "btrfs": "unknown",
    "newer": "quantum",
    "odd": ["none"],
    "older": None,
    "gone": "none",
}
"""Site -> what its box tells; None: nothing. "gone" is shut out afterwards."""
SHOWN = {
    "clear": "none",
    "luks": "dm_crypt",
    "folder": "fscrypt",
    "tmpfs": "memory",
    "btrfs": "unknown",
    "newer": "unknown",
    "odd": "unknown",
    "older": "",
    "gone": "none",
}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    with opened(tmp_path / "data") as centre:
        for site, kind in TOLD.items():
            fill(centre, site, kind)
        revoke_box(centre, "box-gone", "admin:test")
    yield tmp_path / "data"


def test_a_box_that_keeps_audio_on_a_disk_in_the_clear_is_named(data: Path) -> None:
    with opened(data) as centre:
        told = {"disk_encryption": "none", "audio_encryption": "none"}
        telemetry.heartbeat(centre, BoxIdentity("clear", "box-clear"), told, "192.0.2.1")
        told = {"disk_encryption": "dm_crypt", "audio_encryption": "memory"}
        telemetry.heartbeat(centre, BoxIdentity("luks", "box-luks"), told, "192.0.2.1")
        text = generate_latest(CentreMetrics(centre).registry).decode()
    for site, kind in (("clear", "none"), ("luks", "memory")):
        sample = f'kyusai_centre_box_audio_encryption{{box="box-{site}",kind="{kind}",site="{site}"}} 1.0'
        assert sample in text
    table = CliRunner().invoke(app, ["sites", "--data", str(data)], env={"COLUMNS": "300"}).stdout
    named = [line for line in table.splitlines() if "audio on it" in line]
    assert len(named) == 1
    assert "box-clear" in named[0]


def fill(centre: Centre, site: str, kind: Any) -> None:
    add_site(centre, site, "", "acme", (), "admin:test")
    with centre.database.write() as connection:
        boxes.enrol(connection, f"box-{site}", site, f"key-{site}", "{}", centre.now_utc())
    told = {} if kind is None else {"disk_encryption": kind}
    telemetry.heartbeat(centre, BoxIdentity(site, f"box-{site}"), told, "192.0.2.1")


def listed(data: Path, *options: str) -> dict[str, str]:
    done = CliRunner().invoke(app, ["sites", "--json", *options, "--data", str(data)])
    assert done.exit_code == 0, done.output
    return {site["id"]: site["boxes"][0]["disk_encryption"] for site in json.loads(done.stdout)}


def test_every_box_shows_what_it_told_and_a_strange_word_claims_nothing(data: Path) -> None:
    assert listed(data) == SHOWN


def test_the_sites_that_need_somebody_can_be_had_alone(data: Path) -> None:
    assert set(listed(data, "--not-encrypted")) == {"clear", "btrfs", "newer", "odd", "older"}


def test_people_read_it_behind_the_box(data: Path) -> None:
    runner = CliRunner()
    table = runner.invoke(app, ["sites", "--data", str(data)], env={"COLUMNS": "300"}).stdout
    lines = {site: next(line for line in table.splitlines() if f"box-{site}" in line) for site in TOLD}
    assert {site for site, line in lines.items() if "disk not encrypted" in line} == {"clear"}
    assert {site for site, line in lines.items() if "disk encryption not known" in line} == {
        "btrfs",
        "newer",
        "odd",
    }


def test_the_metric_has_one_sample_for_each_box_that_told(data: Path) -> None:
    with opened(data) as centre:
        text = generate_latest(CentreMetrics(centre).registry).decode()
        assert {site.boxes[0].exposed for site in list_sites(centre)} == {True, False}
    lines = [line for line in text.splitlines() if line.startswith("kyusai_centre_box_disk_encryption{")]
    assert sorted(lines) == sorted(
        f'kyusai_centre_box_disk_encryption{{box="box-{site}",kind="{kind}",site="{site}"}} 1.0'
        for site, kind in SHOWN.items()
        if kind and site != "gone"
    )
