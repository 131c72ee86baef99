"""Every test of this suite needs a FreeSWITCH; where there is none it is reported as skipped, with the reason."""

from pathlib import Path

import pytest

from tests.lab.freeswitch import INSTALLED, WHY_NOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the suite's tests."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.freeswitch)
            if not INSTALLED:
                item.add_marker(pytest.mark.skip(reason=WHY_NOT))
