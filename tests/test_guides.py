"""The operator's guides against the programs: what a stranger reads must be what the machine does."""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_group

from appliance import box
from appliance.model import LinkState

ROOT = Path(__file__).parent.parent
GUIDE, GUIDE_JA = "docs/operating.md", "docs/operating.ja.md"


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def sections(name: str) -> list[str]:
    return re.findall(r"^## (.+)$", text_of(name), re.MULTILINE)


def first_cells(name: str) -> list[set[str]]:
    """What stands in backquotes in the first cell of each table row, in order; rows without are left out."""
    rows = re.findall(r"^\| ([^|]*`[^|]*) \|", text_of(name), re.MULTILINE)
    return [set(re.findall(r"`([^`]+)`", row)) for row in rows]


def coded(name: str) -> Iterator[str]:
    """Everything in a guide that is written as code: blocks line by line, and spans."""
    text = text_of(name)
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    yield from (line for block in blocks for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def test_both_guides_have_the_same_sections_and_tables() -> None:
    assert len(sections(GUIDE)) == len(sections(GUIDE_JA))
    assert bare(first_cells(GUIDE)) == bare(first_cells(GUIDE_JA))


def bare(rows: list[set[str]]) -> list[set[str]]:
    """The words of each row that no language changes."""
    return [words for row in rows if (words := {one for one in row if re.fullmatch(r"[A-Za-z_.]+", one)})]


BOX_ROW = re.compile(r"^\| `((?:box|centre|sip|rtp|agent|freeswitch)\.[a-z_]+)` \| ([^|]*) \|", re.MULTILINE)
TAKEN_FROM = {"sip.wan": "sip.lan", "rtp.lan": "sip.lan", "rtp.wan": "sip.wan"}
"""Fields of box.toml whose default is another's value."""


def box_fields() -> dict[str, str]:
    """Every field of box.toml with its default, as the parser has them: "" is written `""`."""
    parsed = box.parse('[box]\nid = "a"\n[sip]\nlan = "192.0.2.10"\n')
    found: dict[str, str] = {}
    for part in fields(parsed):
        value = getattr(parsed, part.name)
        if is_dataclass(value):
            found |= {f"{part.name}.{one.name}": str(getattr(value, one.name)) for one in fields(value)}
        else:
            found[f"box.{part.name}"] = str(value)
    return {name: value or '""' for name, value in found.items()}


@pytest.mark.parametrize("guide", ["docs/operating.md", "docs/operating.ja.md"])
def test_guide_lists_every_field_of_box_toml_with_its_default(guide: str) -> None:
    listed = {name: default.strip() for name, default in BOX_ROW.findall(text_of(guide))}
    parsed = box_fields()
    assert set(listed) == set(parsed)
    ours = {
        name: default
        for name, default in listed.items()
        if name not in TAKEN_FROM and name not in {"box.id", "sip.lan"}
    }
    assert ours == {name: parsed[name] for name in ours}


def constants(node: ast.AST) -> set[str]:
    return {
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def agent_modules() -> Iterator[ast.AST]:
    for path in sorted((ROOT / "agent").glob("*.py")):
        yield from ast.walk(ast.parse(path.read_text("utf-8")))


def logged() -> set[str]:
    """Names of the lines that the agent and the converter log."""
    found: set[str] = set()
    for node in agent_modules():
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr in {"info", "warning", "error", "exception"} and "log" in ast.unparse(
            node.func.value
        ):
            found |= constants(node.args[0])
    return found


def is_name(node: ast.Assign) -> bool:
    return [ast.unparse(target) for target in node.targets] == ["name"]


def told() -> set[str]:
    """Names of the events that a box tells the centre: `{"event": NAME}` or `_tell(NAME, ...)`, where NAME is a word or a
    choice of two."""
    found: set[str] = set()
    for node in agent_modules():
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "event":
                    found |= constants(value)
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "self._tell"
            and "STAT" not in ast.unparse(node)
        ):
            found |= constants(node.args[0])
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp) and is_name(node):
            found |= constants(node.value.body) | constants(node.value.orelse)
    return found


def listed_under(guide: str, number: int) -> set[str]:
    """Words in the first column of the tables in a guide's section, by the section's number."""
    section = re.split(r"^## .+$", text_of(guide), flags=re.MULTILINE)[number + 1]
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("guide", ["docs/operating.md", "docs/operating.ja.md"])
def test_guide_explains_every_state_event_and_log_line_and_no_other(guide: str) -> None:
    at = {title: number for number, title in enumerate(sections("docs/operating.md"))}
    assert listed_under(guide, at["States of an upstream"]) == set(LinkState)
    assert listed_under(guide, at["Events at the centre"]) == told()
    assert listed_under(guide, at["Logs"]) == logged()


# --- commands


class Node(NamedTuple):
    """A command of `kyusai`: its options, what is below it, and whether it does something by itself."""

    options: frozenset[str]
    below: dict[str, "Node"]
    alone: bool


