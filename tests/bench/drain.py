"""Whether calls notice that a box empties a month's backlog: a real Kamailio with its agent and a real centre, telephones that
call at a steady rate, and the delay from INVITE to the first 180 or 200, with the agent idle and while it drains.

Each round measures both, one after the other, in turned order every second round; ratios are taken within a round. The agent
has the weight beside calls that a site's has (`kyusai-beside.slice`), as a nice value; the centre and the line stand on the same
machine, which they do not at a site, so they run with the least weight.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from agent.journal_events import Moment
from agent.spool_files import open_spool
from agent.watch import ask
from appliance.errors import KyusaiError
from tests.bench.figures import cell, delays, quantile, spread, table
from tests.bench.light_phone import LightPhone
from tests.bench.sync_backlog import DIFFERENT, again
from tests.bench.sync_records import made
from tests.lab.addresses import SIP_PORT
from tests.lab.lab import Lab, Parts
from tests.lab.site_document import REALM

ROUNDS, ROUNDS_QUICK = 11, 2
BACKLOG, BACKLOG_QUICK = 92_000, 60_000
"""Records put into the spool for each round: eleven rounds are a month of 1,000,000."""
CALLS, CALLS_QUICK = 300, 60
RATE = 15.0
"""Calls a second: a site of 20,000 telephones at its busiest hour has five."""
PAIRS = 4
WARM_CALLS = 20
"""Before anything is measured, so that every worker has read the snapshot."""
FILL = 2_000
AGENT_NICE, ELSEWHERE_NICE = 13, 19
"""A nice value of 13 is a weight of 56 beside Kamailio's 1,024: a slice of 50 beside one of 1,000."""
DRAINED_LIMIT_S = 900.0
LOOK_S = 0.25
IDLE, DRAINING = "idle", "draining"
ADDED_MEDIAN_MAX_MS, ADDED_P95_MAX_MS = 10.0, 50.0
"""What draining may add to a call, at the median of the rounds. Nobody hears it: by ITU-T E.721 a caller waits three seconds for
a local call, and a sound that is 50 ms late is not noticed."""


@dataclass(slots=True)
class Phase:
    """What was measured of one state. ring_ms: of each call; failed: calls without an answer; records: that left meanwhile."""

    ring_ms: list[float]
    failed: int
    records: int
    seconds: float


class Site:
    """A lab with telephones that only signal, and its spool."""

    def __init__(self, lab: Lab, phones: list[LightPhone]) -> None:
        self._lab = lab
        self._phones = phones
        self._filled = 0
        self._base = list(made("site", "box", DIFFERENT))

    async def waiting(self) -> int:
        """Records in the spool, -1 while the agent does not answer."""
        try:
            status = await asyncio.to_thread(ask, self._lab.box.layout.agent_socket)
        except (OSError, KyusaiError, ValueError):
            return -1
        return int(status["spool"]["waiting"])

    async def drained(self) -> None:
        """Wait until nothing is left. Raises TimeoutError."""
        async with asyncio.timeout(DRAINED_LIMIT_S):
            while await self.waiting() != 0:
                await asyncio.sleep(LOOK_S)

    async def fill(self, count: int) -> None:
        """Stop the agent, put a backlog into its spool, start it; gives it time to begin."""
        await self._lab.box.stop("agent")
        await asyncio.to_thread(self._append, count)
        await self.start_agent()
        async with asyncio.timeout(DRAINED_LIMIT_S):
            while not 0 < await self.waiting() < count:
                await asyncio.sleep(LOOK_S)

    async def start_agent(self) -> None:
        """With its weight beside calls."""
        await self._lab.box.start("agent")
        os.setpriority(os.PRIO_PROCESS, self._lab.box.agent.pid, AGENT_NICE)

    def _append(self, count: int) -> None:
        path: Path = self._lab.box.layout.spool
        opened = open_spool(path, Moment("bench", 1, 1))
        first_ms = int(time.time() * 1000) - 40 * 86_400_000
        for begin in range(0, count, FILL):
            numbers = range(begin, min(begin + FILL, count))
            opened.spool.append([again(self._base, first_ms, self._filled + n) for n in numbers])
        self._filled += count
        opened.close()

    async def calls(self, count: int, *, while_draining: bool) -> Phase:
        """Call at RATE; no more calls are begun once there is nothing left to drain."""
        before, began_s = await self.waiting(), time.monotonic()
        pairs = cycle(zip(self._phones[:PAIRS], self._phones[PAIRS:], strict=True))
        placed, left = [], asyncio.create_task(self._until_drained()) if while_draining else None
        loop = asyncio.get_running_loop()
        for number in range(count):
            if left is not None and left.done():
                break
            await asyncio.sleep(max(began_s + number / RATE - time.monotonic(), 0))
            caller, callee = next(pairs)
            placed.append(loop.create_task(caller.call(callee.ua.user)))
        done = await asyncio.gather(*placed)
        seconds, after = time.monotonic() - began_s, await self.waiting()
        if left is not None:
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
        rang = [one.ring_ms for one in done if one.connected and one.ring_ms is not None]
        return Phase(rang, len(done) - len(rang), max(before - after, 0), seconds)

    async def _until_drained(self) -> None:
        while await self.waiting() > 0:
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """Start one; its telephones are registered and its spool is empty."""
    parts = Parts(
        phones=2 * PAIRS,
        cloud_phones=0,
        cloud=False,
        gateway=False,
        carrier=False,
        centre=True,
        agent=True,
        register=False,
    )
    lab = Lab(parts, document={"upstreams": [], "call_control": "local"})
    lab.phones.clear()  # their numbers and passwords stay
    async with lab, AsyncExitStack() as stack:
        for process in (lab.centre.process, lab.link.process):
            os.setpriority(os.PRIO_PROCESS, process.pid, ELSEWHERE_NICE)
        os.setpriority(os.PRIO_PROCESS, lab.box.agent.pid, AGENT_NICE)
        a, phones = lab.addresses, []
        for index, (number, password) in enumerate(lab.passwords.items(), start=1):
            server = (a.box_lan, SIP_PORT)
            phone = LightPhone(number, a.phone(index), server, password=password, domain=REALM)
            phones.append(await stack.enter_async_context(phone))
            await phone.register()
        found = Site(lab, phones)
        await found.drained()
        await found.calls(WARM_CALLS, while_draining=False)
        yield found


