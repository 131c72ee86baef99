"""A line that comes and goes at random for minutes: how often does the link's state change, against what the hold-down promises,
and do calls get through all the while."""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

from agent.link import HOLD_BASE_S, HOLD_CAP_S, HoldDown
from tests.bench.edge_site import TARGETS, EdgeSite, edge_site
from tests.bench.figures import delays
from tests.bench.light_phone import Placed

FAILBACK = "RECOVERING>UP"
CALL_EVERY_S = 1.0

GOOD_SPELLS = (0.05, 0.2, 1.0, 3.0)
"""Lengths of good spells in first hold-downs: from a flicker to long enough for a failback; each drawn 0.5 to 1.5 times."""

BAD_SPELLS_S = (0.3, 4.0)


@dataclass(frozen=True)
class Plan:
    """span_s: how long. hold_s, hold_cap_s: the agent's hold-down."""

    span_s: float
    hold_s: float
    hold_cap_s: float


FULL = Plan(600.0, HOLD_BASE_S, HOLD_CAP_S)
"""With the product's own hold-down."""

QUICK = Plan(25.0, 1.0, 10.0)


async def flapping(plan: Plan) -> dict[str, Any]:
    """Counts of one run: cuts, state changes, failbacks against the promise, and the calls placed meanwhile."""
    chance = random.Random(1)
    async with edge_site("udp", plan.hold_s, plan.hold_cap_s) as site:
        before = await site.transitions()
        over = asyncio.Event()
        talking = asyncio.create_task(_talk(site, over))
        began_s = time.monotonic()
        cuts = 0
        try:
            while time.monotonic() < began_s + plan.span_s:
                await site.link.cut("drop")
                cuts += 1
                await asyncio.sleep(chance.uniform(*BAD_SPELLS_S))
                await site.link.restore()
                good_s = chance.choice(GOOD_SPELLS) * plan.hold_s * chance.uniform(0.5, 1.5)
                await asyncio.sleep(min(good_s, max(0.0, began_s + plan.span_s - time.monotonic())))
            lasted_s = time.monotonic() - began_s
        finally:
            over.set()
            calls = await talking
        after = await site.transitions()
    changes = {name: count - before.get(name, 0) for name, count in after.items()}
    promised = HoldDown(base_s=plan.hold_s, cap_s=plan.hold_cap_s).failbacks_promised(lasted_s)
    return {
        "seconds": round(lasted_s),
        "hold_s": plan.hold_s,
        "cuts": cuts,
        "state_changes": sum(changes.values()),
        "changes": {name: count for name, count in sorted(changes.items()) if count},
        "failbacks": changes.get(FAILBACK, 0),
        "failbacks_promised": promised,
        "calls": {
            "n": len(calls),
            "connected": sum(call.connected for call in calls),
            "ring_ms": delays([call.ring_ms for call in calls if call.ring_ms is not None]),
        },
    }


async def _talk(site: EdgeSite, over: asyncio.Event) -> list[Placed]:
    calls: list[Placed] = []
    while not over.is_set():
        calls.append(await site.call(TARGETS[len(calls) % len(TARGETS)]))
        await asyncio.sleep(CALL_EVERY_S)
    return calls
