"""How many boxes one centre bears, on the same two cores as the boxes' simulator, and what bounds it.

Every box sends a heartbeat each 10 s and holds one configuration poll, over TLS connections of its own from an address of
its own, as the agent does. The fleet grows in steps. At each step: CPU and memory of the centre, how late heartbeats are
answered, how long it takes until one box, and then all of them, have a version that was just published.
"""

import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudsync.service.sites import revoke_box
from cloudsync.store import records
from tests.bench.centre_server import CentreServer
from tests.bench.figures import quantile, table
from tests.bench.fleet import Fleet, Seen
from tests.bench.fleet_ground import enrol_all, offer_codes, publish_all
from tests.bench.fleet_plan import Habits, Identity
from tests.lab.postgres import PostgresServer

STEPS, STEPS_QUICK = (500, 1_000, 2_000, 5_000, 10_000), (100, 300)
WINDOW_S, WINDOW_QUICK_S = 20.0, 11.0
SETTLE_S = 3.0
JOIN_LIMIT_S = 300.0
AT_ONCE = 200
"""Boxes on their way in at a time: what a step costs is measured apart from the way into it."""
WAVE_LIMIT_S = 120.0
SINGLES = 5
LATE_MS = 1_000.0
"""A heartbeat that is answered later is late; a step with p99 above it, or with an error, is beyond the knee."""
REVOKED = 20
"""Boxes that are shut out; each has to hear of it within a heartbeat."""
AWAY_S = 5.0
"""How long a killed centre stays away."""
BACK_LIMIT_S = 180.0
HELD_SHARE = 0.95
"""A box rests for 2 s between two polls of 50 s."""
ENROLLED, ENROLLED_FIRST = 1_000, 20_000
"""New boxes that enrol at the same moment."""
OTHER_FILES = 300
"""Open files of a centre's process that are no box's."""


REPORTING = Habits()
"""Heartbeats and the held poll, nothing else."""
WORKING = Habits(records_share=0.2, recordings_share=0.02)
"""Of the boxes, every fifth brings three records a minute, every fiftieth a recording of 8 kB a minute."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One sort of centre."""

    name: str
    database: str
    processes: int
    habits: Habits = REPORTING
    only_last: bool = False


VARIANTS = (
    Variant("SQLite, 1 process", "sqlite", 1),
    Variant("PostgreSQL, 2 processes", "postgresql", 2),
    Variant("PostgreSQL, 2 processes, with records", "postgresql", 2, WORKING, only_last=True),
)


def run(quick: bool = False) -> dict[str, Any]:
    """The steps of each variant."""
    steps, window_s = (STEPS_QUICK, WINDOW_QUICK_S) if quick else (STEPS, WINDOW_S)
    return {
        "window_s": window_s,
        "late_ms": LATE_MS,
        "variants": [measure(variant, steps, window_s) for variant in VARIANTS],
    }


def measure(variant: Variant, steps: tuple[int, ...], window_s: float) -> dict[str, Any]:
    """One variant: its steps up to the first that it does not bear."""
    most = variant.processes * (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_FILES) // 2
    wanted = [min(step, most) for step in (steps[-1:] if variant.only_last else steps)]
    found: list[dict[str, Any]] = []
    after: dict[str, Any] = {}
    with centre_server(variant) as server:
        with server.store() as store:
            enrol_all(store, wanted[-1])
            ca_pem = store.tls.ca_certificate()
        server.start()
        empty_kb = server.resident_kb()
        with Fleet(ca_pem, server.targets, variant.habits) as fleet:
            for number, boxes in enumerate(wanted):
                step = _step(server, fleet, boxes, 10 * (number + 1), window_s, empty_kb)
                found.append(step)
                print(f"{variant.name}: {step}", file=sys.stderr, flush=True)
                if not step["borne"]:
                    break
            if found[-1]["borne"]:
                after = _afterwards(server, fleet, found[-1]["boxes"], variant)
        server.end()
    borne = [step["boxes"] for step in found if step["borne"]]
    return {
        "name": variant.name,
        "steps": found,
        **after,
        "borne": max(borne, default=0),
        "empty_mb": round(empty_kb / 1024, 1),
    }


