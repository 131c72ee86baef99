"""The fleet simulator from outside: its processes, how it grows, and what all of its boxes together saw."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.bench.fleet_plan import Habits

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 2
"""Each may open 20,000 files here, and a box has two connections."""
LOOK_S = 0.25


@dataclass
class Seen:
    """The sum over the simulator's processes; see `fleet_box.Tally`. late_s: the worst delay of a timer of its own."""

    heartbeat_ms: list[float]
    done: Counter[str]
    failed: Counter[str]
    polls_held: int
    joined: int
    heard: int
    unsent: int
    applied: Counter[int]
    applied_last_s: dict[int, float]
    refused_s: dict[str, float]
    cpu_s: float
    late_s: float


class Fleet:
    """Boxes 0, 1, … against the given addresses, each box with one of them. ``with`` ends its processes."""

    def __init__(self, ca_pem: str, targets: Sequence[tuple[str, int]], habits: Habits) -> None:
        self._workers = []
        for first in range(PROCESSES):
            plan = {
                "ca_pem": ca_pem,
                "targets": list(targets),
                "habits": asdict(habits),
                "first": first,
                "step": PROCESSES,
            }
            self._workers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.bench.fleet_worker", json.dumps(plan)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.communicate()

    def grow(self, boxes: int, at_once: int) -> None:
        """So many boxes in all, `at_once` of them on their way in at a time."""
        for index in range(PROCESSES):
            share = len(range(index, boxes, PROCESSES))
            self._say(index, {"do": "grow", "to": share, "at_once": max(1, at_once // PROCESSES)})

    def wait_joined(self, boxes: int, limit_s: float) -> float | None:
        """`wait_for` every box's first heartbeat to be answered."""
        return self.wait_for(lambda seen: seen.joined >= boxes, limit_s)

    def enrol(self, first: int, count: int) -> None:
        """Boxes `first` and on, which have codes, enrol at once."""
        for index in range(PROCESSES):
            self._say(index, {"do": "enrol", "first": first, "until": first + count})

    def wait_for(self, state: Callable[[Seen], bool], limit_s: float) -> float | None:
        """Seconds until a state is seen, None when that was not within the limit."""
        began_s = time.monotonic()
        while time.monotonic() < began_s + limit_s:
            if state(self.tell()):
                return time.monotonic() - began_s
            time.sleep(LOOK_S)
        return None

    def wait_applied(self, version: int, boxes: int, limit_s: float) -> Seen:
        """Until so many boxes got a version by their polls, or the limit."""
        deadline_s = time.monotonic() + limit_s
        seen = self.tell()
        while seen.applied[version] < boxes and time.monotonic() < deadline_s:
            time.sleep(LOOK_S)
            seen = self.tell()
        return seen

    def clear(self) -> None:
        """Begin a window."""
        for index in range(PROCESSES):
            self._say(index, {"do": "clear"})

    def tell(self, latencies: bool = False) -> Seen:
        """What was seen since the window began."""
        parts = [
            self._say(index, {"do": "tell", "latencies": latencies}) for index in range(len(self._workers))
        ]
        last_s: dict[int, float] = {}
        for part in parts:
            for version, at_s in part["applied_last_s"].items():
                last_s[int(version)] = max(at_s, last_s.get(int(version), 0.0))
        return Seen(
            heartbeat_ms=[value for part in parts for value in part["heartbeat_ms"]],
            done=sum((Counter(part["done"]) for part in parts), Counter()),
            failed=sum((Counter(part["failed"]) for part in parts), Counter()),
            polls_held=sum(part["polls_held"] for part in parts),
            joined=sum(part["joined"] for part in parts),
            heard=sum(part["heard"] for part in parts),
            unsent=sum(part["unsent"] for part in parts),
            applied=sum(
                (Counter({int(version): n for version, n in part["applied"].items()}) for part in parts),
                Counter(),
            ),
            applied_last_s=last_s,
            refused_s={box: at_s for part in parts for box, at_s in part["refused_s"].items()},
            cpu_s=sum(part["cpu_s"] for part in parts),
            late_s=max(part["late_s"] for part in parts),
        )

    def _say(self, index: int, command: dict[str, Any]) -> dict[str, Any]:
        worker = self._workers[index]
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(json.dumps(command).encode() + b"\n")
        worker.stdin.flush()
        answer: dict[str, Any] = json.loads(worker.stdout.readline())
        return answer
