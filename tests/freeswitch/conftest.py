"""Every test of this suite needs a FreeSWITCH; where there is none it is reported as skipped, with the reason.

A file's tests share the lab of its fixture `lab`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.lab.freeswitch import INSTALLED, WHY_NOT
from tests.lab.lab import Lab
from tests.lab.standing import Standing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the suite's tests."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.freeswitch)
            if not INSTALLED:
                item.add_marker(pytest.mark.skip(reason=WHY_NOT))


@pytest_asyncio.fixture(loop_scope="module")
async def tidy(lab: Lab | Standing) -> AsyncIterator[None]:
    """After a test no call is left of it, and telephones answer."""
    yield
    await lab.tidy()
