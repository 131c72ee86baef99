"""One task that fails must not take the others with it, nor hammer."""

import asyncio

import pytest

from agent import supervisor
from agent.supervisor import Supervisor


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_FIRST_S", 0.001)
    monkeypatch.setattr(supervisor, "BACKOFF_CAP_S", 0.004)


async def test_a_failing_task_is_started_again_with_growing_waits_while_others_run() -> None:
    told: list[tuple[str, str, float]] = []
    well_runs = asyncio.Event()

    async def ill() -> None:
        raise OSError("no")

    async def well() -> None:
        well_runs.set()
        await asyncio.Event().wait()

    keeper = Supervisor(lambda name, error, wait_s: told.append((name, str(error), wait_s)), lambda: 1.0)
    keeper.start("ill", ill)
    keeper.start("well", well)
    async with asyncio.timeout(5):
        while len(told) < 5:
            await asyncio.sleep(0.001)
    assert [wait_s for _, _, wait_s in told[:5]] == [0.001, 0.002, 0.004, 0.004, 0.004]
    assert keeper.figures["well"].running
    assert keeper.figures["ill"].restarts >= 5
    assert keeper.figures["ill"].last_error == "OSError: no"
    await keeper.stop()
    assert keeper.figures == {}


async def test_boxes_that_failed_in_the_same_moment_wait_for_different_times() -> None:
    waits: list[float] = []

    async def ill() -> None:
        raise OSError("no")

    for number in (0.0, 0.5, 1.0):
        keeper = Supervisor(lambda _name, _error, wait_s: waits.append(wait_s), lambda number=number: number)  # type: ignore[misc]
        keeper.start("ill", ill)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await keeper.stop()
    assert waits == pytest.approx([0.0001, 0.00055, 0.001])


async def test_a_task_that_ends_by_itself_counts_as_failed() -> None:
    told: list[str] = []

    async def ends() -> None:
        return

    keeper = Supervisor(lambda name, error, wait_s: told.append(str(error)))
    keeper.start("ends", ends)
    await asyncio.sleep(0.01)
    await keeper.stop("ends")
    assert "ended by itself" in told[0]


async def test_a_stopped_task_gives_back_what_it_holds_and_its_name() -> None:
    given_back: list[bool] = []

    async def holds() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_back.append(True)

    keeper = Supervisor(lambda *_: None)
    keeper.start("holds", holds)
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="holds"):
        keeper.start("holds", holds)
    await keeper.stop("holds", "never there")
    assert given_back == [True]
    keeper.start("holds", holds)
    await keeper.stop()
