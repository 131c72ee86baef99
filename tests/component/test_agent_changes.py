"""Changes made at a box, on a real disk: in use at once or not at all, kept over versions, kills and restarts, and told."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import config as keeping
from agent import health
from agent.change_desk import ChangeDesk
from agent.change_reports import AGAIN_MS, CURSOR, ChangeReports
from agent.config_store import Build, Phase
from agent.health import Vitals
from agent.journal_events import Moment
from agent.spool import Spool
from agent.spool_files import open_spool
from appliance.errors import KyusaiError
from appliance.local_change import State
from appliance.overlay import Author
from appliance.site import SiteInvalid
from cloudsync.wire import reasons_from
from tests.helpers.config_box import ILL, TRUST, WELL, Box, sealed
from tests.helpers.site_documents import extension

AUTHOR = Author("sato", "line cut", "2026-11-21T09:00:00.000Z")
DND = "extensions[201].do_not_disturb"
ALWAYS = "extensions[201].forward_always"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WATCH_S", 3.0)
    monkeypatch.setattr(keeping, "SAMPLE_S", 0.001)


async def box_with_version(folder: Path, vitals: Callable[[int], Vitals] = lambda _: WELL) -> Box:
    box = await Box(folder, vitals).begin()
    assert await box.keeper.take(sealed(12), TRUST)
    return box


def states(box: Box) -> list[tuple[str, str]]:
    return [(one.path, one.state.value) for one in box.keeper.changes]


async def test_a_change_is_in_use_for_the_workers_and_after_a_restart(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path)
    done = await box.keeper.change([(DND, True), (ALWAYS, "202")], AUTHOR)
    assert done.reasons == () and len(done.changes) == 2
    assert box.extension()["do_not_disturb"] is True and box.extension()["forward_always"] == "202"
    assert box.store.state.report == (12, "applied", ()), "no version was judged"
    assert json.loads((box.layout.current / "document.json").read_text()) == json.loads(sealed(12).document)
    again = await Box(tmp_path).begin()
    assert again.store.current() == Build(12, 1)
    assert again.keeper.site is not None and again.keeper.site.extensions[0].do_not_disturb
    assert states(again) == [(DND, "active"), (ALWAYS, "active")]


async def test_a_faulty_change_touches_nothing_and_all_faults_are_told(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path)
    before = box.layout.current_route_snapshot.stat().st_ino
    with pytest.raises(SiteInvalid) as caught:
        await box.keeper.change([(ALWAYS, "119"), ("extensions[202].forward_busy", "7")], AUTHOR)
    assert len(caught.value.problems) == 2
    assert box.layout.current_route_snapshot.stat().st_ino == before
    assert box.store.builds() == [Build(12)] and states(box) == []


async def test_a_change_with_which_the_box_is_unwell_is_taken_back_and_remembered(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path)
    await box.keeper.change([(DND, True)], AUTHOR)
    box.vitals = lambda _: ILL if box.store.current() == Build(12, 2) else WELL
    done = await box.keeper.change([(ALWAYS, "202")], AUTHOR)
    assert "failed inside the box" in str(done.reasons[0])
    assert box.store.current() == Build(12, 1) and box.extension()["forward_always"] == ""
    assert states(box) == [(ALWAYS, "taken_back"), (DND, "active")]
    state = box.store.state
    assert (state.refused_version, state.report, state.problems) == (0, (12, "applied", ()), ())
    again = await Box(tmp_path).begin()
    assert states(again) == [(ALWAYS, "taken_back"), (DND, "active")]
    assert await again.keeper.take(sealed(13), TRUST), "versions go on"
    assert (await again.keeper.change([(ALWAYS, "202")], AUTHOR)).reasons == ()


async def test_withdrawn_the_document_holds_again(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path)
    (change,) = (await box.keeper.change([(DND, True)], AUTHOR)).changes
    await box.keeper.withdraw([change.id], AUTHOR)
    assert box.extension()["do_not_disturb"] is False
    assert states(box) == [(DND, "withdrawn")]


async def test_a_version_is_applied_under_the_changes_and_one_that_no_longer_fits_is_set_aside(
    tmp_path: Path,
) -> None:
    box = await box_with_version(tmp_path)
    await box.keeper.change([(DND, True)], AUTHOR)
    await box.keeper.change([("extensions[202].forward_busy", "201")], AUTHOR)
    assert await box.keeper.take(sealed(13, extensions=[extension("201"), extension("203")]), TRUST)
    assert box.numbers() == ["201", "203"] and box.extension()["do_not_disturb"] is True
    assert states(box) == [(DND, "active"), ("extensions[202].forward_busy", "set_aside")]
    assert "change_set_aside" in box.log.getvalue()
    assert box.store.state.report == (13, "applied", ())


async def test_a_version_that_is_taken_back_brings_the_changes_back_as_they_were(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path, lambda version: ILL if version == 13 else WELL)
    await box.keeper.change([("extensions[202].forward_busy", "201")], AUTHOR)
    assert not await box.keeper.take(sealed(13, extensions=[extension("201")]), TRUST)
    assert box.store.current() == Build(12, 1)
    assert states(box) == [("extensions[202].forward_busy", "active")]
    assert box.extension("202")["forward_busy"] == "201"
    report = box.store.state.report
    assert report is not None and report[1] == "rolled_back"


@pytest.mark.parametrize(("word", "dnd"), [("merged", True), ("refused", False)])
async def test_what_the_centre_decided_ends_the_change_in_the_same_switch(
    tmp_path: Path, word: str, dnd: bool
) -> None:
    box = await box_with_version(tmp_path)
    (change,) = (await box.keeper.change([(DND, True)], AUTHOR)).changes
    people = [extension("201", do_not_disturb=dnd), extension("202")]
    await box.keeper.take(sealed(13, extensions=people, local_changes={word: [change.id]}), TRUST)
    assert states(box) == [(DND, word)] and box.keeper.overlay.open == ()
    assert box.extension()["do_not_disturb"] is dnd


async def test_without_a_document_nothing_can_be_changed(tmp_path: Path) -> None:
    box = await Box(tmp_path).begin()
    with pytest.raises(KyusaiError, match="no site configuration"):
        await box.keeper.change([(DND, True)], AUTHOR)


async def test_a_change_on_a_full_disk_is_refused_and_can_be_made_when_there_is_room(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path)
    renderers = box.store.renderers

    def full(_site: Any, _folder: Path) -> None:
        raise OSError(28, "No space left on device")

    box.store.renderers = (full,)
    with pytest.raises(KyusaiError):
        await box.keeper.change([(DND, True)], AUTHOR)
    assert box.store.state.phase is Phase.IDLE and box.store.builds() == [Build(12)]
    box.store.renderers = renderers
    assert (await box.keeper.change([(DND, True)], AUTHOR)).reasons == ()


async def test_spoilt_changes_on_disk_leave_the_version_under_them_in_use(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path)
    await box.keeper.change([(DND, True)], AUTHOR)
    (box.layout.current / "overlay.json").write_text("{")
    again = await Box(tmp_path).begin()
    assert again.store.current() == Build(12) and again.keeper.site is not None
    assert await again.keeper.take(sealed(13), TRUST)


def run_killed_at(step: int, folder: Path, vitals: Callable[[int], Vitals]) -> bool:
    """Make a change in a child that kills itself before its step-th change of the disk; False when it came to its end."""
    child = os.fork()
    if child == 0:
        left = [step]
        for name in ("fsync", "replace", "symlink", "mkdir", "unlink"):
            original = getattr(os, name)

            def counted(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return _original(*args, **kwargs)

            setattr(os, name, counted)

        async def change() -> None:
            box = await Box(folder, vitals).begin()
            await box.keeper.change([(DND, True)], AUTHOR)

        try:
            asyncio.run(change())
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("ill", [False, True], ids=["a good change", "one that is taken back"])
def test_killed_before_every_step_the_change_is_there_whole_or_not_at_all(
    tmp_path: Path, ill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_thread(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    monkeypatch.setattr(asyncio, "to_thread", without_thread)  # a fork copies no threads, only their locks
    outcomes = set()
    step, killed = 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)

        def vitals(_version: int, folder: Path = folder) -> Vitals:
            changed = (folder / "state/config/current").readlink().name == "12+1" if ill else False
            return ILL if changed else WELL

        asyncio.run(box_with_version(folder))
        killed = run_killed_at(step, folder, vitals)
        box = asyncio.run(Box(folder, vitals).begin())
        assert box.store.state.phase is Phase.IDLE
        dnd = box.extension()["do_not_disturb"]
        assert dnd is (box.keeper.overlay.active != ()) and not (ill and dnd), f"killed before step {step}"
        assert box.keeper.site is not None and box.keeper.site.extensions[0].do_not_disturb is dnd
        outcomes.add((dnd, tuple(state for _, state in states(box))))
    last = (False, ("taken_back",)) if ill else (True, ("active",))
    assert outcomes == {(False, ()), last}
    assert step > 10, "the walk must have met the steps"


# --- what the centre is told


def spool_of(folder: Path) -> Spool:
    return open_spool(folder / "spool.sqlite", Moment("boot-1", 5, 1_000)).spool


def told(spool: Spool) -> list[tuple[str, str, str]]:
    return [
        (one.body["event"], one.body["path"], one.body["state"])
        for one in sorted(spool.waiting(100), key=lambda one: one.seq)
    ]


async def test_every_state_of_a_change_is_told_once_over_restarts(tmp_path: Path) -> None:
    box, spool = await box_with_version(tmp_path), spool_of(tmp_path)
    spool.rechain(1, "0" * 64)

    def reports(of: Box) -> ChangeReports:
        return ChangeReports(of.keeper, spool, "tokyo-1", "tokyo-1-a", lambda: Moment("boot-1", 7, 2_000))

    assert reports(box).tell() == 0
    (change,) = (await box.keeper.change([(DND, True)], AUTHOR)).changes
    telling = reports(box)
    assert (telling.tell(), telling.tell()) == (1, 0)
    again = await Box(tmp_path).begin()
    assert reports(again).tell() == 0, "told before the restart"
    await again.keeper.withdraw([], AUTHOR)
    assert reports(again).tell() == 1
    assert told(spool) == [("local_change", DND, "active"), ("local_change", DND, "withdrawn")]
    (first, _) = spool.waiting(2)
    assert {name: first.body[name] for name in ("id", "value", "base", "by", "why", "version")} == {
        "id": change.id, "value": True, "base": False, "by": "sato", "why": "line cut", "version": 12,
    }  # fmt: skip
    assert json.loads(spool.cursor(CURSOR) or "") == {change.id: State.WITHDRAWN}


async def test_an_open_change_is_told_again_each_day_for_a_centre_that_forgot_it(tmp_path: Path) -> None:
    box, spool = await box_with_version(tmp_path), spool_of(tmp_path)
    await box.keeper.change([(DND, True)], AUTHOR)
    now_ms = 1_000
    telling = ChangeReports(
        box.keeper, spool, "tokyo-1", "tokyo-1-a", lambda: Moment("boot-1", now_ms, 2_000)
    )
    assert (telling.tell(), telling.tell()) == (1, 0)
    now_ms += AGAIN_MS
    assert (telling.tell(), telling.tell()) == (1, 0)
    await box.keeper.withdraw([], AUTHOR)
    assert telling.tell() == 1
    now_ms += AGAIN_MS
    assert telling.tell() == 0, "it is over"


async def test_what_is_on_trial_is_not_told_yet(tmp_path: Path) -> None:
    box, spool = await box_with_version(tmp_path), spool_of(tmp_path)
    telling = ChangeReports(box.keeper, spool, "tokyo-1", "tokyo-1-a", lambda: Moment("boot-1", 7, 2_000))
    counts: list[int] = []

    def vitals(_version: int) -> Vitals:
        counts.append(telling.tell())
        return ILL if box.store.current() == Build(12, 1) else WELL

    box.vitals = vitals
    await box.keeper.change([(DND, True)], AUTHOR)
    assert counts and set(counts) == {0}
    assert telling.tell() == 1
    spool.rechain(1, "0" * 64)
    assert told(spool) == [("local_change", DND, "taken_back")]


# --- the desk


async def ask(desk: ChangeDesk, **asked: Any) -> tuple[str, dict[str, Any]]:
    body = {"by": "sato", "why": "line cut"} | asked
    status, _, answer = await desk.serve(json.dumps(body).encode())
    return status[:3], json.loads(answer)


async def test_the_desk_answers_with_what_became_of_a_change(tmp_path: Path) -> None:
    box = await box_with_version(tmp_path)
    desk = ChangeDesk(box.keeper, lambda: 100.0)
    status, answer = await ask(desk, set={DND: True})
    assert (status, answer["outcome"], answer["changes"][0]["path"]) == ("200", "applied", DND)
    status, answer = await ask(desk, set={ALWAYS: "119"})
    assert (status, [one["key"] for one in answer["problems"]]) == ("409", ["site.forward_emergency"])
    status, answer = await ask(desk, withdraw=[])
    assert (status, answer["changes"][0]["state"]) == ("200", "withdrawn")
    before = box.store.current()
    box.vitals = lambda _: WELL if box.store.current() == before else ILL
    status, answer = await ask(desk, set={DND: True})
    (reason,) = reasons_from(answer["reasons"], answer["details"])
    assert (status, answer["outcome"], reason.key) == ("200", "taken_back", "unwell.errors")
    for bad in ({"set": {}}, {"set": []}, {"withdraw": "all"}, {"set": {DND: True}, "why": ""}, {}):
        assert (await ask(desk, **bad))[0] == "409"
    assert (await desk.serve(b"\xff"))[0].startswith("409")


async def test_while_the_centre_is_near_a_change_belongs_there_unless_the_person_insists(
    tmp_path: Path,
) -> None:
    box = await box_with_version(tmp_path)
    box.keeper.centre_seen_s = 80.0
    desk = ChangeDesk(box.keeper, lambda: 100.0)
    status, answer = await ask(desk, set={DND: True})
    assert (status, answer["key"]) == ("409", "change.centre_near")
    assert (await ask(desk, set={DND: True}, anyway=True))[0] == "200"
    box.keeper.centre_seen_s = 20.0
    assert (await ask(desk, set={DND: False}))[0] == "200", "out of reach for long"
