"""The simulator at the terminal: what a person sees of a call that goes through a flow."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.flow_command import app
from tests.helpers.flows import bye, flow_document, menu

NODES = (
    {"id": "when", "do": "schedule", "schedule": "office", "open": "by", "closed": "bye", "holiday": "bye"},
    {
        "id": "by",
        "do": "branch",
        "on": "dialled",
        "cases": [{"is": ["701"], "then": "wait"}],
        "otherwise": "look",
    },
    {
        "id": "look",
        "do": "http",
        "url": "https://crm.example/who",
        "fields": [{"variable": "due", "path": "due"}],
        "next": "say",
        "failed": "main",
    },
    {"id": "say", "do": "say", "as": "amount", "variable": "due", "next": "stop"},
    {"id": "stop", "do": "record_pause", "next": "box", "failed": "desk"},
    {"id": "box", "do": "directory", "number": "*411"},
    {"id": "desk", "do": "transfer", "number": "201", "unanswered": "bye"},
    {"id": "wait", "do": "queue", "queue": "sales", "timeout": "bye", "full": "main", "nobody": "bye"},
    menu(),
    bye(),
)
OPEN = ("--at", "2026-05-11T10:00")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flows") / "site.json"
    applications = [{"number": number, "kind": "flow", "flow": "reception"} for number in ("700", "701")]
    queues = [{"id": "sales", "agents": ["201"], "waiting_max": 3}]
    path.write_text(json.dumps(flow_document(*NODES, applications=applications, queues=queues)))
    return path


def walked(document: Path, *options: str, keys: str = "") -> list[str]:
    """Lines after the first, without the marks of the prompt."""
    found = CliRunner().invoke(app, ["walk", str(document), "reception", *options], input=keys)
    assert found.exit_code == 0, found.output
    return [line.strip().removeprefix("> ").strip() for line in found.output.splitlines()[1:]]


def test_what_a_caller_does_not_hear_is_shown_as_well(document: Path) -> None:
    assert walked(document, *OPEN, "--answer", "look.due=1200") == [
        "· when → open",
        "· by → otherwise",
        "· look → next",
        "♪ amount 1200",
        "● recording: pause",
        "· stop → next",
        "■ Dial by name at *411.",
    ]


@pytest.mark.parametrize(
    ("options", "keys", "seen"),
    [
        ((*OPEN, "--hand", "office=holiday"), "", ["· when → holiday", "■ The call ends."]),
        ((*OPEN, "--dialled", "701"), "a\n", ["☎ sales", "■ Connected with an agent of sales."]),
        (
            (*OPEN, "--dialled", "701", "--queue", "sales=3,1,9"),
            "1\n",
            ["· wait → full", "[main]", "· main → 1"],
        ),
        (
            (*OPEN, "--answer", "look.due=1", "--pause-fails"),
            "a\n",
            ["· stop → failed", "■ Connected with 201."],
        ),
        (OPEN, "abc\n1\n", ["A telephone has the keys 0 to 9, * and #.", "· main → 1"]),
    ],
    ids=["set by hand", "dialled", "full", "no pause", "letters"],
)
def test_every_way_of_a_flow_can_be_walked(
    document: Path, options: tuple[str, ...], keys: str, seen: list[str]
) -> None:
    found = walked(document, *options, keys=keys)
    assert [line for line in found if line in seen] == seen


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--hand", "shop=closed"), "known are office"),
        (("--hand", "office=shut"), "office=closed"),
        (("--dialled", "799"), "known are 700, 701"),
        (("--link", "SIDEWAYS"), "SIDEWAYS"),
    ],
)
def test_a_world_that_cannot_be_is_refused(document: Path, options: tuple[str, ...], why: str) -> None:
    found = CliRunner().invoke(app, ["walk", str(document), "reception", *options])
    assert found.exit_code != 0
    assert why in found.output