def node(command: Any) -> Node:
    below = {name: node(one) for name, one in getattr(command, "commands", {}).items()}
    options = frozenset(option for one in command.params for option in one.opts)
    return Node(options | {"--help"}, below, not below or command.invoke_without_command)


@cache
def tree() -> Node:
    halves = [node(get_group(importlib.import_module(name).app)) for name in ("agent.cli", "cloudsync.cli")]
    return Node(frozenset({"--help"}), halves[0].below | halves[1].below, False)


def fault(words: list[str]) -> str:
    """What is wrong with a command line, "" when nothing is. Words in capitals stand for values."""
    here = tree()
    for word in words:
        if word in here.below:
            here = here.below[word]
        elif word.startswith("--"):
            if word.split("=")[0] not in here.options:
                return f"no option {word}"
        elif not here.alone:
            return f"no command {word}"
    return "" if here.alone else "no whole command"


GUIDES = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))


def commands(guide: str) -> Iterator[list[str]]:
    for code in coded(guide):
        for match in re.finditer(r"(?<![\w./'-])kyusai ([a-z]+(?: \[?-{0,2}[A-Za-z][\w./=-]*\]?)*)", code):
            words = [word.strip("[]").rstrip(".") for word in match[1].split()]
            if words and words[0].islower():
                yield words


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_in_a_guide_exists_with_its_options(guide: str) -> None:
    wrong = [f"kyusai {' '.join(words)}: {fault(words)}" for words in commands(guide) if fault(words)]
    assert wrong == []


def test_the_check_of_commands_can_fail() -> None:
    assert fault(["status", "--json"]) == fault(["centre", "site", "add", "ID"]) == ""
    assert fault(["state"]) == "no command state"
    assert fault(["status", "--colour"]) == "no option --colour"
    assert fault(["centre", "site"]) == "no whole command"


def test_every_command_is_told_somewhere() -> None:
    def paths(here: Node, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for name, one in here.below.items():
            if one.alone:
                yield (*before, name)
            yield from paths(one, (*before, name))

    said = {" ".join(words) for guide in GUIDES for words in commands(guide)}
    untold = [
        path
        for path in paths(tree())
        if not any(f"{line} ".startswith(" ".join(path) + " ") for line in said)
    ]
    assert untold == []


# --- links and the map of the code


@pytest.mark.parametrize("guide", GUIDES)
def test_every_link_leads_somewhere(guide: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(guide))
    dead = [link for link in links if "://" not in link and not ((ROOT / guide).parent / link).exists()]
    assert dead == []


def packages() -> set[str]:
    folders = {
        path.parent for name in ("appliance", "agent", "cloudsync") for path in (ROOT / name).rglob("*.py")
    }
    return {f"{folder.relative_to(ROOT)}/" for folder in folders}


def test_architecture_names_every_package_and_no_module_that_is_gone() -> None:
    text = text_of("ARCHITECTURE.md")
    rows = set(re.findall(r"^\| `((?:appliance|agent|cloudsync)/[a-z_/]*)` \|", text, re.MULTILINE))
    assert packages() <= rows
    assert {row for row in rows if not (ROOT / row).is_dir()} == set()
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text))
    known = {str(path.relative_to(ROOT)) for path in ROOT.glob("[a-z]*/**/*.py")} | {"kyusai_cli.py"}
    assert {
        one for one in named if not any(path == one or path.endswith(f"/{one}") for path in known)
    } == set()


@pytest.mark.parametrize("file", ["docs/threat-model.md", "DECISIONS.md", "CONTRIBUTING.md", "README.md"])
def test_files_and_tests_that_a_guide_points_at_exist(file: str) -> None:
    named = {
        one
        for one in re.findall(r"`((?:appliance|agent|cloudsync|tests|bin|docs)/[\w./-]+)`", text_of(file))
        if not (ROOT / one.rstrip("/")).exists()
    }
    assert named == set()


@pytest.mark.parametrize(("guide", "lang"), [(GUIDE, "en"), (GUIDE_JA, "ja")])
def test_lines_of_the_status_are_called_in_the_guides_as_on_the_screen(guide: str, lang: str) -> None:
    texts = tomllib.loads((ROOT / "agent/texts.toml").read_text("utf-8"))["agent"]["status"]
    on_screen = {one[lang] for one in texts.values()}
    screen, table = re.search(
        r"\n(Kamailio  .*?)```.*?\n\|---\|---\|---\|\n(.*?)\n\n", text_of(guide), re.DOTALL
    ).groups()  # type: ignore[union-attr]
    shown = {line.partition("  ")[0] for line in screen.splitlines() if "   " in line}
    explained = {row.split("|")[1].strip() for row in table.splitlines()}
    assert len(shown) >= 10
    assert shown <= on_screen
    assert explained <= shown
