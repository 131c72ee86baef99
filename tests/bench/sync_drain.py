"""`python -m tests.bench.sync_drain FOLDER URL`: the agent's own record task over a spool that is full, until it is empty.

Meanwhile a call ends each half second: its record is appended, and it is told how long it took to be at the centre. Written to
standard output as JSON lines.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from agent.acknowledged import Acknowledged
from agent.cloud_client import CloudClient
from agent.cloud_transport import Transport, pinned
from agent.identity import load_enrolled, load_or_make
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.retention import MIB
from agent.senders import Switches, run_records
from agent.spool import Spool
from agent.spool_files import open_spool
from agent.upload import RecordSender
from appliance.site_model import COPIES_KEPT
from tests.bench.sync_records import BOOT, WALL_MS

EVERY_S = 0.5
LOOK_S = 0.02


def say(**what: object) -> None:
    """One line."""
    print(json.dumps(what), flush=True)


async def _new_calls(spool: Spool, switches: Switches) -> None:
    number = 0
    while True:
        number += 1
        id_ = f"now-{number}"
        new = NewRecord(id_, "cdr", 1, int(time.time() * 1000), BOOT, {"id": id_})
        began_s = time.monotonic()
        await asyncio.to_thread(spool.append, [new])
        switches.nudge.set()
        while await asyncio.to_thread(_waits, spool, id_):
            await asyncio.sleep(LOOK_S)
        say(fresh_ms=(time.monotonic() - began_s) * 1e3)
        await asyncio.sleep(EVERY_S)


def _waits(spool: Spool, id_: str) -> bool:
    with spool.reading() as db:
        return db.execute("SELECT 1 FROM record WHERE id = ?", (id_,)).fetchone() is not None


async def _drain(folder: Path, url: str) -> None:
    opened = open_spool(folder / "spool.sqlite", Moment(BOOT, 1, WALL_MS))
    enrolled = load_enrolled(folder / "enrolment.json")
    assert enrolled is not None
    enrolment = enrolled.enrolment
    key = load_or_make(folder / "key.pem")
    cloud = CloudClient(Transport(url, pinned(enrolled.ca_pem)), enrolment.box_id, key.sign)
    switches, spool = Switches(), opened.spool
    copies = Acknowledged(folder / "acknowledged.sqlite", lambda: COPIES_KEPT.mebibytes * MIB)
    sender = RecordSender(spool, cloud, enrolment.site_id, copies=copies)
    before = spool.depth().waiting
    say(waiting=before)
    began_s, cpu_began_s = time.monotonic(), time.process_time()
    task = asyncio.create_task(run_records(sender, switches, lambda error, _s: say(error=str(error))))
    calls = asyncio.create_task(_new_calls(spool, switches))
    while sender.counters.acknowledged < before:
        await asyncio.sleep(LOOK_S)
    say(drained_s=time.monotonic() - began_s, cpu_s=time.process_time() - cpu_began_s)
    calls.cancel()
    switches.stop.set()
    await task
    await cloud.close()
    opened.close()


if __name__ == "__main__":
    asyncio.run(_drain(Path(sys.argv[1]), sys.argv[2]))
