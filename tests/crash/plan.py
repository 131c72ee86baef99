"""CORE. From a seed to what happens in a run: who is killed, where, and whether the power goes with it."""

import random
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Side(StrEnum):
    """Who dies."""

    BOX = "box"
    CENTRE = "centre"


class Moment(IntEnum):
    """When, at a point: before the system call, halfway through its bytes, or after it. `shim.c` has the same numbers."""

    BEFORE = 0
    DURING = 1
    AFTER = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """A process dies at its `point`-th write, sync, change of a name, send or receive."""

    point: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. faults: for one life of `side` after the other. power: with each death the unsynced is lost as well.
    together: the other side dies in the same moment."""

    seed: int
    side: Side
    faults: tuple[Fault, ...]
    power: bool
    together: bool


AGAIN = 0.3
"""Share of runs in which the process is killed once more while it recovers."""
POWER = 0.75
"""Share of runs in which the power goes; in the others the process alone."""
TOGETHER = 0.2


def plan(seed: int, number: int, points: dict[Side, int]) -> Plan:
    """The plan of run `number`. points: how many points a life of each side has when nobody is killed.

    Sides alternate, and the runs of a side go through its points in golden-ratio steps: any stretch of runs is spread
    evenly over all of them, and enough runs reach every one.
    """
    chance = random.Random(f"{seed}/{number}")
    side = (Side.BOX, Side.CENTRE)[number % 2]
    first = 1 + int(((number // 2) * 0.6180339887498949 + random.Random(seed).random()) % 1 * points[side])
    faults = [Fault(first, chance.choice(tuple(Moment)))]
    while chance.random() < AGAIN:
        faults.append(Fault(chance.randint(1, max(points[side] // 2, 1)), chance.choice(tuple(Moment))))
    return Plan(seed, side, tuple(faults), chance.random() < POWER, chance.random() < TOGETHER)