def _afterwards(server: CentreServer, fleet: Fleet, boxes: int, variant: Variant) -> dict[str, Any]:
    """What else the whole fleet does: boxes are shut out, the centre dies and comes back, others enrol all at once."""
    with server.store() as store:
        began_s = time.monotonic()
        for number in range(REVOKED):
            revoke_box(store, Identity(number).box_id, "bench")
        fleet.wait_for(lambda seen: len(seen.refused_s) == REVOKED, BACK_LIMIT_S)
        heard_s = [at_s - began_s for at_s in fleet.tell().refused_s.values()]
    left = boxes - REVOKED
    server.end(signal.SIGKILL)
    time.sleep(AWAY_S)
    fleet.clear()
    server.start()
    back_s = fleet.wait_for(
        lambda seen: seen.heard >= left and seen.polls_held >= HELD_SHARE * left, BACK_LIMIT_S
    )
    failed = fleet.tell().failed
    figures: dict[str, Any] = {
        "revoked": len(heard_s),
        "revoked_s": round(max(heard_s, default=0.0), 1),
        "back_s": None if back_s is None else round(back_s, 1),
        "back_failed": dict(failed),
    }
    if variant.habits.records_share:
        fleet.wait_for(lambda seen: seen.unsent == 0, BACK_LIMIT_S)
        figures["ledger"] = _ledger(server, boxes)
    room = variant.processes * (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_FILES) // 2 - boxes
    if room >= ENROLLED:
        with server.store() as store:
            offer_codes(store, [Identity(ENROLLED_FIRST + number) for number in range(ENROLLED)])
        fleet.clear()
        fleet.enrol(ENROLLED_FIRST, ENROLLED)
        took_s = fleet.wait_for(lambda seen: seen.joined >= boxes + ENROLLED, BACK_LIMIT_S)
        figures["enrolled"] = fleet.tell().done["enrol"]
        figures["enrolled_s"] = None if took_s is None else round(took_s, 1)
        figures["enrol_failed"] = dict(fleet.tell().failed)
    return figures


def _ledger(server: CentreServer, boxes: int) -> dict[str, int]:
    """Records that the centre holds, and that are missing of what boxes numbered."""
    with server.store() as store, store.database.read() as connection:
        found = [records.ledger(connection, Identity(number).site_id) for number in range(boxes)]
    return {"received": sum(one.received for one in found), "missing": sum(one.missing for one in found)}


