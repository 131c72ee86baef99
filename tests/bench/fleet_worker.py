"""One process of the fleet simulator. Commands come as JSON lines on its standard input, each is answered by one line.

`grow`: so many boxes in all, of which `at_once` may be on their way in at a time. `enrol`: boxes that have to enrol, all at
once. `clear`: begin a window. `tell`: figures.
"""

import json
import os
import random
import resource
import select
import ssl
import sys
import time
from typing import Any

from tests.bench.fleet_box import SimulatedBox, Tally
from tests.bench.fleet_plan import Habits, Identity
from tests.bench.fleet_wire import Loop

LOOK_S = 0.05
"""How often the process looks whether more boxes may come in."""


class Worker:
    """Boxes `first`, `first + step`, … of the fleet."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._loop = Loop()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(cadata=plan["ca_pem"])
        self._targets = [(str(host), int(port)) for host, port in plan["targets"]]
        self._habits = Habits(**plan["habits"])
        self._first, self._step = int(plan["first"]), int(plan["step"])
        self._dice = random.Random(self._first)
        self._tally = Tally()
        self._boxes: list[SimulatedBox] = []
        self._wanted, self._at_once = 0, 1
        self._input = b""

    def run(self) -> None:
        """Until standard input ends."""
        os.set_blocking(0, False)
        self._loop.add(0, select.EPOLLIN, self._commands)
        self._look()
        while True:
            self._loop.step()

    def _look(self) -> None:
        while len(self._boxes) < self._wanted and len(self._boxes) - self._tally.joined < self._at_once:
            number = self._first + self._step * len(self._boxes)
            target = self._targets[(number // self._step) % len(self._targets)]
            self._box(number, target).join()
        self._loop.at(time.monotonic() + LOOK_S, self._look)

    def _box(self, number: int, target: tuple[str, int]) -> SimulatedBox:
        box = SimulatedBox(
            self._loop, self._context, target, Identity(number), self._habits, self._tally, self._dice
        )
        self._boxes.append(box)
        return box

    def _commands(self, _events: int) -> None:
        data = os.read(0, 65536)
        if not data:
            sys.exit(0)
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            print(json.dumps(self._obey(json.loads(line))), flush=True)

    def _obey(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "grow":
                self._wanted, self._at_once = int(command["to"]), int(command["at_once"])
            case "clear":
                self._tally.clear()
                self._loop.late_s = 0.0
            case "enrol":
                for number in range(int(command["first"]) + self._first, int(command["until"]), self._step):
                    self._box(number, self._targets[(number // self._step) % len(self._targets)]).enrol()
                self._wanted = len(self._boxes)
            case "tell":
                return self._figures(bool(command.get("latencies")))
        return {}

    def _figures(self, latencies: bool) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = vars(self._tally) | {
            "cpu_s": used.ru_utime + used.ru_stime,
            "late_s": self._loop.late_s,
            "polls_held": sum(box.polls for box in self._boxes),
            "unsent": sum(box.unsent for box in self._boxes),
            "heard": len(self._tally.heard),
        }
        if not latencies:
            found["heartbeat_ms"] = []
        return found


if __name__ == "__main__":
    Worker(json.loads(sys.argv[1])).run()
