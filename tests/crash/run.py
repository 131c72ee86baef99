"""One run: a site's box and a centre from the same beginning, killed as the plan says, then judged."""

import contextlib
import json
import os
import random
import select
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import box_side, centre_side, shim, warm
from tests.crash.plan import Fault, Plan, Side
from tests.crash.variants import PRODUCT, Variant
from tests.crash.verdict import Verdict, judge

STUCK_S = 120.0
"""A run takes a third of a second, on a machine that is drowning in work 20 s; one that is not over after this never will be."""
SPOILT_STUCK_S = 10.0
"""The same for a spoilt variant, of which nothing better is expected."""


@dataclass(slots=True)
class Story:
    """What was seen of a run. told: by the box. killed: kinds of points at which a process died."""

    told: list[tuple[str, Any]] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    points: dict[Side, int] = field(default_factory=dict)
    cuts: int = 0

    def said(self, what: str) -> list[Any]:
        """The values told under this word."""
        return [value for word, value in self.told if word == what]


@dataclass(slots=True)
class _Process:
    pid: int
    end: int
    """A descriptor that becomes readable when it has ended."""


class Run:
    """Call `go` once. ground: a template (see `ground.py`); folder: a free one for this run."""

    def __init__(
        self, plan: Plan | None, ground: Path, folder: Path, listen: str, variant: Variant = PRODUCT
    ) -> None:
        self._plan = plan
        self._variant = variant
        self._listen = listen
        self._folder = folder
        shutil.copytree(ground, folder)
        self._watched = {side: shim.Watched(folder / side) for side in Side}
        self._lives: Counter[Side] = Counter()
        self._running: dict[Side, _Process] = {}
        self._chance = random.Random(f"{plan.seed}/{plan.faults}" if plan else "")
        self._unread = b""
        self.story = Story()

    def go(self) -> Verdict:
        """The whole run; everything that it started is gone afterwards."""
        self._heard, self._voice = os.pipe()
        try:
            for side in (Side.CENTRE, Side.BOX):
                self._start(side)
            deadline_s = time.monotonic() + (STUCK_S if self._variant is PRODUCT else SPOILT_STUCK_S)
            while not self.story.said("drained") and time.monotonic() < deadline_s:
                self._step()
            for side in Side:
                self._end(side)
            self._cut_power(Side.CENTRE)  # what the box still has is not looked at
            return judge(self.story, self._folder)
        finally:
            for side in list(self._running):
                self._end(side)
            os.close(self._heard)
            os.close(self._voice)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _step(self) -> None:
        ends = {process.end: side for side, process in self._running.items()}
        ready, _, _ = select.select([self._heard, *ends], [], [], 1.0)
        if self._heard in ready:
            self._listen_to_box()
        for end in ready:
            if end in ends and not self.story.said("drained"):
                self._died(ends[end])

    def _listen_to_box(self) -> None:
        lines = (self._unread + os.read(self._heard, 65536)).split(b"\n")
        self._unread = lines.pop()
        self.story.told += [tuple(json.loads(line)) for line in lines]

    def _died(self, side: Side) -> None:
        """A process has come to its point (or failed by itself, which nothing excuses)."""
        while select.select([self._heard], [], [], 0)[0]:
            self._listen_to_box()
        kind = self._watched[side].reached().killed
        if not kind:
            status = self._reap(side)
            if not self.story.said("drained"):
                self.story.told.append(("failed", f"{side} ended by itself: {status}"))
                self.story.told.append(("drained", None))
            return
        self._reap(side)
        self.story.killed.append(f"{side} {kind}")
        dead = [side]
        if self._plan and self._plan.together:
            other = Side.CENTRE if side is Side.BOX else Side.BOX
            self._end(other)
            dead.append(other)
        for one in dead:
            if self._plan and self._plan.power:
                self._cut_power(one)
            self._start(one)

    def _cut_power(self, side: Side) -> None:
        self.story.cuts += 1
        self._watched[side].cut_power(self._chance)

    def _start(self, side: Side) -> None:
        life = self._lives[side]
        self._lives[side] += 1
        plan = self._plan
        fault = plan.faults[life] if plan and side is plan.side and life < len(plan.faults) else None
        told = box_side.Told(
            frozenset(number for number, _ in self.story.said("event")),
            frozenset(self.story.said("recording")),
        )
        pid = os.fork()
        if pid == 0:
            _as_child(lambda: self._live(side, life, fault, told))
        self._running[side] = _Process(pid, os.pidfd_open(pid))

    def _live(self, side: Side, life: int, fault: Fault | None, told: box_side.Told) -> None:
        """In the child."""
        warm.in_child()
        spoilt = self._variant.side is side
        if spoilt:
            self._variant.spoil()
        watched = self._watched[side]
        shim.arm(watched.folder, watched.log, fault, self._variant.muted if spoilt else "")
        if side is Side.CENTRE:
            centre_side.run(watched.folder, self._listen)
        else:
            voice = box_side.Voice(self._voice)
            box_side.run(watched.folder, f"https://{self._listen}", life, told, voice)

    def _end(self, side: Side) -> None:
        if side in self._running:
            process = self._running[side]
            self._watched[side].halt(lambda: bool(select.select([process.end], [], [], 0)[0]))
            os.kill(process.pid, signal.SIGKILL)
            self._reap(side)

    def _reap(self, side: Side) -> int:
        process = self._running.pop(side)
        _, status = os.waitpid(process.pid, 0)
        os.close(process.end)
        self.story.points[side] = self._watched[side].reached().points
        return os.waitstatus_to_exitcode(status)


def _as_child(work: Callable[[], None]) -> None:
    """Do the work and leave without any of the parent's goodbyes."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)
