"""One worker: makes its own ground, then does its share of the runs, each in forked children. Prints JSON.

Started under the shim, which does nothing in this process itself.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash import ground, warm
from tests.crash.plan import Side, plan
from tests.crash.run import Run
from tests.crash.variants import PRODUCT, SPOILT, Variant

WORDS = ("lost", "doubled", "corrupt", "stuck")
SPOILT_RUNS = 60
"""Runs of each spoilt variant at most: it is found out by the first in which something is lost, doubled or corrupt, and no more
are made. One that is merely stuck shows nothing."""
TALLY = "tally-"
"""How the names of files begin that hold a byte for each run."""
SOUND, AT_FAULT = b".", b"!"


@dataclass(frozen=True, slots=True)
class Share:
    """What this worker does. folder: of all workers; number, workers: which of how many; runs: of the product, in all."""

    folder: Path
    number: int
    workers: int
    runs: int
    seed: int
    variants: tuple[Variant, ...]

    @classmethod
    def of(cls, arguments: list[str]) -> "Share":
        """From the command line: folder, number, workers, runs, seed, names of the variants."""
        number, workers, runs, seed = map(int, arguments[1:5])
        variants = tuple(one for one in (PRODUCT, *SPOILT) if one.name in arguments[5:])
        return cls(Path(arguments[0]), number, workers, runs, seed, variants)


def main(share: Share) -> dict[str, Any]:
    """The figures of this worker's runs, by variant."""
    own = share.folder / f"worker-{share.number}"
    own.mkdir()
    asyncio.run(warm.warm_up(own / "warm"))
    listen = ground.free_address(share.number)
    ground.prepare(own / "ground", listen)
    warm.before_forks()
    whole = Run(None, own / "ground", own / "whole", listen)
    verdict = whole.go()
    if not verdict.sound:
        raise SystemExit(f"a run in which nobody is killed is at fault: {verdict} {whole.story}")
    points = whole.story.points
    done = {variant.name: _runs(share, variant, own, listen, points) for variant in share.variants}
    return {"points": {str(side): points[side] for side in Side}, "variants": done}


def _runs(share: Share, variant: Variant, own: Path, listen: str, points: dict[Side, int]) -> dict[str, Any]:
    """This worker's runs of one variant; a spoilt one is over for all workers when it is found out."""
    numbers: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    faults: list[Any] = []
    found = share.folder / f"found-{(PRODUCT, *SPOILT).index(variant)}"
    for number in range(share.number, share.runs if variant is PRODUCT else SPOILT_RUNS, share.workers):
        if variant is not PRODUCT and found.exists():
            break
        chosen = plan(share.seed, number, points)
        run = Run(chosen, own / "ground", own / "run", listen, variant)
        try:
            verdict = run.go()
        except Exception as error:
            raise RuntimeError(f"run {number} of {variant.name}, {chosen}") from error
        numbers["runs"] += 1
        with (share.folder / f"{TALLY}{share.number}").open("ab") as tally:
            tally.write(SOUND if verdict.sound or variant is not PRODUCT else AT_FAULT)
        numbers["kills"] += len(run.story.killed)
        numbers["power_cuts"] += run.story.cuts
        killed.update(run.story.killed)
        for word in WORDS:
            numbers[word] += len(getattr(verdict, word))
        numbers["caught"] += verdict.caught
        if verdict.caught:
            found.touch()
        if not verdict.sound:
            numbers["at_fault"] += 1
            told = {word: getattr(verdict, word)[:3] for word in WORDS if getattr(verdict, word)}
            faults.append({"number": number, "plan": str(chosen), **told})
    return {**numbers, "killed": dict(killed), "faults": faults}


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
        print(json.dumps(_quietly(lambda: main(Share.of(sys.argv[1:])))))