def run(quick: bool = False) -> dict[str, Any]:
    """Delays and their ratios, by round and over all."""
    return asyncio.run(_measure(quick))


async def _measure(quick: bool) -> dict[str, Any]:
    backlog, calls = (BACKLOG_QUICK, CALLS_QUICK) if quick else (BACKLOG, CALLS)
    rounds: list[dict[str, Phase]] = []
    async with site() as found:
        count = ROUNDS_QUICK if quick else ROUNDS
        for number in range(count):
            taken: dict[str, Phase] = {}
            for state in (IDLE, DRAINING) if number % 2 == 0 else (DRAINING, IDLE):
                print(f"round {number + 1} of {count}: {state}", file=sys.stderr, flush=True)
                if state == DRAINING:
                    await found.fill(backlog)
                taken[state] = await found.calls(calls, while_draining=state == DRAINING)
                await found.drained()
            rounds.append(taken)
    return summed(rounds, backlog)


def summed(rounds: list[dict[str, Phase]], backlog: int) -> dict[str, Any]:
    """The figures of all rounds."""
    shares = {"median": 0.5, "p95": 0.95}
    ratios = {name: spread([_ratio(one, share) for one in rounds], 2) for name, share in shares.items()}
    added = {name: spread([_added_ms(one, share) for one in rounds], 2) for name, share in shares.items()}
    draining = [one[DRAINING] for one in rounds]
    return {
        "rounds": len(rounds),
        "backlog": backlog,
        "calls_per_s": RATE,
        "calls": {state: sum(len(one[state].ring_ms) for one in rounds) for state in (IDLE, DRAINING)},
        "failed": {state: sum(one[state].failed for one in rounds) for state in (IDLE, DRAINING)},
        "ring_ms": {
            state: {
                name: spread([quantile(one[state].ring_ms, share) for one in rounds], 2)
                for name, share in shares.items()
            }
            | {"all": delays([ms for one in rounds for ms in one[state].ring_ms])}
            for state in (IDLE, DRAINING)
        },
        "ratio": ratios,
        "added_ms": added,
        "records_per_s": spread([one.records / one.seconds for one in draining], 0),
        "held": added["median"]["median"] <= ADDED_MEDIAN_MAX_MS
        and added["p95"]["median"] <= ADDED_P95_MAX_MS,
    }


def _ratio(taken: dict[str, Phase], share: float) -> float:
    return quantile(taken[DRAINING].ring_ms, share) / quantile(taken[IDLE].ring_ms, share)


def _added_ms(taken: dict[str, Phase], share: float) -> float:
    return quantile(taken[DRAINING].ring_ms, share) - quantile(taken[IDLE].ring_ms, share)


def report(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    rows = [
        [state, figures["calls"][state], figures["failed"][state]]
        + [cell(figures["ring_ms"][state][name]) for name in ("median", "p95")]
        for state in (IDLE, DRAINING)
    ]
    ratio, added = figures["ratio"], figures["added_ms"]
    held = "held" if figures["held"] else "MISSED"
    return "\n".join(
        [
            f"INVITE to 180 or 200 in ms, {figures['calls_per_s']:g} calls a second, {figures['rounds']} rounds with"
            f" {figures['backlog']:,} records each: median (least-most) of the rounds",
            table(["agent", "calls", "failed", "median", "95th percentile"], rows),
            f"draining / idle: {cell(ratio['median'])} at the median, {cell(ratio['p95'])} at the 95th percentile",
            f"draining adds {cell(added['median'], 1)} ms at the median (limit {ADDED_MEDIAN_MAX_MS:g}),"
            f" {cell(added['p95'], 1)} ms at the 95th percentile (limit {ADDED_P95_MAX_MS:g}): {held}",
            f"records a second that left meanwhile: {cell(figures['records_per_s'], 0)}",
        ]
    )
