"""What callers notice of an outage: cuts of every kind at random moments, the first call placed at once.

Each cut: a call while all is well, the cut, the first call at once, the moment at which Kamailio's table says DOWN, a call
in that state, the line back, UP again. Calls go in turn to a telephone of the site and to an outside number. The extra
post-dial delay is over the median of the calls while all was well, of the same target in the same run. Beside it, on
the same machine at the same time: a plain Kamailio with dispatcher probing (`probing`) and a flapping line (`flapping`).
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.bench import flapping, probing
from tests.bench.cuts import CUTS, Cut, undo
from tests.bench.edge_site import TARGETS, EdgeSite, edge_site
from tests.bench.figures import delays, table
from tests.bench.light_phone import Placed
from tests.lab import carrier
from tests.lab.processes import StateNotReached

CUTS_EACH, CUTS_EACH_QUICK = 50, 3
COMPARED = ("drop", "carrier_gone")
COMPARED_EACH, COMPARED_EACH_QUICK = 5, 1

LABS_AT_ONCE = 2
"""Of the box's labs: more would wait for one another on two cores and be measured so."""

HOLD_S = 1.0
"""Hold-down of the laboratory: a line that is cut fifty times in a row would otherwise be held for half an hour."""

UP_AGAIN_S = 30.0
DETECTION_GIVEN_UP_S = 20.0
WAIT_BEFORE_CUT_S = 1.0
"""A cut comes at a random moment of this span, five probes long."""

DOWN_MAX_MS = 50.0
"""Extra post-dial delay of a call once the state is DOWN; the other promises stand with each kind of cut."""


@dataclass(frozen=True)
class Trial:
    """One cut. detected_ms: from the cut to DOWN, ``None`` when that did not come."""

    target: str
    well: Placed
    first: Placed
    detected_ms: float | None
    down: Placed | None


def run(quick: bool = False) -> dict[str, Any]:
    """Per kind {n, connected, extra_ms, detected_ms, ...}, the comparison, and the flapping line."""
    return asyncio.run(_measure(quick))


def report(figures: dict[str, Any]) -> str:
    """The figures as tables."""
    lines = [
        f"Cuts at random moments, {figures['cuts_each']} of each kind; the first call is placed at once. "
        "Extra post-dial delay in ms: p50 / p95 / max",
        table(
            [
                "cut",
                "connected",
                "first call",
                "noticed after ms p50/max",
                "once DOWN: connected",
                "call",
                "held",
            ],
            [_row(name, one) for name, one in figures["kinds"].items()],
        ),
        "",
    ]
    lines += [f"{name}: {what}" for name, what in figures["skipped"].items()]
    lines += [
        "For comparison, a plain Kamailio with dispatcher probing (every 10 s, 3 failures, tm gives up after 5 s)",
        table(
            [
                "variant, cut",
                "first call connected",
                "first call",
                "calls well again after ms",
                "lost",
                "slow",
            ],
            [
                [
                    f"{variant}, {kind}",
                    f"{one['connected']} of {one['n']}",
                    _three(one["extra_ms"]),
                    _three(one["well_again_ms"]),
                    one["calls_lost"],
                    one["calls_slow"],
                ]
                for variant, kinds in figures["comparison"].items()
                for kind, one in kinds.items()
            ],
        ),
        "",
        _flapped(figures["flapping"]),
    ]
    return "\n".join(lines)


async def _measure(quick: bool) -> dict[str, Any]:
    began_s = time.monotonic()
    count = CUTS_EACH_QUICK if quick else CUTS_EACH
    compared = COMPARED_EACH_QUICK if quick else COMPARED_EACH
    able = carrier.can_take_away()
    cuts = [cut for cut in CUTS if able or cut.name != "carrier_gone"]
    turn = asyncio.Semaphore(LABS_AT_ONCE)

    async def in_turn(cut: Cut) -> dict[str, Any]:
        async with turn:
            return await _kind(cut, count)

    async def compare(variant: str) -> dict[str, dict[str, Any]]:
        return {
            cut.name: await probing.outages(variant, cut, compared)
            for cut in cuts
            if cut.name in COMPARED[: 1 if quick else None]
        }

    work: list[Coroutine[Any, Any, dict[str, Any]]] = [in_turn(cut) for cut in cuts]
    work += [compare(probing.PLAIN), compare(probing.WITH_FAILURE_ROUTE)]
    work.append(flapping.flapping(flapping.QUICK if quick else flapping.FULL))
    *kinds, plain, failure_route, flapped = await asyncio.gather(*work)
    return {
        "cuts_each": count,
        "seconds": round(time.monotonic() - began_s),
        "kinds": {cut.name: found for cut, found in zip(cuts, kinds, strict=True)},
        "skipped": {} if able else {"carrier_gone": "skipped: routes cannot be changed here (needs root)"},
        "comparison": {probing.PLAIN: plain, probing.WITH_FAILURE_ROUTE: failure_route},
        "flapping": flapped,
    }


