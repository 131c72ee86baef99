"""For all suites: a test that runs real programs gets a second go, and the report names it.

Real programs talk to each other by timers of the real world, and the machine may be busy with others' work. A test that
passes at its second go is listed as RERUN at the end: look at it. Unit tests and the crash campaign get one go.
"""

from pathlib import Path

import pytest

SECOND_GO = frozenset({"component", "system", "freeswitch"})
"""Suites, by their folder's name."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the tests of those suites a second go."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in SECOND_GO:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=1))
