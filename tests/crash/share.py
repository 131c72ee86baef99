"""A worker's share of a campaign: its numbers, its figures, and what it notes of each run for whoever watches.

The parent (`campaign.py`) starts the workers with these words on their command line and reads their JSON; `worker.py` and
`postgres_worker.py` make the runs.
"""

import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.progress import AT_FAULT, SOUND, SPOILT, TALLY
from tests.crash.verdict import Verdict

WORDS = ("lost", "doubled", "corrupt", "stuck")
SPOILT_RUNS = 60
"""Runs of each spoilt variant at most: it is found out by the first in which something is lost, doubled or corrupt, and no more
are made. One that is merely stuck shows nothing."""
FAULTS_TOLD = 3
"""Of each kind in one run."""
_leaving: list[bool] = []
"""Not empty when this worker is to end. An exception out of the signal's handler would be lost where Python calls what is to be
done after a fork."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run. killed: by side and kind of moment. plan: what repeats it."""

    verdict: Verdict
    killed: Sequence[str]
    plan: str
    power_cuts: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """What this worker does. folder: of all workers; number, workers: which of how many; runs: of the product, in all.
    variants: names, the product's first."""

    folder: Path
    number: int
    workers: int
    runs: int
    seed: int
    variants: tuple[str, ...]

    @classmethod
    def of(cls, arguments: list[str]) -> "Share":
        """From the command line: folder, number, workers, runs, seed, names of the variants."""
        number, workers, runs, seed = map(int, arguments[1:5])
        return cls(Path(arguments[0]), number, workers, runs, seed, tuple(arguments[5:]))

    def words(self) -> list[str]:
        """The command line that `of` reads."""
        numbers = (self.number, self.workers, self.runs, self.seed)
        return [str(self.folder), *map(str, numbers), *self.variants]

    def go(self, variant: str, once: Callable[[int], Outcome]) -> dict[str, Any]:
        """The figures of this worker's runs of one variant; a spoilt one is over for all workers when it is found out."""
        place = self.variants.index(variant)
        found = self.folder / f"found-{place}"
        numbers: Counter[str] = Counter()
        killed: Counter[str] = Counter()
        faults: list[Any] = []
        for number in range(self.number, SPOILT_RUNS if place else self.runs, self.workers):
            if place and found.exists():
                break
            if _leaving:
                raise KeyboardInterrupt
            try:
                outcome = once(number)
            except Exception as error:
                raise RuntimeError(f"run {number} of {variant}, seed {self.seed}") from error
            verdict = outcome.verdict
            self._note(SPOILT if place else SOUND if verdict.sound else AT_FAULT)
            told = {word: getattr(verdict, word) for word in WORDS if getattr(verdict, word)}
            numbers.update({word: len(faults_of) for word, faults_of in told.items()})
            numbers.update(runs=1, kills=len(outcome.killed), power_cuts=outcome.power_cuts)
            numbers.update(caught=verdict.caught, at_fault=not verdict.sound)
            killed.update(outcome.killed)
            if verdict.caught:
                found.touch()
            if told:
                shown = {word: faults_of[:FAULTS_TOLD] for word, faults_of in told.items()}
                faults.append({"number": number, "plan": outcome.plan, **shown})
        return {**numbers, "killed": dict(killed), "faults": faults}

    def _note(self, what: bytes) -> None:
        with (self.folder / f"{TALLY}{self.number}").open("ab") as tally:
            tally.write(what)


def work(main: Callable[[Share], dict[str, Any]]) -> None:
    """A worker's process: prints what `main` gives. What the processes under test log goes nowhere; what this one dies of goes to
    standard error. SIGTERM ends it after the run in hand, with all that it started and made."""
    signal.signal(signal.SIGTERM, lambda *_: _leaving.append(True))
    loud = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            found = main(Share.of(sys.argv[1:]))
        except BaseException:
            os.dup2(loud, 2)
            raise
        print(json.dumps(found))