async def _kind(cut: Cut, count: int) -> dict[str, Any]:
    chance = random.Random(cut.name)
    trials = []
    async with edge_site(cut.transport, HOLD_S, HOLD_S) as site:
        for target in TARGETS:
            await site.call(target)  # the first of its kind opens connections and files
        for number in range(count):
            target = TARGETS[number % len(TARGETS)]
            trials.append(await _trial(site, cut, target, chance))
    _tell(f"{cut.name}: {count} cuts done")
    return _summed(cut, trials)


async def _trial(site: EdgeSite, cut: Cut, target: str, chance: random.Random) -> Trial:
    well = await site.call(target)
    await asyncio.sleep(chance.uniform(0, WAIT_BEFORE_CUT_S))
    watch = asyncio.create_task(site.lab.box.wait_link_state("DOWN", timeout_s=DETECTION_GIVEN_UP_S))
    cut_s = await cut.do(site.link, site.cloud)
    first = await site.call(target)
    detected_ms: float | None = None
    down: Placed | None = None
    with suppress(StateNotReached):
        detected_ms = (await watch - cut_s) * 1000
        down = await site.call(target)
    await undo(site.link, site.cloud)
    await site.lab.box.wait_link_state("UP", timeout_s=UP_AGAIN_S)
    return Trial(target, well, first, detected_ms, down)


def _summed(cut: Cut, trials: Sequence[Trial]) -> dict[str, Any]:
    baseline_ms = {
        target: statistics.median(
            trial.well.ring_ms
            for trial in trials
            if trial.target == target and trial.well.connected and trial.well.ring_ms is not None
        )
        for target in {trial.target for trial in trials}
    }
    firsts = [_extra_ms(trial.first, baseline_ms[trial.target]) for trial in trials]
    downs = [_extra_ms(trial.down, baseline_ms[trial.target]) for trial in trials if trial.down]
    detected = [trial.detected_ms for trial in trials if trial.detected_ms is not None]
    quantiles = delays(detected)
    found = {
        "what": cut.what,
        "n": len(trials),
        "connected": sum(trial.first.connected for trial in trials),
        "extra_ms": delays([value for value in firsts if value is not None]),
        "detected": len(detected),
        "detected_ms": {"p50": quantiles["p50"], "max": quantiles["max"]},
        "down": {
            "n": sum(trial.down is not None for trial in trials),
            "connected": sum(trial.down.connected for trial in trials if trial.down),
            "extra_ms": delays([value for value in downs if value is not None]),
        },
        "baseline_ms": {target: round(value, 1) for target, value in baseline_ms.items()},
        "well_connected": sum(trial.well.connected for trial in trials),
    }
    found["held"] = _held(cut, found)
    return found


def _held(cut: Cut, found: dict[str, Any]) -> bool:
    """Whether the promises of the design hold for this kind."""
    extra, down = found["extra_ms"], found["down"]
    if found["connected"] < found["n"] or found["detected"] < found["n"] or down["connected"] < down["n"]:
        return False
    return bool(
        (cut.worst_ms is None or extra["max"] <= cut.worst_ms)
        and (cut.median_ms is None or extra["p50"] <= cut.median_ms)
        and down["extra_ms"]["max"] < DOWN_MAX_MS
        and found["detected_ms"]["max"] <= cut.noticed_s * 1000
    )


def _extra_ms(placed: Placed | None, baseline_ms: float) -> float | None:
    if placed is None or not placed.connected or placed.ring_ms is None:
        return None
    return placed.ring_ms - baseline_ms


def _row(name: str, one: dict[str, Any]) -> list[object]:
    down = one["down"]
    return [
        name,
        f"{one['connected']} of {one['n']}",
        _three(one["extra_ms"]),
        "{p50} / {max}".format(**one["detected_ms"]),
        f"{down['connected']} of {down['n']}",
        _three(down["extra_ms"]),
        "yes" if one["held"] else "NO",
    ]


def _three(found: dict[str, Any]) -> str:
    return " / ".join("-" if found[key] is None else str(found[key]) for key in ("p50", "p95", "max"))


def _flapped(found: dict[str, Any]) -> str:
    calls = found["calls"]
    held = "held" if found["failbacks"] <= found["failbacks_promised"] else "BROKEN"
    return (
        f"A line that flaps for {found['seconds']} s ({found['cuts']} cuts, first hold-down {found['hold_s']:g} s): "
        f"{found['state_changes']} state changes, {found['failbacks']} failbacks, at most "
        f"{found['failbacks_promised']} promised: {held}; "
        f"calls meanwhile: {calls['connected']} of {calls['n']} connected, ring ms {_three(calls['ring_ms'])}"
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
