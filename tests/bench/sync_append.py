"""What it costs the box to make one record durable, beside a bare synced insert of the same row into SQLite."""

import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from agent.journal_events import Moment
from agent.spool_files import open_spool
from cloudsync.wire import Record
from tests.bench.sync_records import BOOT, WALL_MS, chained, made

WARM = 50
_COLUMNS = (
    "seq INTEGER PRIMARY KEY, id TEXT, kind TEXT, priority INTEGER, created_utc TEXT, boot_id TEXT, body TEXT"
)
BARE = f"CREATE TABLE record ({_COLUMNS}, prev_hash TEXT, hash TEXT)"


def measured(count: int) -> dict[str, float]:
    """Medians in microseconds, one after the other in turns: `Spool.append` of one record (its number, its hash, its place in
    the chain, three indexes), and BEGIN, INSERT, COMMIT of the same record with its body as JSON into a table without an index,
    both WAL and FULL."""
    rows = list(chained("site-0", "site-0-a", count + WARM))
    with tempfile.TemporaryDirectory(prefix="kyusai-bench-") as folder:
        opened = open_spool(Path(folder) / "spool.sqlite", Moment(BOOT, 1, WALL_MS))
        with closing(sqlite3.connect(Path(folder) / "bare.sqlite", isolation_level=None)) as bare:
            bare.execute("PRAGMA journal_mode = WAL")
            bare.execute("PRAGMA synchronous = FULL")
            bare.execute(BARE)
            ours_us: list[float] = []
            bare_us: list[float] = []
            for new, r in zip(made("site-0", "site-0-a", count + WARM), rows, strict=True):
                turns = [
                    (ours_us, lambda new=new: opened.spool.append([new])),
                    (bare_us, lambda r=r: _insert(bare, r)),
                ]
                for times_us, do in turns if r.seq % 2 else reversed(turns):
                    times_us.append(_timed_us(do))
        opened.close()
    ours, alone = statistics.median(ours_us[WARM:]), statistics.median(bare_us[WARM:])
    return {"ours_us": ours, "bare_us": alone, "ratio": ours / alone}


def _insert(db: sqlite3.Connection, r: Record) -> None:
    body = json.dumps(r.body)
    row = (r.seq, r.id, r.kind, r.priority, r.created_utc, r.boot_id, body, r.prev_hash, r.hash)
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.execute("COMMIT")


def _timed_us(do: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    do()
    return (time.perf_counter() - began_s) * 1e6
