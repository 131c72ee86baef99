"""A box that was offline for a month: its spool is filled with a record for each call, then the agent's own uploader, a process
of its own, empties it into a real centre. Sampled meanwhile: the uploader's memory and CPU, and how soon what happens now
is at the centre."""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from agent.enrol import enrol
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool_files import open_spool
from cloudsync.wire import GENESIS_HASH
from tests.bench.figures import delays
from tests.bench.sync_centre import Centre, cpu_s
from tests.bench.sync_records import BETWEEN_CALLS_MS, BOOT, WALL_MS, made
from tests.helpers.centre_box import ROOT, prepare_site

SITE, BOX = "site-0", "site-0-a"
FILL = 2_000
"""Records appended in one transaction; only the filling is hastened by it."""
DIFFERENT = 5_000
"""Calls that differ in all they say; the others repeat them under ids and times of their own."""
SAMPLE_S = 0.25
BEGUN_SHARE = 0.05
"""After this share of the backlog the memory counts as that of a running uploader."""
PAGE_MB = 4096 / 1e6


def measured(count: int, nice: int = 10) -> dict[str, Any]:
    """records, seconds, records_per_s, rss_mb_start, rss_mb_max, cpu_share of the uploader, cpu_us_per_record of the centre in
    the first and in the last tenth, fresh_ms of records made meanwhile."""
    with tempfile.TemporaryDirectory(prefix="kyusai-bench-") as name:
        folder = Path(name)
        centre = Centre(folder)
        try:
            with centre.process.store() as store:
                text = prepare_site(store, SITE)
            files = {"key": folder / "key.pem", "enrolment": folder / "enrolment.json"}
            asyncio.run(enrol(text, centre.process.url, BOX, {}, **files))
            _fill(folder / "spool.sqlite", count)
            return _drained(folder, centre, count, nice)
        finally:
            centre.stop()


def _fill(path: Path, count: int) -> None:
    opened = open_spool(path, Moment(BOOT, 1, WALL_MS))
    opened.spool.rechain(1, GENESIS_HASH)
    base = list(made(SITE, BOX, min(count, DIFFERENT)))
    first_ms = int(time.time() * 1000) - count * BETWEEN_CALLS_MS
    for begin in range(0, count, FILL):
        opened.spool.append(
            [again(base, first_ms, number) for number in range(begin, min(begin + FILL, count))]
        )
    opened.close()


def again(base: list[NewRecord], first_ms: int, number: int) -> NewRecord:
    """One of `base` in turn, as call number `number`, under an id and a time of its own."""
    old, at_ms = base[number % len(base)], first_ms + number * BETWEEN_CALLS_MS
    id_ = f"cdr-{at_ms // 1000:08x}{old.id[12:28]}{number:08x}"
    return NewRecord(id_, old.kind, old.priority, at_ms, old.boot_id, {**old.body, "id": id_})


def _drained(folder: Path, centre: Centre, count: int, nice: int) -> dict[str, Any]:
    command = ["nice", "-n", str(nice), sys.executable, "-m", "tests.bench.sync_drain"]
    uploader = subprocess.Popen(
        [*command, str(folder), centre.process.url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    told: list[dict[str, Any]] = []
    reader = threading.Thread(target=_read, args=(uploader, told))
    reader.start()
    samples: list[tuple[float, float, float, float]] = []
    while uploader.poll() is None:
        try:
            samples.append((time.monotonic(), _rss_mb(uploader.pid), cpu_s(centre.pid), cpu_s(uploader.pid)))
        except (FileNotFoundError, ValueError, IndexError, ProcessLookupError):
            break
        time.sleep(SAMPLE_S)
    uploader.wait()
    reader.join()
    ended = next((one for one in told if "drained_s" in one), None)
    assert ended is not None, told[-3:]
    begun_s = next(one["at_s"] for one in told if "waiting" in one)
    during = [one for one in samples if begun_s <= one[0] <= begun_s + ended["drained_s"]] or samples[-1:]
    begun = during[int(len(during) * BEGUN_SHARE) :]
    tenth = max(len(during) // 10, 1)
    return {
        "records": count,
        "seconds": round(ended["drained_s"], 2),
        "records_per_s": round(count / ended["drained_s"]),
        "rss_mb_start": round(begun[0][1], 1),
        "rss_mb_max": round(max(one[1] for one in begun), 1),
        "rss_mb_end": round(begun[-1][1], 1),
        "uploader_cpu_us_per_record": round(ended["cpu_s"] * 1e6 / count, 1),
        "uploader_cpu_share": round(ended["cpu_s"] / ended["drained_s"], 3),
        "centre_cpu_us_per_record": round((during[-1][2] - during[0][2]) * 1e6 / count, 1),
        "centre_cpu_last_to_first_tenth": round(
            _cpu_rate(during[-tenth - 1 :]) / max(_cpu_rate(during[: tenth + 1]), 1e-9), 2
        ),
        "fresh_ms": delays([one["fresh_ms"] for one in told if "fresh_ms" in one]),
        "errors": sum("error" in one for one in told),
    }


def _cpu_rate(samples: list[tuple[float, float, float, float]]) -> float:
    """The centre's CPU for each second of the uploader's, which is the same for each record from first to last."""
    uploader_s = samples[-1][3] - samples[0][3]
    return (samples[-1][2] - samples[0][2]) / uploader_s if uploader_s else 0.0


def _read(uploader: "subprocess.Popen[str]", told: list[dict[str, Any]]) -> None:
    assert uploader.stdout is not None
    for line in uploader.stdout:
        told.append(json.loads(line) | {"at_s": time.monotonic()})


def _rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
