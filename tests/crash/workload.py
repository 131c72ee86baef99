"""What happens at the box in a run, and what the centre must hold of it afterwards. The same for every run.

Calls are in the journal before the run begins, as Kamailio's process leaves them. Events and recordings are made while
the run goes on; each is *told* once the call that makes it durable has returned. What was told must arrive; what was not
may, since a crash came in between; nothing may arrive twice.
"""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from appliance.kamailio.journal import SCHEMA

SITE = "tokyo-1"
BOX = "tokyo-1-a"
BOOT = "boot-a"
WALL_MS = 1_790_000_000_000
CALLS = 4
EVENTS = 7
RECORDINGS = 2
PIECE_BYTES = 8 * 1024
BATCH_RECORDS = 4
"""Small, so that a run has several batches and each recording several pieces."""
NEWEST_RECORDS = 3
"""Smaller, so that records go out of their order."""


def write_journal(path: Path) -> None:
    """The journal with all calls, each with its beginning, answer and end."""
    rows = [("", "process_start", 10, {"pid": 1})]
    for n in range(CALLS):
        call = f"crash-{n}@192.0.2.20#{n:08x}"
        rows += [
            (call, "start", 100 + n, {"call_id": f"crash-{n}@192.0.2.20", "origin": "phone"}),
            (call, "answer", 500 + n, {"index": 0}),
            (call, "end", 900 + n, {"cause": "normal_clearing"}),
        ]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(SCHEMA)
        db.executemany(
            "INSERT INTO event (call, event, mono_ms, wall_ms, boot_id, data) VALUES (?, ?, ?, ?, ?, ?)",
            [(call, name, ms, WALL_MS + ms, BOOT, json.dumps(data)) for call, name, ms, data in rows],
        )


def calls() -> set[str]:
    """The Call-IDs of all calls."""
    return {f"crash-{n}@192.0.2.20" for n in range(CALLS)}


def event_text(number: int, life: int) -> str:
    """What the event says; each life of the box says something else, so that two tries are two events."""
    return f"event {number} of life {life} " + "x" * (number * 37 % 200)


def event_id(number: int, life: int) -> str:
    """The id of its record."""
    return f"event-{number}-{life}"


def recording_id(number: int) -> str:
    """The same on every try, as the media process makes it from the capture's name."""
    return f"rec-crash-{number}"


def plain_sha256(number: int) -> str:
    """Of the audio before it was encrypted."""
    return hashlib.sha256(f"audio {number}".encode()).hexdigest()


def cipher(number: int, life: int) -> bytes:
    """The encrypted audio: other bytes each time the same audio is encrypted. One piece, and three."""
    size = (5_000, 20_000)[number % 2]
    return hashlib.shake_256(f"cipher {number} {life}".encode()).digest(size)
