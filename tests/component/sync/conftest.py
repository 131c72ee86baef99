"""One real centre for each file of this folder; a line to it and an enrolled box for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.helpers.broken_line import Box, Centre, Line, box_of, line_to, running_centre


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with running_centre(tmp_path_factory.mktemp("centre")) as made:
        yield made


@pytest.fixture
async def line(centre: Centre) -> AsyncIterator[Line]:
    async with line_to(centre) as made:
        yield made


@pytest.fixture
async def box(centre: Centre, line: Line, tmp_path: Path) -> AsyncIterator[Box]:
    async with box_of(centre, line, tmp_path) as made:
        yield made
