"""The box's process in a run: the agent's own sync tasks over its spool, and a media process that hands recordings over.

Runs in a forked child until everything is at the centre or it is killed. What is told to the outside goes down a pipe,
which no power cut takes back.
"""

import asyncio
import hashlib
import json
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenacity.wait import wait_random

from agent import receipts, recording_spool, records, senders, upload
from agent.acknowledged import Acknowledged
from agent.call_records import CallRecords
from agent.cloud_client import CloudClient
from agent.cloud_transport import Transport, pinned
from agent.identity import Enrolled, load_enrolled, load_or_make
from agent.journal_events import Moment
from agent.recording_table import RecordingTable
from agent.recording_upload import RecordingSender
from agent.records import NewRecord
from agent.senders import Switches
from agent.sent_again import SentAgain
from agent.spool import Spool
from agent.spool_files import open_spool
from agent.upload import RecordSender
from tests.crash import workload

NOW = Moment(workload.BOOT, 60_000, workload.WALL_MS + 60_000)
RECEIPT_EVERY_S = 0.1
COPIES_BYTES = 1024 * 1024
PARKED_S = 0.3
"""What is parked for so long stays parked."""
LOOK_S = 0.008
"""How often the tasks look for something to do: a run must be over in a third of a second."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the box's earlier lives had told: numbers of events and recordings."""

    events: frozenset[int]
    recordings: frozenset[int]


class Voice:
    """Says on a pipe what has become durable, one JSON line each."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def say(self, what: str, value: Any = None) -> None:
        """One line, whole."""
        os.write(self._pipe, json.dumps([what, value]).encode() + b"\n")


def hurry() -> None:
    """Shorter pauses and smaller batches than at a site; nothing else differs."""
    senders.IDLE_S = senders.JOURNAL_EVERY_S = senders.RECORDINGS_EVERY_S = LOOK_S
    senders.REFUSED_PAUSE_S = 0.1
    receipts.EVERY_S = RECEIPT_EVERY_S
    senders._spread = wait_random(0.004, 0.03)  # type: ignore[assignment]
    records.NEWEST_RECORDS = workload.NEWEST_RECORDS
    records.BATCH_RECORDS_MAX = upload.BATCH_RECORDS_MAX = workload.BATCH_RECORDS


def run(folder: Path, url: str, life: int, told: Told, voice: Voice) -> None:
    """One life of the box, from the start of the agent to the moment when nothing is left to send."""
    hurry()
    opened = open_spool(folder / "spool.sqlite", NOW)
    if opened.set_aside is not None:
        voice.say("damaged", opened.set_aside.problem)
    asyncio.run(_live(opened.spool, folder, url, life, told, voice))
    opened.close()


async def _live(spool: Spool, folder: Path, url: str, life: int, told: Told, voice: Voice) -> None:
    enrolled = load_enrolled(folder / "enrolment.json")
    assert enrolled is not None
    identity = load_or_make(folder / "key.pem")
    cloud = CloudClient(Transport(url, pinned(enrolled.ca_pem)), workload.BOX, identity.sign)
    table, switches = RecordingTable(spool), Switches()
    tasks = [
        asyncio.create_task(work)
        for work in (
            *_sync(spool, table, cloud, enrolled, folder, switches, voice),
            _make(spool, folder, life, told, voice),
        )
    ]
    done = asyncio.create_task(_until_drained(spool, table, folder, tasks[-1], voice))
    await asyncio.wait([*tasks[:-1], done], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, done):
        if task.done():
            task.result()
    switches.stop.set()
    voice.say("drained")


def _sync(
    spool: Spool,
    table: RecordingTable,
    cloud: CloudClient,
    enrolled: Enrolled,
    folder: Path,
    switches: Switches,
    voice: Voice,
) -> tuple[Any, ...]:
    """The agent's tasks, as `agent.centre` starts them."""

    def report(error: Exception, _pause_s: float) -> None:
        voice.say("error", getattr(error, "key", repr(error)))

    keys = enrolled.enrolment.config_keys
    recordings = RecordingSender(table, cloud, workload.SITE, lambda: keys, piece_bytes=workload.PIECE_BYTES)
    book = CallRecords(spool, folder / "journal.sqlite", workload.SITE, workload.BOX)
    one = Switches(switches.stop)
    copies = Acknowledged(folder / "acknowledged.sqlite", lambda: COPIES_BYTES)
    kept = receipts.Receipts(
        spool,
        cloud,
        workload.SITE,
        lambda: keys,
        folder / "receipt.json",
        time.monotonic,
        received=SentAgain(spool, copies, cloud, lambda: NOW).look,
    )

    async def drained() -> None:
        await kept.drained()
        if kept.standing.problem:
            voice.say("receipt", kept.standing.problem)

    return (
        senders.run_journal(book, lambda: NOW, Switches(switches.stop), report, made=one.nudge.set),
        senders.run_records(
            RecordSender(
                spool,
                cloud,
                workload.SITE,
                drained=drained,
                copies=copies,
                no_copy=lambda error: voice.say("error", repr(error)),
            ),
            one,
            report,
        ),
        senders.run_recordings(recordings, Switches(switches.stop), report, at_once=2),
        senders.run_pick_up(table, folder / "recordings", Switches(switches.stop), report, made=lambda: None),
    )


async def _make(spool: Spool, folder: Path, life: int, told: Told, voice: Voice) -> None:
    """Events and recordings, one after the other, each told as soon as it is durable."""
    for number in range(workload.EVENTS):
        if number not in told.events:
            text = workload.event_text(number, life)
            id_ = workload.event_id(number, life)
            new = NewRecord(id_, "event", number % 3, workload.WALL_MS, workload.BOOT, {"text": text})
            await asyncio.to_thread(spool.append, [new])
            voice.say("event", [number, life])
        if number < workload.RECORDINGS and number not in told.recordings:
            await asyncio.to_thread(_record, folder / "recordings", number, life)
            voice.say("recording", number)


def _record(folder: Path, number: int, life: int) -> None:
    """As the media process does (`appliance.media.convert`): the audio under its name, then `recording_spool.add`."""
    folder.mkdir(exist_ok=True)
    data = workload.cipher(number, life)
    path = folder / f"{workload.recording_id(number)}.age"
    fresh = folder.with_name("cipher.age")
    with fresh.open("wb") as audio:
        audio.write(data)
        audio.flush()
        os.fsync(audio.fileno())
    fresh.replace(path)
    recording_spool.add(
        workload.recording_id(number),
        "crash-0@192.0.2.20",
        path,
        workload.plain_sha256(number),
        hashlib.sha256(data).hexdigest(),
        len(data),
        "2026-11-21T09:30:00Z",
        12.5,
        "ogg",
    )


async def _until_drained(
    spool: Spool, table: RecordingTable, folder: Path, made: "asyncio.Task[None]", voice: Voice
) -> None:
    with closing(sqlite3.connect(f"file:{folder / 'journal.sqlite'}?mode=ro", uri=True)) as db:
        (last,) = db.execute("SELECT max(seq) FROM event").fetchone()
    now_s = asyncio.get_running_loop().time
    sound_s = now_s()
    while True:
        await asyncio.sleep(LOOK_S)
        folded = json.loads(spool.cursor("journal") or "[0]")[0] >= last
        if made.done() and folded and not spool.depth().waiting and not table.depth().waiting:
            left = [p.name for p in (folder / "recordings").glob("*.json")]
            parked = [row[1:] for row in spool.parked()] + table.parked()
            if not parked:
                sound_s = now_s()
            if not left and not parked:
                return
            if now_s() - sound_s > PARKED_S:
                voice.say("parked", parked)
                return
