"""What a registration and a call cost: the box's Kamailio against a native kamailio.cfg that does the same.

CPU time of all processes of the server, for a stated number of registrations with digest and of calls with digest, ring,
answer and hang-up. The load is a closed loop on the same machine, so time is CPU time, never wall time. Each round
measures every server one after the other, in turned order every second round; ratios are taken within a round.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.bench import native_server, sipp
from tests.bench.box_server import BoxServer
from tests.bench.figures import cell, spread, table
from tests.bench.native_server import SHARED_MEMORY_MB, NativeServer
from tests.bench.sipp import CALLEE_PORT, CALLER_PORT, Load
from tests.bench.users import REALM, User, document, injection_file
from tests.lab.addresses import Addresses, claim

ROUNDS, ROUNDS_QUICK = 11, 3
PHONES = 2_000
"""All of them register."""

CALLEES = 8
"""They are called one after the other, all the others call: sipp signs every request of a run for the same address."""

REGISTRATIONS, REGISTRATIONS_QUICK = 8_000, 2_000
CALLS, CALLS_QUICK = 2_000, 500
REGISTRATIONS_AT_ONCE, CALLS_AT_ONCE = 50, 30
"""Below what makes either server drop anything, so that both do the same work."""

MISSED_MAX = 0.01
"""Share of failed calls up to which a cost still counts: with two workers a 180 may overtake a 200 and then sipp gives the
call up, after the server has done its work."""

SETTLE_S, IDLE_S = 1.0, 2.0
"""Pause before each measurement, so that what the last one left to be written is written; length of the look at an idle
server."""

OURS, SAME, BARE = "box", "native, same work", "native, bare"
YARDSTICK = SAME
"""It does the same look-ups and writes the same journal (`native/same.cfg`). The other one passes registrations and calls with
the least that does it (`native/bare.cfg`): what all that a site's box does costs at all."""

TARGETS = {"register": 1.5, "call": 1.25}

Server = BoxServer | NativeServer
Costs = dict[str, float]
"""CPU seconds: register and call per 1,000, idle per second."""


class Failed(RuntimeError):
    """A server did not do all of the work, so that its cost means nothing."""


def run(quick: bool = False) -> dict[str, Any]:
    """CPU seconds per 1,000 registrations and per 1,000 calls of each server, and the ratios to the yardsticks."""
    return asyncio.run(_measure(quick))


