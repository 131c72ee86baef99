"""Back-off of the sync tasks: jittered, capped, cut short by a nudge, heedful of the centre's wishes."""

import asyncio

import pytest

from agent import senders
from agent.cloud_errors import CloudError, CloudRefused, busy, unreachable
from agent.journal_events import Moment
from agent.senders import BACKOFF_CAP_S, REFUSED_PAUSE_S, Switches
from agent.spool_errors import SpoolDamaged, SpoolFull


class Script:
    """A step that does what the list says, then stops the task."""

    def __init__(self, switches: Switches, *outcomes: object) -> None:
        self._switches = switches
        self._outcomes = list(outcomes)
        self.calls = 0

    async def __call__(self) -> object:
        self.calls += 1
        outcome = self._outcomes.pop(0)
        if not self._outcomes:
            self._switches.stop.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted instead of waited out."""
    noted: list[float] = []

    async def rest(self: Switches, seconds: float) -> bool:
        noted.append(seconds)
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(Switches, "rest", rest)
    return noted


async def run(*outcomes: object) -> tuple[Script, list[tuple[str, float]]]:
    switches = Switches()
    script = Script(switches, *outcomes)
    told: list[tuple[str, float]] = []

    def report(error: Exception, pause_s: float) -> None:
        told.append((getattr(error, "key", ""), pause_s))

    await senders._run(script, switches, report)
    return script, told


def away() -> CloudError:
    return unreachable("https://192.0.2.1", "timed out")


async def test_pauses_grow_with_jitter_up_to_the_cap(pauses: list[float]) -> None:
    script, told = await run(*[away() for _ in range(40)], True)
    assert script.calls == 41
    assert len(told) == 40
    assert max(pauses) <= BACKOFF_CAP_S
    assert max(pauses[10:]) > 5
    assert len(set(pauses)) > 30, "without jitter all boxes of a fleet come back at once"


async def test_success_begins_the_pauses_anew(pauses: list[float]) -> None:
    await run(*[away() for _ in range(12)], True, away(), True)
    assert pauses[12] <= 1.0


async def test_busy_step_is_followed_by_the_next_without_a_pause(pauses: list[float]) -> None:
    await run(True, 3, True)
    assert pauses == []


async def test_idle_step_rests(pauses: list[float]) -> None:
    await run(False, 0, True)
    assert pauses == [senders.IDLE_S, senders.IDLE_S]


async def test_centre_that_names_a_time_is_not_asked_before(pauses: list[float]) -> None:
    await run(busy("https://192.0.2.1", 503, 45.0), True)
    assert pauses == [45.0]


async def test_refused_box_asks_rarely(pauses: list[float]) -> None:
    await run(CloudRefused(403, "box.revoked", "revoked"), True)
    assert pauses == [REFUSED_PAUSE_S]


async def test_full_disk_is_waited_out_and_told(pauses: list[float]) -> None:
    _, told = await run(SpoolFull("spool.full", "full"), True)
    assert [key for key, _ in told] == ["spool.full"]


@pytest.mark.parametrize("error", [SpoolDamaged("spool.damaged", "x"), RuntimeError("a fault of ours")])
async def test_fault_that_waiting_does_not_cure_ends_the_task(pauses: list[float], error: Exception) -> None:
    with pytest.raises(type(error)):
        await run(error, True)


async def test_damaged_spool_found_by_one_lane_ends_all_and_keeps_its_kind() -> None:
    class Sender:
        async def upload(self) -> bool:
            raise SpoolDamaged("spool.damaged", "x")

    with pytest.raises(SpoolDamaged):
        await senders.run_recordings(Sender(), Switches(), lambda *_: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["nudge", "stop"])
async def test_nudge_and_stop_cut_a_rest_short(how: str) -> None:
    switches = Switches()
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, getattr(switches, how).set)
    began_s = loop.time()
    assert await switches.rest(30) is (how == "nudge")
    assert loop.time() - began_s < 5
    assert not switches.nudge.is_set()


class Calls:
    """A fold with one orphan."""

    def __init__(self) -> None:
        self.orphans = ["a@192.0.2.1"]
        self.told: list[frozenset[str] | None] = []

    def read(self, _now: Moment, *, kamailio_alive: bool, media: frozenset[str] | None) -> int:
        self.told.append(media)
        return 0


async def test_rtpengine_is_asked_about_orphans_now_and_then_only(pauses: list[float]) -> None:
    calls, switches, asked = Calls(), Switches(), []

    async def media(call_ids: list[str]) -> frozenset[str]:
        asked.append(call_ids)
        return frozenset(call_ids)

    async def stop_later() -> None:
        while len(calls.told) < 10:
            await asyncio.sleep(0)
        switches.stop.set()

    run_it = senders.run_journal(
        calls,  # type: ignore[arg-type]
        lambda: Moment("b", 1, 1),
        switches,
        lambda *_: None,
        media=media,
    )
    await asyncio.gather(run_it, stop_later())
    assert asked == [["a@192.0.2.1"]]
    assert calls.told[:3] == [frozenset({"a@192.0.2.1"}), None, None]
