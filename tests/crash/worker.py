"""One worker: makes its own ground, then does its share of the runs, each in forked children. Prints JSON.

Started under the shim, which does nothing in this process itself.
"""

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash import ground
from tests.crash.plan import Side, plan
from tests.crash.run import Run
from tests.crash.variants import PRODUCT, SPOILT

WORDS = ("lost", "doubled", "corrupt", "stuck")


def main(arguments: list[str]) -> dict[str, Any]:
    """The figures of this worker's runs. arguments: folder, its number, how many workers, runs in all, seed, variant."""
    folder, (worker, workers, runs, seed) = Path(arguments[0]), map(int, arguments[1:5])
    variant = next(one for one in (PRODUCT, *SPOILT) if one.name == arguments[5])
    own = folder / f"worker-{worker}"
    own.mkdir()
    listen = ground.free_address(worker)
    ground.prepare(own / "ground", listen)
    whole = Run(None, own / "ground", own / "whole", listen)
    verdict = whole.go()
    if not verdict.sound:
        raise SystemExit(f"a run in which nobody is killed is at fault: {verdict} {whole.story}")
    points = whole.story.points
    numbers: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    faults: list[Any] = []
    found = folder / "found"
    for number in range(worker, runs, workers):
        if variant is not PRODUCT and found.exists():
            break
        chosen = plan(seed, number, points)
        run = Run(chosen, own / "ground", own / f"run-{number}", listen, variant)
        try:
            verdict = run.go()
        except Exception as error:
            raise RuntimeError(f"run {number}, {chosen}") from error
        numbers["runs"] += 1
        numbers["kills"] += len(run.story.killed)
        numbers["power_cuts"] += run.story.cuts
        killed.update(run.story.killed)
        for word in WORDS:
            numbers[word] += len(getattr(verdict, word))
        if not verdict.sound:
            numbers["at_fault"] += 1
            found.touch()
            told = {word: getattr(verdict, word)[:3] for word in WORDS if getattr(verdict, word)}
            faults.append({"number": number, "plan": str(chosen), **told})
    return {
        **numbers,
        "killed": dict(killed),
        "points": {str(side): points[side] for side in Side},
        "faults": faults,
    }


def _quietly(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the processes under test log goes nowhere; what this one dies of goes to standard error."""
    loud = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        return work()
    except BaseException:
        os.dup2(loud, 2)
        raise


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(_quietly(lambda: main(sys.argv[1:]))))
