"""What one routing decision costs, with the real route snapshot, from 100 to 20,000 extensions.

CPU time of `decide` over a `SnapshotView`; Kamailio's own look-ups (link state, counters) are constants here. Two states:
"fresh", a worker that has just opened the snapshot and meets each extension for the first time, and "kept", the same calls
again. Sizes are interleaved within each round, their order turned round every other one; ratios are taken within a round.
"""

import gc
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance import site, snapshot
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from appliance.kamailio.snapshot_view import SnapshotView
from appliance.kamailio.view import Group
from appliance.model import LinkState

SIZES = (100, 1_000, 5_000, 20_000)
ROUNDS = 21
ROUNDS_QUICK = 3
MEMBERS = 10
"""Members of each hunt group; there is one group for as many extensions."""
CALLS = 50
"""Calls of one batch: with caller and callee, all extensions of the smallest site, each seen once."""
FLAT_MAX = 1.5
"""A decision counts as flat when 200 times the extensions cost at most this much more, at the median: pages of a larger index."""
GROUP_CALLS = SIZES[0] // MEMBERS
SAMPLE = Path(__file__).parents[1] / "data" / "site.json"

State = dict[str, float]


class Quiet:
    """Kamailio's half of the view: nothing is going on, the link is in one state."""

    def __init__(self, state: LinkState) -> None:
        self._state = state

    def link(self, upstream_id: str) -> LinkState:
        return self._state

    def life_ms(self, upstream_id: str) -> int:
        return 0

    def registered(self, number: str) -> bool:
        return True

    def calls_on(self, gateway_id: str) -> int:
        return 0

    def outside_calls_of(self, extension: str) -> int:
        return 0

    def outside_calls(self) -> int:
        return 0


def run(quick: bool = False) -> dict[str, Any]:
    """CPU microseconds of a decision by kind of call, state and size, with median, least and most over the rounds."""
    rounds = ROUNDS_QUICK if quick else ROUNDS
    with tempfile.TemporaryDirectory(prefix="kyusai-bench-") as folder:
        paths = {size: _written(Path(folder), size) for size in SIZES}
        taken = [_round(paths, number) for number in range(rounds)]
    ratios = {
        kind: {
            state: _spread(one[SIZES[-1], kind, state] / one[SIZES[0], kind, state] for one in taken)
            for state in ("fresh", "kept")
        }
        for kind in KINDS
    }
    return {
        "rounds": rounds,
        "flat": all(found["median"] <= FLAT_MAX for states in ratios.values() for found in states.values()),
        "decision_us": {
            kind: {
                state: {str(size): _spread(one[size, kind, state] for one in taken) for size in SIZES}
                for state in ("fresh", "kept")
            }
            for kind in KINDS
        },
        "largest_to_smallest": ratios,
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    head = (
        f"{'call':<24}{'worker':<8}" + "".join(f"{size:>22,}" for size in SIZES) + f"{'largest/smallest':>20}"
    )
    lines = [
        f"CPU per decision in us, median (least-most) of {figures['rounds']} rounds, by number of extensions",
        head,
    ]
    for kind, states in figures["decision_us"].items():
        for state, sizes in states.items():
            cells = "".join(f"{_cell(sizes[str(size)], 1):>22}" for size in SIZES)
            ratio = _cell(figures["largest_to_smallest"][kind][state], 2)
            lines.append(f"{kind:<24}{state:<8}{cells}{ratio:>20}")
    held = "held" if figures["flat"] else "MISSED"
    lines.append(f"flat: the largest site costs at most {FLAT_MAX} times the smallest: {held}")
    return "\n".join(lines)


def _extension(callers: list[str], callees: list[str]) -> list[str]:
    return callees


def _mobile(callers: list[str], callees: list[str]) -> list[str]:
    return [f"0090{index:08d}" for index in range(11_111_111, 11_111_111 + len(callers))]


def _emergency(callers: list[str], callees: list[str]) -> list[str]:
    return ["119"] * len(callers)


def _nobody(callers: list[str], callees: list[str]) -> list[str]:
    return [f"9{number[1:]}" for number in callees]


KINDS: dict[str, tuple[Callable[[list[str], list[str]], list[str]], LinkState]] = {
    "extension, link up": (_extension, LinkState.UP),
    "extension, link down": (_extension, LinkState.DOWN),
    "group of 10, link down": (_extension, LinkState.DOWN),
    "mobile, link down": (_mobile, LinkState.DOWN),
    "emergency": (_emergency, LinkState.DOWN),
    "nobody's number": (_nobody, LinkState.DOWN),
}


def _round(paths: dict[int, Path], number: int) -> dict[tuple[int, str, str], float]:
    order = SIZES if number % 2 == 0 else SIZES[::-1]
    chance = random.Random(number)
    taken = {}
    for kind in KINDS:
        for size in order:
            fresh_us, kept_us = _batch(paths[size], size, kind, chance)
            taken[size, kind, "fresh"], taken[size, kind, "kept"] = fresh_us, kept_us
    return taken


def _batch(path: Path, size: int, kind: str, chance: random.Random) -> tuple[float, float]:
    dial, state = KINDS[kind]
    if kind.startswith("group"):
        callees = [_group_number(index) for index in chance.sample(range(size // MEMBERS), GROUP_CALLS)]
        callers = [_number(0)] * GROUP_CALLS
    else:
        drawn = [_number(index) for index in chance.sample(range(size), 2 * CALLS)]
        callers, callees = drawn[:CALLS], drawn[CALLS:]
    dialled = dial(callers, callees)
    calls = [CallFacts(Origin.PHONE, caller, to, caller) for caller, to in zip(callers, dialled, strict=True)]
    view = SnapshotView(path, Quiet(state))
    try:
        view.refresh()
        return _per_call_us(calls, view), _per_call_us(calls, view)
    finally:
        view.close()


def _per_call_us(calls: list[CallFacts], view: SnapshotView) -> float:
    gc.collect()
    began_ns = time.thread_time_ns()
    for facts in calls:
        decide(facts, view)
    return (time.thread_time_ns() - began_ns) / len(calls) / 1_000


def _written(folder: Path, size: int) -> Path:
    """The sample site's snapshot with `size` extensions, each with a public number, and a group for every ten."""
    sample = site.loads(SAMPLE.read_bytes())
    model = replace(
        sample.extensions[0], forward_always="", forward_busy="", forward_no_answer="", do_not_disturb=False
    )
    extensions = tuple(
        replace(model, number=_number(index), public_number=f"+8150{index:08d}") for index in range(size)
    )
    groups = tuple(
        Group(
            _group_number(index),
            "",
            "all",
            tuple(map(_number, range(index * MEMBERS, (index + 1) * MEMBERS))),
        )
        for index in range(size // MEMBERS)
    )
    path = folder / f"{size}.sqlite"
    big = replace(sample, extensions=extensions, groups=groups, group_public_numbers=("",) * len(groups))
    snapshot.write(big, path)
    return path


def _number(index: int) -> str:
    return f"2{index:05d}"


def _group_number(index: int) -> str:
    return f"6{index:05d}"


def _spread(values: Iterable[float]) -> State:
    found = sorted(values)
    return {
        "median": round(statistics.median(found), 3),
        "least": round(found[0], 3),
        "most": round(found[-1], 3),
    }


def _cell(spread: State, digits: int) -> str:
    return f"{spread['median']:.{digits}f} ({spread['least']:.{digits}f}-{spread['most']:.{digits}f})"


def main() -> None:
    """Measure and print the table."""
    print(report(run()))


if __name__ == "__main__":
    main()
