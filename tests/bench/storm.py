"""A whole site's telephones come back in the same second, after a power cut.

Each telephone has an address of its own and registers with digest over UDP; all begin as fast as the load generator can,
which is well within a second. A few others register
at the same moment and call each other all the while. Twice in each round: against a box that knows nobody yet, and
against the same box after SIGKILL and a new start, with the bindings that it had written. The box's Kamailio runs with
the product's own number of workers and memory; what it costs to hold the registrations is read from Kamailio.
"""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import sipp
from tests.bench.box_server import BoxServer
from tests.bench.figures import cell, delays, spread, table
from tests.bench.light_phone import LightPhone, Placed
from tests.bench.sipp import Load
from tests.bench.users import REALM, User, document, injection_file
from tests.lab.addresses import SIP_PORT, Addresses, claim
from tests.lab.processes import wait_until

PHONES = 5_000
CALLERS = 10
"""Telephones that call one another in pairs while the others return."""

ROUNDS, ROUNDS_QUICK = 5, 1
CHILDREN, SHARED_MEMORY_MB = 4, 256
"""The product's defaults (appliance/box_model.py)."""

CALL_EVERY_S = 0.1
"""Pause of each caller between two calls."""

WARM_UP = 20
"""Registrations of each caller before memory is read the first time: a worker opens what it needs with its first request."""

CALL_AFTERWARDS_S = 1.0
SETTLED_S = 12.0
"""Windows of ten seconds have closed and bindings are on the disk."""

WITHIN_S = 10.0
STORM_NETWORKS_BEGIN = 100
"""Added to a lab's second byte, for networks that no lab uses: 127.180.0.0/16 to 127.199.0.0/16."""

EMPTY, PERSISTED = "empty", "persisted"


@dataclass
class Storm:
    """What one storm came to."""

    load: Load
    early_s: float
    """Until the last of the callers was registered."""
    calls: list[Placed] = field(default_factory=list)


def run(quick: bool = False) -> dict[str, Any]:
    """How long until every telephone is registered, who was refused, what became of calls, what memory it takes."""
    return asyncio.run(_measure(ROUNDS_QUICK if quick else ROUNDS))


