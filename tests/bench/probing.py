"""What the box is compared with: a plain Kamailio at the site's edge with dispatcher probing, through the same cuts."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.cuts import Cut, undo
from tests.bench.edge_site import OUTSIDE_NUMBER, outside
from tests.bench.figures import delays
from tests.bench.light_phone import LightPhone
from tests.bench.sipp import SCENARIOS
from tests.lab.addresses import SIP_PORT, Addresses, claim
from tests.lab.cloud import Cloud
from tests.lab.kamailio import Kamailio
from tests.lab.link import Link
from tests.lab.processes import wait_until

PLAIN, WITH_FAILURE_ROUTE = "probing", "probing_failure_route"

CALL_LIMIT_S = 8.0
FAST_MS = 500.0
"""A call that rings within this is as it should be; the first of them ends a cut's measurement."""

GIVEN_UP_S = 60.0
PAUSE_S = 0.25
"""Between two calls after the first."""


@dataclass(frozen=True)
class Outage:
    """One cut. first_ms: extra post-dial delay of the first call, ``None`` when it failed. well_ms: after the cut, when the
    first call was placed that rang fast; ``None`` for not within ``GIVEN_UP_S``. lost, slow: calls until then."""

    first_ms: float | None
    well_ms: float | None
    lost: int
    slow: int


async def outages(variant: str, cut: Cut, count: int) -> dict[str, Any]:
    """``count`` cuts of one kind against one variant, summed up."""
    chance = random.Random(f"{variant} {cut.name}")
    async with _edge(variant) as (link, cloud, caller):
        baseline_ms = await _well(caller)
        taken = []
        for _ in range(count):
            await asyncio.sleep(chance.uniform(0, 2))
            taken.append(await _outage(cut, link, cloud, caller, baseline_ms))
            await undo(link, cloud)
            await wait_until(lambda: _through_cloud(cloud, caller), "calls go by the cloud again", GIVEN_UP_S)
    firsts = [one.first_ms for one in taken if one.first_ms is not None]
    wells = [one.well_ms for one in taken if one.well_ms is not None]
    return {
        "n": count,
        "connected": len(firsts),
        "extra_ms": delays(firsts),
        "well_again_ms": delays(wells),
        "calls_lost": sum(one.lost for one in taken),
        "calls_slow": sum(one.slow for one in taken),
    }


async def _outage(cut: Cut, link: Link, cloud: Cloud, caller: LightPhone, baseline_ms: float) -> Outage:
    cut_s = await cut.do(link, cloud)
    first = await caller.call(OUTSIDE_NUMBER, CALL_LIMIT_S)
    first_ms = first.ring_ms - baseline_ms if first.connected and first.ring_ms is not None else None
    lost = slow = 0
    while time.monotonic() < cut_s + GIVEN_UP_S:
        placed_ms = (time.monotonic() - cut_s) * 1000
        placed = await caller.call(OUTSIDE_NUMBER, CALL_LIMIT_S)
        if placed.connected and placed.ring_ms is not None and placed.ring_ms < FAST_MS:
            return Outage(first_ms, placed_ms, lost, slow)
        lost += not placed.connected
        slow += placed.connected
        await asyncio.sleep(PAUSE_S)
    return Outage(first_ms, None, lost, slow)


async def _well(caller: LightPhone) -> float:
    for _ in range(20):
        placed = await caller.call(OUTSIDE_NUMBER, CALL_LIMIT_S)
        if placed.connected and placed.ring_ms is not None:
            return placed.ring_ms
        await asyncio.sleep(PAUSE_S)
    raise RuntimeError(f"the comparison's Kamailio connects no call: {placed}")


async def _through_cloud(cloud: Cloud, caller: LightPhone) -> bool:
    before = await cloud.requests("INVITE")
    await caller.call(OUTSIDE_NUMBER, CALL_LIMIT_S)
    if await cloud.requests("INVITE") > before:
        return True
    await asyncio.sleep(PAUSE_S)
    return False


@asynccontextmanager
async def _edge(variant: str) -> AsyncIterator[tuple[Link, Cloud, LightPhone]]:
    held = claim()
    try:
        a, folder = held.addresses, held.folder
        link, cloud = Link(a, folder), Cloud(a, folder)
        edge = Kamailio("edge", _written(a, folder, variant), folder, folder / "rpc.sock")
        await asyncio.gather(link.start(), cloud.start())
        await edge.start()
        async with (
            outside(a, a.gateway),
            outside(a, a.carrier),
            LightPhone("201", a.phone(1), (a.box_lan, SIP_PORT), domain=a.box_lan) as caller,
        ):
            yield link, cloud, caller
        await asyncio.gather(edge.stop(), cloud.stop(), link.stop())
    finally:
        held.release()


def _written(a: Addresses, folder: Path, variant: str) -> list[str | Path]:
    text = (SCENARIOS / "dispatcher.cfg").read_text()
    for name, value in (
        ("WAN_SEEN", a.box_seen_by_cloud),
        ("LAN:", f"{a.box_lan}:"),
        ("WAN:", f"{a.box_wan}:"),
        ("FOLDER", str(folder)),
    ):
        text = text.replace(name, value)
    if variant == WITH_FAILURE_ROUTE:
        text = text.replace("#!KAMAILIO", "#!KAMAILIO\n#!define WITH_FAILURE_ROUTE", 1)
    (folder / "edge.cfg").write_text(text)
    (folder / "dispatcher.list").write_text(
        f"1 sip:{a.cloud_seen_by_box}:{SIP_PORT} 0 10 socket=udp:{a.box_wan}:{SIP_PORT}\n"
        f"1 sip:{a.gateway}:{SIP_PORT} 0 5 socket=udp:{a.box_lan}:{SIP_PORT}\n"
    )
    return ["kamailio", "-DD", "-E", "-f", folder / "edge.cfg", "-m", "64", "-Y", folder]
