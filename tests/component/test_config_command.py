"""`kyusai config` and `kyusai change list` as a person at the box types them: without the agent, from what lies on disk."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent import config as keeping
from agent import health
from agent.cli import app
from appliance.overlay import Author
from tests.helpers.config_box import ILL, TRUST, WELL, Box, sealed
from tests.helpers.site_documents import extension

AUTHOR = Author("sato", "line cut", "2026-11-21T09:00:00.000Z")
DND = "extensions[201].do_not_disturb"

Typed = Callable[..., Result]


@pytest.fixture
def typed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """A box with the versions 12 (in use), 11 before it, 13 refused, and one change made here."""
    tmp_path = tmp_path_factory.mktemp("c")
    monkeypatch.setattr(health, "WATCH_S", 3.0)
    monkeypatch.setattr(keeping, "SAMPLE_S", 0.001)

    async def prepare() -> None:
        box = await Box(tmp_path, lambda version: ILL if version == 14 else WELL).begin()
        await box.keeper.take(sealed(11, extensions=[extension("201")]), TRUST)
        await box.keeper.take(sealed(12), TRUST)
        await box.keeper.change([(DND, True)], AUTHOR)
        await box.keeper.take(sealed(13, extensions=[extension("201"), extension("201")]), TRUST)

    asyncio.run(prepare())
    (tmp_path / "box.toml").write_text(
        f'[box]\nid = "tokyo-1-a"\nstate_dir = "{tmp_path}/state"\nrun_dir = "{tmp_path}/run"\n[sip]\nlan = "127.0.0.1"\n'
    )
    return lambda *words: CliRunner().invoke(app, [*words, "--box", str(tmp_path / "box.toml")])


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_what_was_refused_is_compared_with_what_is_in_use_and_changes_made_here_are_apart(
    typed: Typed,
) -> None:
    found = told(typed("config", "diff", "--json"))
    assert (found["from"], found["to"]) == (12, 13)
    assert [(one["path"], one["change"]) for one in found["differences"]] == [("extensions", "changed")]
    assert [(one["path"], one["change"], one["after"]) for one in found["here"]] == [(DND, "added", "true")]


def test_any_two_versions_on_the_box_are_compared(typed: Typed) -> None:
    lines = typed("config", "diff", "--from", "11", "--to", "12").stdout.splitlines()
    assert len(lines) == 2 and lines[1].startswith("+ extensions[202]: {")
    assert "ha1" not in lines[1] or '"..."' in lines[1], "no digest is shown"
    missing = typed("config", "diff", "--from", "7")
    assert missing.exit_code == 1 and "11, 12, 13" in missing.stderr


def test_the_document_is_shown_as_it_is_used_and_as_it_was_signed(typed: Typed) -> None:
    used, signed = typed("config", "show", "--json"), typed("config", "show", "--json", "--signed")
    assert told(used)["extensions"][0]["do_not_disturb"] is True
    assert "1 change" in used.stderr
    assert "do_not_disturb" not in told(signed)["extensions"][0]
    assert "only-for-tests" not in used.stdout and '"ha1_md5": "..."' in used.stdout


def test_changes_are_listed_without_the_agent(typed: Typed) -> None:
    (change,) = told(typed("change", "list", "--json"))
    assert (change["path"], change["by"], change["why"], change["state"]) == (
        DND,
        "sato",
        "line cut",
        "active",
    )
    assert "line cut" in typed("change", "list").stdout


def test_an_order_without_the_agent_says_so(typed: Typed) -> None:
    done = typed("change", "extension", "201", "do_not_disturb=off", "--why", "back")
    assert done.exit_code == 1 and "does not answer" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("extension", "201", "ha1_md5=00", "--why", "x"), "cannot be changed at a box"),
        (("extension", "201", "do_not_disturb=perhaps", "--why", "x"), "perhaps"),
        (("extension", "201", "do_not_disturb", "--why", "x"), "gives no value"),
        (("undo", "--why", "x"), "--all"),
    ],
)
def test_a_mistyped_change_is_told_before_anybody_is_asked(
    typed: Typed, words: tuple[str, ...], said: str
) -> None:
    done = typed("change", *words)
    assert done.exit_code == 1 and said in done.stderr