@contextmanager
def centre_server(variant: Variant) -> Iterator[CentreServer]:
    """A centre that is not started, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="kyusai-bench-"))
    postgres = PostgresServer(durable=True).start() if variant.database == "postgresql" else None
    server = CentreServer(folder / "centre", variant.processes, postgres)
    try:
        yield server
    finally:
        server.end()
        if postgres is not None:
            postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _step(
    server: CentreServer, fleet: Fleet, boxes: int, version: int, window_s: float, empty_kb: int
) -> dict[str, Any]:
    before, before_s = fleet.tell().joined, server.cpu_s()
    fleet.grow(boxes, AT_ONCE)
    join_s = fleet.wait_joined(boxes, JOIN_LIMIT_S)
    join_cpu_s = server.cpu_s() - before_s
    if join_s is None:
        seen = fleet.tell()
        return {"boxes": boxes, "borne": False, "joined": seen.joined, "failed": dict(seen.failed)}
    time.sleep(SETTLE_S)
    fleet.clear()
    begin = (time.monotonic(), server.cpu_s(), server.database_cpu_s(), fleet.tell().cpu_s)
    time.sleep(window_s)
    seen = fleet.tell(latencies=True)
    took_s = time.monotonic() - begin[0]
    centre_s, database_s = server.cpu_s() - begin[1], server.database_cpu_s() - begin[2]
    resident_kb = server.resident_kb()
    beats = max(1, len(seen.heartbeat_ms))
    step = {
        "boxes": boxes,
        "joined_per_s": round((boxes - before) / max(join_s, 0.001), 1),
        "join_cpu_ms": round(join_cpu_s / max(1, boxes - before) * 1000, 2),
        "heartbeats_per_s": round(beats / took_s, 1),
        "heartbeat_ms": {
            f"p{share}": round(quantile(seen.heartbeat_ms or [0.0], share / 100), 1) for share in (50, 95, 99)
        },
        "centre_cores": round(centre_s / took_s, 3),
        "database_cores": round(database_s / took_s, 3),
        "simulator_cores": round((seen.cpu_s - begin[3]) / took_s, 3),
        "simulator_late_ms": round(seen.late_s * 1000, 1),
        "cpu_us_per_heartbeat": round((centre_s + database_s) / beats * 1e6),
        "resident_mb": round(resident_kb / 1024, 1),
        "kb_per_box": round((resident_kb - empty_kb) / boxes, 1),
        "threads": server.threads(),
        "polls_held": seen.polls_held,
        "records": seen.done["record"],
        "recordings": seen.done["recording"],
        "failed": dict(seen.failed),
    }
    idle = (centre_s + database_s) / took_s, (seen.cpu_s - begin[3]) / took_s
    step |= _publish(server, fleet, boxes, version, idle)
    late = step["heartbeat_ms"]["p99"] > LATE_MS
    return step | {"borne": not late and not step["failed"] and step["wave_missing"] == 0}


def _publish(
    server: CentreServer, fleet: Fleet, boxes: int, version: int, idle: tuple[float, float]
) -> dict[str, Any]:
    """One box after the other, then all the others at once: the first ones watch what they have got. idle: cores that centre and
    simulator take meanwhile for heartbeats."""
    single_ms = []
    with server.store() as store:
        for number in range(min(SINGLES, boxes)):
            single_ms.append(_published(store, fleet, [Identity(number)], version + number)[0])
        others = [Identity(number) for number in range(SINGLES, boxes)]
        before = time.monotonic(), server.cpu_s() + server.database_cpu_s(), fleet.tell().cpu_s
        wave_ms, seen = _published(store, fleet, others, version + SINGLES)
        took_s = time.monotonic() - before[0]
        centre_s = server.cpu_s() + server.database_cpu_s() - before[1] - idle[0] * took_s
        simulator_s = seen.cpu_s - before[2] - idle[1] * took_s
    fleet.wait_for(lambda seen: seen.polls_held >= HELD_SHARE * boxes, WAVE_LIMIT_S)
    return {
        "single_ms": round(quantile(single_ms, 0.5), 1),
        "single_worst_ms": round(max(single_ms), 1),
        "wave_s": round(wave_ms / 1000, 2),
        "wave_cpu_us_per_box": round(centre_s / max(1, len(others)) * 1e6),
        "wave_simulator_us_per_box": round(simulator_s / max(1, len(others)) * 1e6),
        "wave_missing": len(others) - seen.applied[version + SINGLES],
    }


def _published(store: Any, fleet: Fleet, boxes: list[Identity], version: int) -> tuple[float, Seen]:
    """Milliseconds from the commit to the last of these boxes that has the version."""
    publish_all(store, boxes, version)
    committed_s = time.monotonic()
    seen = fleet.wait_applied(version, len(boxes), WAVE_LIMIT_S)
    return (seen.applied_last_s.get(version, committed_s) - committed_s) * 1000, seen


def report(figures: dict[str, Any]) -> str:
    """The figures as tables."""
    parts = []
    for variant in figures["variants"]:
        rows = [_row(step) for step in variant["steps"] if "heartbeat_ms" in step]
        parts += [
            f"{variant['name']}: {variant['borne']:,} boxes borne; {variant['empty_mb']} MB without any",
            table(HEAD, rows),
            *([_after(variant)] if "back_s" in variant else []),
            "",
        ]
    return "\n".join(parts)


def _after(variant: dict[str, Any]) -> str:
    words = [
        f"{variant['revoked']} revoked boxes were all shut out after {variant['revoked_s']} s",
        f"killed, {AWAY_S:g} s away: every box is back {variant['back_s']} s after the start",
    ]
    if "ledger" in variant:
        words.append("records: {received:,} received, {missing} missing".format(**variant["ledger"]))
    if "enrolled" in variant:
        words.append(
            f"{variant['enrolled']:,} boxes enrolled at once: all online after {variant['enrolled_s']} s"
        )
    return "; ".join(words)


HEAD = (
    *("boxes", "beats/s", "p50 ms", "p95", "p99", "centre", "database", "simulator", "us/beat", "KB/box"),
    *("joined/s", "one ms", "all s", "errors"),
)


def _row(step: dict[str, Any]) -> list[object]:
    beat = step["heartbeat_ms"]
    return [
        *(step["boxes"], step["heartbeats_per_s"], beat["p50"], beat["p95"], beat["p99"]),
        *(step["centre_cores"], step["database_cores"], step["simulator_cores"]),
        *(step["cpu_us_per_heartbeat"], step["kb_per_box"], step["joined_per_s"]),
        *(step["single_ms"], step["wave_s"], sum(step["failed"].values()) + step["wave_missing"]),
    ]
