"""Who may import whom. A core that reaches for the world cannot be tested without it, and a call path that needs
the agent or the centre stops with them; so the rules are checked in the source, not hoped for.
"""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("appliance", "agent", "cloudsync")

WORLD = frozenset(
    """
    asyncio concurrent ctypes fcntl ftplib glob http io logging mmap multiprocessing os queue random secrets
    select selectors shutil signal smtplib socket socketserver sqlite3 ssl subprocess tempfile threading time
    urllib uuid
    """.split()  # noqa: SIM905 - a table
)
"""Modules of the standard library through which a program touches clocks, files, processes and networks."""

HARMLESS = frozenset({"urllib.parse"})
"""Parts of those that only compute."""

CORES = frozenset(
    """
    appliance.addresses appliance.bech32 appliance.box_model appliance.box_rules appliance.digest appliance.errors
    appliance.field_rules appliance.layout appliance.model
    appliance.problems appliance.reader appliance.site appliance.site_checks appliance.site_fields
    appliance.site_forwarding appliance.site_model appliance.site_rules appliance.words
    appliance.kamailio.actions appliance.kamailio.call appliance.kamailio.destinations
    appliance.kamailio.dialplan appliance.kamailio.emergency appliance.kamailio.numbering
    appliance.kamailio.presentation appliance.kamailio.reasons appliance.kamailio.request
    appliance.kamailio.route appliance.kamailio.routing appliance.kamailio.rows appliance.kamailio.trunks
    appliance.kamailio.view
    appliance.media.metadata appliance.media.naming appliance.media.rtp appliance.media.timeline
    agent.call_doc agent.cdr agent.cdr_fields agent.disk agent.evidence agent.give_up agent.journal_events agent.link
    agent.options agent.records agent.series agent.status
    cloudsync.merge cloudsync.series cloudsync.wire
    """.split()  # noqa: SIM905 - a table
)
"""Decisions and values. A module whose docstring calls itself pure is held to the same rule."""

READERS = frozenset({"appliance.box", "appliance.text"})
"""Modules that read files through pathlib alone, which no list of imports can tell from path arithmetic."""

WORDS = {
    "appliance.model": frozenset[str](),
    "appliance.errors": frozenset[str](),
    "cloudsync.wire": frozenset({"appliance.errors"}),
}
"""The shared words, and what of ours each may import."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the product by name."""
    found: dict[str, ast.Module] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text("utf-8"), str(path))
    return found


@cache
def imports(name: str) -> frozenset[str]:
    """Names of the modules that a module imports at run time, of ours as far down as they are modules."""
    found: set[str] = set()
    pending: list[ast.AST] = [modules()[name]]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute here"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules())
            found.update(inner or {node.module or ""})
        pending.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def top(name: str) -> str:
    return name.partition(".")[0]


def ours(name: str) -> set[str]:
    return {one for one in imports(name) if top(one) in PACKAGES}


def foreign(name: str) -> set[str]:
    """What a module imports from outside the project and the standard library."""
    return {one for one in imports(name) if top(one) not in {*PACKAGES, *sys.stdlib_module_names}}


def says_pure(name: str) -> bool:
    first = (ast.get_docstring(modules()[name]) or "").partition("\n\n")[0]
    return any(word in {"Pure.", "Pure;", "Pure:", "pure."} for word in first.split())


def cores() -> list[str]:
    return sorted(CORES | {name for name in modules() if says_pure(name)})


def within(package: str) -> list[str]:
    return [name for name in modules() if name == package or name.startswith(f"{package}.")]


def test_every_listed_core_exists() -> None:
    assert set(CORES) <= set(modules())


def closure(name: str) -> set[str]:
    """A module and every module of ours that it needs, however far down."""
    reached: set[str] = set()
    pending = {name}
    while pending:
        one = pending.pop()
        reached.add(one)
        pending |= (ours(one) & set(modules())) - reached
    return reached


def worldly(name: str) -> set[str]:
    """What of the world, or of other people's packages, a module imports."""
    return ({one for one in imports(name) if top(one) in WORLD} - HARMLESS) | foreign(name)


@pytest.mark.parametrize("name", cores())
def test_core_touches_nothing_of_the_world_however_far_down(name: str) -> None:
    reached = closure(name)
    assert {one: worldly(one) for one in reached if worldly(one)} == {}
    assert reached & READERS == set()


@pytest.mark.parametrize("name", cores())
def test_core_asks_no_clock(name: str) -> None:
    asked = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(modules()[name])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert asked & {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"} == set()


@pytest.mark.parametrize(("word", "name"), [(word, name) for word in WORDS for name in within(word)])
def test_shared_words_import_nothing_of_ours(word: str, name: str) -> None:
    assert ours(name) - set(within(word)) <= WORDS[word]


@pytest.mark.parametrize("name", within("appliance"))
def test_appliance_needs_neither_agent_nor_centre(name: str) -> None:
    assert {one for one in ours(name) if top(one) != "appliance"} == set()


@pytest.mark.parametrize("name", [one for one in within("agent") if one not in {"agent.cli"}])
def test_agent_knows_of_the_centre_only_the_wire(name: str) -> None:
    assert {one for one in ours(name) if top(one) == "cloudsync"} <= {"cloudsync.wire"}


@pytest.mark.parametrize("name", within("cloudsync"))
def test_centre_does_not_import_the_agent(name: str) -> None:
    assert {one for one in ours(name) if top(one) == "agent"} == set()


@pytest.mark.parametrize("name", within("appliance.kamailio"))
def test_what_runs_inside_kamailio_is_standard_library_all_the_way_down(name: str) -> None:
    assert {one: foreign(one) for one in closure(name) if foreign(one) - {"KSR"}} == {}


def test_one_module_at_most_imports_ksr() -> None:
    assert len([name for name in modules() if "KSR" in imports(name)]) <= 1


@pytest.mark.parametrize("name", list(modules()))
def test_nothing_imports_a_wiring_module(name: str) -> None:
    """`app` wires a process together; only what starts processes (`cli`, `__main__`, a KEMI entry) names it."""
    if name.rpartition(".")[2] in {"cli", "__main__", "app"}:
        return
    assert {one for one in ours(name) if one.rpartition(".")[2] == "app"} == set()


@pytest.mark.parametrize("name", list(modules()))
def test_nothing_imports_the_tests(name: str) -> None:
    assert {one for one in imports(name) if top(one) == "tests"} == set()


@pytest.mark.parametrize("name", list(modules()))
def test_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(modules()[name])
