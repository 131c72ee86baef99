"""Flows edited at a real centre, as an administrator types it."""

import json
from pathlib import Path

import pytest

from cloudsync.service import configuration
from tests.component.test_centre_cli import SAMPLE, SITE, kyusai
from tests.helpers.centre_box import opened, prepare_site


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flows") / "data"
    with opened(folder) as centre:
        prepare_site(centre, SITE["id"], SITE["tenant"])
        configuration.publish(centre, SAMPLE.read_bytes(), "admin:test")
    return folder


def newest(data: Path) -> dict[str, object]:
    with opened(data) as centre:
        envelope = configuration.newest(centre, SITE["id"], 0)
        assert envelope is not None
        found: dict[str, object] = json.loads(envelope.document)
        return found


def test_a_template_is_put_drawn_changed_and_removed(data: Path) -> None:
    before = newest(data)
    template = kyusai("flow", "template", "show", "reception", "--set", "number=750", data=data).stdout
    tried = kyusai("centre", "flow", "put", SITE["id"], "-", "--dry-run", data=data, stdin=template.encode())
    assert (tried.returncode, newest(data)) == (0, before)
    assert "+ flows" in tried.stdout
    put = kyusai("centre", "flow", "put", SITE["id"], "-", data=data, stdin=template.encode())
    assert (put.returncode, put.stderr) == (0, "")
    listed = json.loads(kyusai("centre", "flow", "list", SITE["id"], "--json", data=data).stdout)
    assert {"id": "reception", "nodes": 8, "numbers": ["750"]} in listed
    picture = data.parent / "reception.svg"
    kyusai("centre", "flow", "draw", SITE["id"], "reception", "--svg", str(picture), data=data)
    assert picture.read_text().startswith("<svg")
    flow = json.loads(kyusai("centre", "flow", "show", SITE["id"], "reception", data=data).stdout)
    flow["language"] = "en"
    again = kyusai(
        "centre", "flow", "put", SITE["id"], "-", "--json", data=data, stdin=json.dumps(flow).encode()
    )
    assert [one["path"] for one in json.loads(again.stdout)["differences"]] == ["flows[reception].language"]
    same = kyusai(
        "centre", "flow", "put", SITE["id"], "-", "--json", data=data, stdin=json.dumps(flow).encode()
    )
    assert json.loads(same.stdout)["differences"] == []
    assert kyusai("centre", "flow", "remove", SITE["id"], "reception", data=data).returncode == 0
    left = {name: value for name, value in newest(data).items() if name not in ("version", "recording")}
    assert left == {name: value for name, value in before.items() if name not in ("version", "recording")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "neither a flow"),
        ("[]", "neither a flow"),
        ('{"extensions": []}', "neither a flow"),
        ('{"flows": [{"nodes": []}]}', "neither a flow"),
        ('{"id": "new", "nodes": [{"id": "a", "do": "play", "prompts": ["hello"]}]}', "$.flows["),
    ],
)
def test_what_is_wrong_is_said_and_nothing_published(data: Path, given: str, said: str) -> None:
    before = newest(data)
    done = kyusai("centre", "flow", "put", SITE["id"], "-", data=data, stdin=given.encode(), KYUSAI_LANG="en")
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert newest(data) == before


def test_a_flow_that_is_not_there_is_told_with_those_that_are(data: Path) -> None:
    done = kyusai("centre", "flow", "show", SITE["id"], "night", data=data, KYUSAI_LANG="en")
    assert done.returncode == 1
    assert "'night' is not a flow of this site" in done.stderr
