"""For all suites: a test that runs real programs gets a second go, and no hang outlives its time.

Real programs talk to each other by timers of the real world, and the machine may be busy with others' work. A test that
passes at its second go is listed as RERUN at the end: look at it. Unit tests and the crash campaign get one go.

pytest-timeout fails a test that takes too long, but lets go of it at its first failure, for the sake of debuggers: a teardown
or a second go that hung would have hung the run. It is wound up again here, and whoever swallows its alarm ends the process.
"""

import faulthandler
import os
from pathlib import Path

import pytest
import pytest_timeout
from hypothesis import settings

SECOND_GO = frozenset({"component", "system", "freeswitch"})
"""Suites, by their folder's name."""

settings.register_profile("kyusai", deadline=None)  # an example that took long says something of the machine
settings.load_profile("kyusai")

LAST_NET_S = 60.0
"""A test that is still there so long after its alarm ends its process, with the stacks of all threads on standard error."""

FIRST_GO_LINES = 60

REAL_STDERR = pytest.StashKey[int]()
"""Standard error as it was before output was captured."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep a way to say what hung."""
    config.stash[REAL_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give it back."""
    os.close(config.stash[REAL_STDERR])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the tests of those suites a second go."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in SECOND_GO:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=1))


@pytest.hookimpl(trylast=True)  # the plugins let go first
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """A test has failed: what follows, its teardown and its second go, has as long as it had."""
    settings = pytest_timeout.get_env_settings(node.config)
    if isinstance(node, pytest.Item) and settings.timeout and not node.config.getoption("usepdb"):
        node.ihook.pytest_timeout_set_timer(item=node, settings=settings)


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> None:
    """Below the alarm, which the test itself may catch, a net that nothing in this process can."""
    end_s = settings.timeout + LAST_NET_S
    faulthandler.dump_traceback_later(end_s, exit=True, file=item.config.stash[REAL_STDERR])


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> None:
    """The test is over."""
    faulthandler.cancel_dump_traceback_later()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why a test needed its second go: without that nobody could look at it."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_sep("_", f"first go of {report.nodeid}")
        terminalreporter.write_line("\n".join(report.longreprtext.splitlines()[-FIRST_GO_LINES:]))