def report(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    rows = []
    for name in (EMPTY, PERSISTED):
        one = figures[name]
        rows.append(
            [
                name,
                cell(one["registered_s"]),
                one["registered"],
                one["refused"],
                one["retransmitted"],
                f"{one['calls']['connected']} of {one['calls']['n']}",
                "{p50} / {p95} / {max}".format(**one["calls"]["ring_ms"]),
            ]
        )
    head = ["box", "all registered, s", "registered", "refused", "repeated", "calls", "ring ms p50/p95/max"]
    held = all(figures[name]["ok"] for name in (EMPTY, PERSISTED))
    return "\n".join(
        [
            f"{figures['phones']:,} telephones return at once, {figures['rounds']} rounds; "
            "median (least-most); other figures are totals",
            table(head, rows),
            "",
            f"start with {figures['phones']:,} saved bindings until it answers: {cell(figures['start_s'])} s;"
            f" bindings lost by the power cut: {figures['bindings_lost']}",
            f"memory per 1,000 registrations: {cell(figures['shared_kb_per_1000'], 0)} KiB shared,"
            f" {cell(figures['pss_kb_per_1000'], 0)} KiB over all (PSS)",
            f"all registered within {WITHIN_S:g} s, none refused, every call connected: {'held' if held else 'MISSED'}",
        ]
    )


async def _measure(rounds: int) -> dict[str, Any]:
    taken = [await _round() for _ in range(rounds)]
    return {
        "phones": PHONES,
        "rounds": rounds,
        **{name: _summed([one.storms[name] for one in taken]) for name in (EMPTY, PERSISTED)},
        "start_s": spread([one.start_s for one in taken]),
        "bindings_lost": sum(one.bindings_lost for one in taken),
        "shared_kb_per_1000": spread([one.shared_kb / PHONES * 1000 for one in taken], 1),
        "pss_kb_per_1000": spread([one.pss_kb / PHONES * 1000 for one in taken], 1),
    }


def _summed(storms: Sequence[Storm]) -> dict[str, Any]:
    calls = [call for storm in storms for call in storm.calls]
    registered_s = [storm.load.seconds for storm in storms]
    refused = sum(storm.load.failed for storm in storms)
    registered = sum(storm.load.succeeded for storm in storms)
    connected = sum(call.connected for call in calls)
    return {
        "registered_s": spread(registered_s),
        "registered": registered,
        "refused": refused,
        "retransmitted": sum(storm.load.retransmitted for storm in storms),
        "callers_registered_s": spread([storm.early_s for storm in storms]),
        "calls": {
            "n": len(calls),
            "connected": connected,
            "ring_ms": delays([call.ring_ms for call in calls if call.ring_ms is not None]),
        },
        "ok": max(registered_s) <= WITHIN_S
        and registered == PHONES * len(storms)
        and refused == 0
        and connected == len(calls) > 0,
    }


@dataclass
class Round:
    """One round: an empty box, its memory, the power cut, the same box again."""

    storms: dict[str, Storm]
    start_s: float
    bindings_lost: int
    shared_kb: float
    pss_kb: float


async def _round() -> Round:
    held = claim()
    try:
        a, folder = held.addresses, held.folder
        returning = _returning(a)
        callers = [
            User(f"3{index:04d}", secrets.token_hex(8), f"{a.phone(index + 1)}:{SIP_PORT}")
            for index in range(CALLERS)
        ]
        networks = [f"{_storm_network(a)}.0.0/16"]
        server = BoxServer(
            folder / "box",
            folder,
            a.box_lan,
            document(a, [*callers, *returning], networks),
            children=CHILDREN,
            shared_memory_mb=SHARED_MEMORY_MB,
        )
        everybody = injection_file(folder / "everybody.csv", returning)
        await server.start()
        async with _phones(server, callers) as phones:
            for _ in range(WARM_UP):
                await asyncio.gather(*(phone.register() for phone in phones))
        shared_kb, pss_kb = await _memory_kb(server)
        empty = await _storm(server, a, callers, everybody)
        await asyncio.sleep(SETTLED_S)
        shared_after_kb, pss_after_kb = await _memory_kb(server)
        await server.kill()
        lost = PHONES + CALLERS - _saved(server.layout.bindings)
        began_s = time.monotonic()
        await server.start()
        start_s = time.monotonic() - began_s
        persisted = await _storm(server, a, callers, everybody)
        await server.stop()
        return Round(
            {EMPTY: empty, PERSISTED: persisted},
            start_s,
            lost,
            shared_after_kb - shared_kb,
            pss_after_kb - pss_kb,
        )
    finally:
        held.release()


async def _storm(server: BoxServer, a: Addresses, callers: Sequence[User], everybody: Path) -> Storm:
    async with _phones(server, callers) as phones:
        began_s = time.monotonic()
        returning = asyncio.create_task(
            sipp.run(
                "return",
                server.listen,
                a.phone(CALLERS + 1),
                everybody,
                PHONES,
                PHONES,
                server.pid,
                options=["-t", "ui", "-ip_field", "4"],
            )
        )
        await asyncio.gather(*(phone.register() for phone in phones))
        early_s = time.monotonic() - began_s
        calls: list[Placed] = []
        over = asyncio.Event()
        talking = [
            asyncio.create_task(_talk(caller, callee.ua.user, calls, over))
            for caller, callee in zip(phones[::2], phones[1::2], strict=True)
        ]
        try:
            load = await returning
            await asyncio.sleep(CALL_AFTERWARDS_S)
        finally:
            over.set()
            await asyncio.gather(*talking)
    return Storm(load, early_s, calls)


async def _talk(caller: LightPhone, number: str, calls: list[Placed], over: asyncio.Event) -> None:
    while not over.is_set():
        calls.append(await caller.call(number))
        await asyncio.sleep(CALL_EVERY_S)


@asynccontextmanager
async def _phones(server: BoxServer, users: Sequence[User]) -> AsyncIterator[list[LightPhone]]:
    host, _, port = server.listen.rpartition(":")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                LightPhone(
                    user.number,
                    user.contact.rpartition(":")[0],
                    (host, int(port)),
                    password=user.password,
                    domain=REALM,
                )
            )
            for user in users
        ]


async def _memory_kb(server: BoxServer) -> tuple[float, float]:
    """Kamailio's shared memory in use, and all that its processes hold (each page counted once), in KiB."""
    found: dict[str, int] = {}

    async def asked() -> bool:
        nonlocal found
        found = await server.kamailio.rpc.call("core.shmmem")
        return bool(found)

    await wait_until(asked, "Kamailio tells its memory", 5)
    pss = 0
    for pid in sipp.family(server.pid):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n"):
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
    return int(found["real_used"]) / 1024, pss


def _saved(bindings: Path) -> int:
    with closing(sqlite3.connect(f"file:{bindings}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM location").fetchone()[0])


def _returning(a: Addresses) -> list[User]:
    network, port = _storm_network(a), sipp.CALLER_PORT
    sources = [f"{network}.{index // 250}.{index % 250 + 1}" for index in range(PHONES)]
    return [
        User(f"2{index:04d}", secrets.token_hex(8), f"{source}:{port}", source)
        for index, source in enumerate(sources)
    ]


def _storm_network(a: Addresses) -> str:
    first, second = a.network.split(".")[:2]
    return f"{first}.{int(second) + STORM_NETWORKS_BEGIN}"