def report(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    rows = [
        [name, *(cell(figures["cpu_s"][name][what], 4) for what in ("register", "call", "idle"))]
        for name in (OURS, SAME, BARE)
    ]
    lines = [
        f"CPU seconds, median (least-most) of {figures['rounds']} rounds; a round is {figures['registrations']:,}"
        f" registrations and {figures['calls']:,} calls",
        table(["server", "1,000 registrations", "1,000 calls", "idle, each second"], rows),
        "",
    ]
    for what, target in TARGETS.items():
        ratio, other = figures[f"{what}_ratio"], figures[f"{what}_ratio_bare"]
        held = "held" if ratio["median"] <= target else "MISSED"
        lines.append(
            f"{what}: {cell(ratio)} times the yardstick (at most {target}: {held}); "
            f"{cell(other)} times the bare one"
        )
    return "\n".join(lines)


async def _measure(quick: bool) -> dict[str, Any]:
    rounds = ROUNDS_QUICK if quick else ROUNDS
    registrations = REGISTRATIONS_QUICK if quick else REGISTRATIONS
    calls = CALLS_QUICK if quick else CALLS
    held = claim()
    try:
        bench = Bench(held.addresses, held.folder, registrations, calls)
        taken = await bench.rounds(rounds)
    finally:
        held.release()
    return {
        "rounds": rounds,
        "registrations": registrations,
        "calls": calls,
        "missed": bench.missed,
        **{
            f"{what}_ratio{suffix}": spread([one[OURS][what] / one[against][what] for one in taken])
            for what in ("register", "call")
            for suffix, against in (("", YARDSTICK), ("_bare", BARE))
        },
        "cpu_s": {
            name: {
                what: spread([one[name][what] for one in taken], 4) for what in ("register", "call", "idle")
            }
            for name in (OURS, SAME, BARE)
        },
    }


class Bench:
    """The servers, side by side on addresses of their own, and the load."""

    def __init__(self, addresses: Addresses, folder: Path, registrations: int, calls: int) -> None:
        """Writes everything; nothing runs yet."""
        self._registrations, self._calls = registrations, calls
        self.missed = dict.fromkeys((OURS, SAME, BARE), 0)
        """Registrations and calls that the load generator gave up."""
        self._load = addresses.phone(1)
        callees = addresses.phone(2)
        called = [_user(index, f"{callees}:{CALLEE_PORT}") for index in range(CALLEES)]
        callers = [_user(index, f"{self._load}:{CALLER_PORT}") for index in range(CALLEES, PHONES)]
        users = [*called, *callers]
        self._everybody = injection_file(folder / "everybody.csv", users)
        self._callers = {
            user.number: injection_file(folder / f"callers-{user.number}.csv", callers, user.number)
            for user in called
        }
        self._answerer = sipp.answerer(callees, folder)
        site = document(addresses, users)
        gateway, lan = addresses.host(40), f"{addresses.network}.0/24"
        self._servers: dict[str, Server] = {
            OURS: BoxServer(
                folder / "box", folder, addresses.host(10), site, shared_memory_mb=SHARED_MEMORY_MB
            ),
            SAME: NativeServer(
                folder / "same",
                folder,
                addresses.host(11),
                users,
                native_server.SAME,
                gateway=gateway,
                lan=lan,
            ),
            BARE: NativeServer(
                folder / "bare",
                folder,
                addresses.host(12),
                users,
                native_server.BARE,
                gateway=gateway,
                lan=lan,
            ),
        }

    async def rounds(self, count: int) -> list[dict[str, Costs]]:
        """Costs of every server in each round. Raises ``Failed``."""
        async with AsyncExitStack() as stack:
            for part in (self._answerer, *self._servers.values()):
                await part.start()
                stack.push_async_callback(part.stop)
            for name in self._servers:  # warm up: every telephone registers for the first time
                await self._register(name, PHONES)
                await self._call(name, PHONES // CALLEES)
            return [await self._round(number) for number in range(count)]

    async def _round(self, number: int) -> dict[str, Costs]:
        names = list(self._servers) if number % 2 == 0 else list(self._servers)[::-1]
        return {name: await self._costs(name) for name in names}

    async def _costs(self, name: str) -> Costs:
        await asyncio.sleep(SETTLE_S)
        pids = sipp.family(self._servers[name].pid)
        before_s, began_s = sipp.cpu_s(pids), time.monotonic()
        await asyncio.sleep(IDLE_S)
        idle = (sipp.cpu_s(pids) - before_s) / (time.monotonic() - began_s)
        register = await self._register(name, self._registrations)
        await asyncio.sleep(SETTLE_S)
        call = await self._call(name, self._calls)
        return {"register": register, "call": call, "idle": idle}

    async def _register(self, name: str, count: int) -> float:
        """CPU seconds of the server per 1,000 registrations."""
        load = await self._run("register", name, self._everybody, count, REGISTRATIONS_AT_ONCE)
        return self._cost(name, [load])

    async def _call(self, name: str, count: int) -> float:
        """CPU seconds of the server per 1,000 calls, to one callee after the other."""
        loads = []
        for number, callers in self._callers.items():
            signed_for = ["-auth_uri", f"{number}@{REALM}"]
            loads.append(await self._run("call", name, callers, count // CALLEES, CALLS_AT_ONCE, signed_for))
        return self._cost(name, loads)

    async def _run(
        self, scenario: str, name: str, users: Path, count: int, at_once: int, options: Sequence[str] = ()
    ) -> Load:
        server = self._servers[name]
        return await sipp.run(
            scenario, server.listen, self._load, users, count, at_once, server.pid, options=options
        )

    def _cost(self, name: str, loads: list[Load]) -> float:
        asked = sum(load.asked for load in loads)
        missed = asked - sum(load.succeeded for load in loads)
        if missed > MISSED_MAX * asked:
            log = self._servers[name].kamailio.process.log_tail()
            raise Failed(f"{name}: {missed} of {asked} failed\n{log}")
        self.missed[name] += missed
        return sum(load.cpu_s for load in loads) / asked * 1000


def _user(index: int, contact: str) -> User:
    return User(f"2{index:05d}", secrets.token_hex(8), contact)
