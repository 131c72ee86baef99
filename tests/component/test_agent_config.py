"""Configuration on a real disk: applied whole or not at all, taken back by itself, resumed after a kill at every step."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import config as keeping
from agent import health
from agent.config_check import Trust
from agent.config_store import RENDERERS, TRIALS_MAX, ConfigState, Phase
from agent.health import Vitals
from appliance.errors import KyusaiError
from appliance.site import Site
from appliance.text import retold
from cloudsync.wire import ConfigKey, Envelope, Reason, envelope_signing_bytes, key_id, to_base64
from cloudsync.wire import ConfigState as Outcome
from tests.helpers.config_box import ILL, RAW, TRUST, WELL, Box, sealed
from tests.helpers.site_documents import document, extension


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WATCH_S", 3.0)
    monkeypatch.setattr(keeping, "SAMPLE_S", 0.001)
    monkeypatch.setattr(keeping, "EMPTY_POLL_MIN_S", 0.01)
    monkeypatch.setattr(keeping, "UNBELIEVED_PAUSE_S", 0.02)


async def test_a_good_version_is_in_use_for_the_workers_and_reported(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    assert await box.keeper.take(sealed(12), TRUST)
    assert await box.keeper.take(sealed(13, extensions=[extension("205")]), TRUST)
    assert box.numbers() == ["205"]
    assert box.activated == [12, 13]
    assert box.store.state == ConfigState(newest=13, report=(13, "applied", ()))
    assert box.store.versions() == [12, 13], "the one before stays"
    assert json.loads(box.layout.document(13).read_text())["version"] == 13


async def test_a_version_that_makes_the_box_ill_is_taken_back_and_not_tried_again(tmp_path: Path) -> None:
    box = await Box(tmp_path, lambda version: ILL if version == 13 else WELL).begin()
    await box.keeper.take(sealed(12), TRUST)
    assert not await box.keeper.take(sealed(13), TRUST)
    assert (box.store.current_version(), box.keeper.site and box.keeper.site.version) == (12, 12)
    assert box.activated == [12, 13, 12]
    report = box.store.state.report
    assert report is not None and report[:2] == (13, "rolled_back")
    assert "failed inside the box" in str(report[2][0])
    assert not await box.keeper.take(sealed(13), TRUST), "the same version again"
    assert box.store.current_version() == 12
    assert await box.keeper.take(sealed(14), TRUST), "the corrected one"


async def test_the_first_version_is_in_use_at_once_because_there_is_nothing_to_go_back_to(
    tmp_path: Path,
) -> None:
    box = await Box(tmp_path, lambda version: ILL if version else WELL).begin()
    assert await box.keeper.take(sealed(12), TRUST)
    assert box.store.current_version() == 12
    assert box.now_s < 3, "nobody watched"


async def test_an_ill_version_stays_when_the_one_before_it_is_gone_and_the_centre_is_told(
    tmp_path: Path,
) -> None:
    box = await Box(tmp_path).begin()
    await box.keeper.take(sealed(12), TRUST)

    def vitals(version: int) -> Vitals:
        if version != 13:
            return WELL
        box.layout.document(12).unlink(missing_ok=True)
        return ILL

    box.vitals = vitals
    await box.keeper.take(sealed(13), TRUST)
    assert box.store.current_version() == 13
    report = box.store.state.report
    assert report is not None and report[1] == "applied" and "failed inside the box" in str(report[2][0])


async def test_a_faulty_document_leaves_everything_as_it_was_and_all_faults_are_told(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    await box.keeper.take(sealed(12), TRUST)
    before = box.layout.current_route_snapshot.stat().st_ino
    await box.keeper.take(sealed(13, extensions=[extension("201"), extension("201"), extension("x")]), TRUST)
    assert box.layout.current_route_snapshot.stat().st_ino == before
    report = box.store.state.report
    assert report is not None and report[:2] == (13, "refused")
    assert len(report[2]) >= 2
    assert box.activated == [12]


async def test_why_a_version_was_not_taken_is_known_in_every_language_after_the_agent_was_killed(
    tmp_path: Path,
) -> None:
    box = await Box(tmp_path, lambda version: ILL if version == 13 else WELL).begin()
    await box.keeper.take(sealed(12), TRUST)
    for version, key in ((13, "unwell.errors"), (14, "field.type")):
        changes: dict[str, Any] = {"limits": 7} if version == 14 else {}
        await box.keeper.take(sealed(version, **changes), TRUST)
        before, again = box.store.state, (await Box(tmp_path).begin()).store.state
        assert again == before and again.report is not None
        assert key in {one.key for one in again.problems} & {one.key for one in again.report[2]}
        assert all(retold(one, "ja") != one.text for one in again.problems)


async def test_what_an_older_agent_kept_is_read_and_it_reads_what_this_one_keeps(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    await box.keeper.take(sealed(12), TRUST)
    await box.keeper.take(sealed(13, limits=7), TRUST)
    path = box.layout.config_dir / "state.json"
    stored = json.loads(path.read_text("utf-8"))
    assert stored["problems"] == stored["report"][2] == [one.text for one in box.store.state.problems]
    del stored["details"], stored["report"][3]
    path.write_text(json.dumps(stored))
    again = (await Box(tmp_path).begin()).store.state
    assert again.problems == tuple(Reason(line) for line in stored["problems"])
    assert again.report == (13, "refused", again.problems)


async def test_a_full_disk_leaves_the_running_version(tmp_path: Path) -> None:
    def full(_site: Site, folder: Path) -> None:
        (folder / "route.sqlite").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    box = await Box(tmp_path).begin()
    await box.keeper.take(sealed(12), TRUST)
    box.store.renderers = (full,)
    assert not await box.keeper.take(sealed(13), TRUST)
    assert (box.store.current_version(), box.store.versions()) == (12, [12])
    box.store.renderers = RENDERERS
    assert await box.keeper.take(sealed(13), TRUST), "it is tried again when there is room"


async def test_old_versions_are_deleted_but_for_the_newest_five(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    for version in range(1, 9):
        await box.keeper.take(sealed(version), TRUST)
    assert box.store.versions() == [4, 5, 6, 7, 8]


async def test_a_lost_or_dangling_link_is_repaired_with_the_newest_good_version(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    for version in (12, 13):
        await box.keeper.take(sealed(version), TRUST)
    box.layout.document(13).write_text("{")
    box.layout.current.unlink()
    box.layout.current.symlink_to("versions/99")
    again = await Box(tmp_path).begin()
    assert again.store.current_version() == 12
    assert again.activated == [12]


async def test_a_spoilt_state_file_keeps_what_is_in_use(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    await box.keeper.take(sealed(12), TRUST)
    (box.layout.config_dir / "state.json").write_text('{"phase": "dancing"}')
    again = await Box(tmp_path).begin()
    assert again.activated == [12]
    assert not await again.keeper.take(sealed(12), TRUST), "a replay is refused all the same"


async def test_a_version_across_which_the_box_falls_again_and_again_is_taken_back(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    for version in (12, 13):
        await box.keeper.take(sealed(version), TRUST)
    state = ConfigState(Phase.TRIAL, 13, 12, attempts=TRIALS_MAX - 1, newest=12)
    box.store.save(state)
    again = await Box(tmp_path).begin()
    assert again.store.current_version() == 12
    assert again.store.state.report is not None and again.store.state.report[:2] == (13, "rolled_back")


STEPS = ("fsync", "replace", "symlink", "mkdir", "unlink")
"""System calls that change what a power cut or a kill leaves."""


def run_killed_at(
    step: int, folder: Path, then: Callable[[Box], Any], vitals: Callable[[int], Vitals]
) -> bool:
    """Run `then` in a child that kills itself before its step-th change of the disk; False when it came to its end."""
    child = os.fork()
    if child == 0:
        left = [step]
        for name in STEPS:
            original = getattr(os, name)

            def counted(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return _original(*args, **kwargs)

            setattr(os, name, counted)
        try:
            asyncio.run(then(Box(folder, vitals)))
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("ill", [False, True], ids=["a good version", "one that is taken back"])
def test_killed_before_every_step_the_next_agent_ends_in_the_right_version(
    tmp_path: Path, ill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_thread(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    monkeypatch.setattr(asyncio, "to_thread", without_thread)  # a fork copies no threads, only their locks

    def vitals(version: int) -> Vitals:
        return ILL if ill and version == 13 else WELL

    async def apply(box: Box) -> None:
        await box.begin()
        await box.keeper.take(sealed(13, extensions=[extension("205")]), TRUST)

    async def again(folder: Path) -> Box:
        box = await Box(folder, vitals).begin()
        assert box.numbers() in (["201", "202"], ["205"]), "whole at every moment"
        assert box.store.state.phase is Phase.IDLE
        if box.store.newest < 13:
            await box.keeper.take(sealed(13, extensions=[extension("205")]), TRUST)
        return box

    async def before(folder: Path) -> None:
        box = await Box(folder).begin()
        await box.keeper.take(sealed(12), TRUST)

    step, killed = 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)
        asyncio.run(before(folder))
        killed = run_killed_at(step, folder, apply, vitals)
        box = asyncio.run(again(folder))
        assert box.store.current_version() == (12 if ill else 13), f"killed before step {step}"
        report = box.store.state.report
        assert report is not None and report[:2] == (13, "rolled_back" if ill else "applied"), f"step {step}"
        assert not list(box.layout.versions_dir.glob("*.partial"))
    assert step > 15, "the walk must have met the steps"


class CentreDouble:
    """Says what `script` says: an envelope, None (nothing new) or an error; then hangs."""

    def __init__(self, *script: Envelope | Exception | None) -> None:
        self.script = list(script)
        self.asked: list[int] = []
        self.reports: list[tuple[int, str, Sequence[Reason]]] = []
        self.away = False

    async def config(self, have: int, wait_s: float) -> Envelope | None:
        self.asked.append(have)
        if not self.script:
            await asyncio.Event().wait()
        said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def config_status(self, version: int, state: Outcome, reasons: Sequence[Reason]) -> None:
        if self.away:
            raise KyusaiError("cloud.unreachable", "no connection")
        self.reports.append((version, state.value, reasons))


async def keep(
    box: Box, centre: CentreDouble, until: Callable[[], bool], learn: keeping.Learn | None = None
) -> None:
    async def pull_on() -> None:
        await box.keeper.settle()
        while True:
            await box.keeper.pull(centre, TRUST, learn)

    task = asyncio.create_task(pull_on())
    try:
        async with asyncio.timeout(20):
            while not until() and not task.done():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_the_centre_sends_is_applied_and_the_outcome_told(tmp_path: Path) -> None:
    box, centre = await Box(tmp_path).begin(), CentreDouble(sealed(12), None, sealed(13))
    await keep(box, centre, lambda: len(centre.asked) == 4)
    assert centre.reports == [(12, "applied", ()), (13, "applied", ())]
    assert centre.asked[:4] == [0, 12, 12, 13]


async def test_a_report_that_the_centre_did_not_take_is_told_by_the_next_agent(tmp_path: Path) -> None:
    box, centre = await Box(tmp_path).begin(), CentreDouble(sealed(12))
    centre.away = True
    await keep(
        box, centre, lambda: False if box.store.state.report is None else box.store.current_version() == 12
    )
    again, back = await Box(tmp_path).begin(), CentreDouble()
    await keep(again, back, lambda: again.store.state.report is None)
    assert back.reports == [(12, "applied", ())]
    assert again.store.state.report is None


async def test_a_centre_that_repeats_a_forged_document_is_asked_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "UNBELIEVED_PAUSE_S", 3600.0)
    forged = Envelope(sealed(12).document, 12, key_id(RAW), to_base64(b"\0" * 64))
    box, centre = await Box(tmp_path).begin(), CentreDouble(*[forged] * 50)
    await keep(box, centre, lambda: bool(centre.reports))
    assert len(centre.asked) == 1
    assert centre.reports[0][:2] == (12, "refused")
    assert box.store.newest == 0, "a forged number must not lock later versions out"


async def test_a_document_of_a_key_that_is_not_known_yet_is_judged_with_the_keys_learnt_for_it(
    tmp_path: Path,
) -> None:
    new = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
    raw = new.public_key().public_bytes_raw()
    text = json.dumps(document(version=13))
    rotated = Envelope(text, 13, key_id(raw), to_base64(new.sign(envelope_signing_bytes(text))))
    learnt: list[int] = []

    async def learn() -> Trust:
        learnt.append(1)
        return Trust("tokyo-1", (*TRUST.keys, ConfigKey(key_id(raw), to_base64(raw))))

    box, centre = await Box(tmp_path).begin(), CentreDouble(sealed(12), rotated)
    await keep(box, centre, lambda: len(centre.reports) == 2, learn)
    assert centre.reports == [(12, "applied", ()), (13, "applied", ())]
    assert len(learnt) == 1


async def test_a_refused_document_is_kept_for_a_person_to_look_at(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    await box.keeper.take(sealed(12), TRUST)
    faulty = sealed(13, extensions=[extension("201"), extension("201")])
    await box.keeper.take(faulty, TRUST)
    assert box.layout.offered_document.read_text() == faulty.document


class HalfOpen(CentreDouble):
    """A centre whose first poll hangs on a connection that nobody tells is dead."""

    async def config(self, have: int, wait_s: float) -> Envelope | None:
        if not self.asked:
            self.asked.append(have)
            await asyncio.Event().wait()
        return await super().config(have, wait_s)


async def test_a_poll_on_a_dead_connection_is_asked_anew_after_two_heartbeats(tmp_path: Path) -> None:
    box, centre = await Box(tmp_path).begin(), HalfOpen(sealed(12))

    def beaten() -> bool:
        if centre.asked and not centre.reports:
            box.keeper.heard_of(12)
        return bool(centre.reports)

    await keep(box, centre, beaten)
    assert centre.reports == [(12, "applied", ())]
    assert centre.asked[:2] == [0, 0]


async def test_a_slow_download_is_not_begun_again_and_again(tmp_path: Path) -> None:
    box, centre = await Box(tmp_path).begin(), CentreDouble()
    beats = 0

    def many() -> bool:
        nonlocal beats
        beats += 1
        box.keeper.heard_of(12)
        return beats > 30

    await keep(box, centre, many)
    assert len(centre.asked) == 2, "once more, and then it is waited for"


async def test_known_versions_stir_nothing(tmp_path: Path) -> None:
    box, centre = await Box(tmp_path).begin(), CentreDouble(sealed(12))
    beats = 0

    def beaten() -> bool:
        nonlocal beats
        if len(centre.asked) == 2:
            beats += 1
            box.keeper.heard_of(12)
        return beats > 10

    await keep(box, centre, beaten)
    assert len(centre.asked) == 2
