"""The box in the upload benchmark: the agent's own upload, from the hand-over of recordings to their deletion after receipts.

`python -m tests.bench.upload_box FOLDER URL CODE` enrols. Then each line of standard input is a folder of encrypted files to
upload; the answer is a line of JSON. The line to the centre and the pace are the agent's; a call is up all the time.
"""

import asyncio
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import bulk_line, recording_spool
from agent.bulk_line import BulkLine
from agent.cloud_client import CloudClient
from agent.cloud_transport import Transport, pinned
from agent.enrol import enrol
from agent.identity import Enrolled, load_or_make
from agent.journal_events import Moment
from agent.pacer import Pacer
from agent.recording_table import RecordingTable
from agent.recording_upload import CONNECTIONS, RecordingSender
from agent.senders import UPLOADS_AT_ONCE, Switches, run_pick_up, run_recordings
from agent.spool_files import open_spool

BOX = "tokyo-1-a"
LOOK_S = 0.05


async def upload(folder: Path, files: Path, enrolled: Enrolled, calls: int) -> dict[str, Any]:
    """One round: hand all files over, then time from the start of the upload to the last receipt."""
    spool_folder = folder / "round"
    shutil.rmtree(spool_folder, ignore_errors=True)
    recordings = spool_folder / "recordings"
    recordings.mkdir(parents=True)
    size_bytes = sum(_hand_over(recordings, files))
    line = BulkLine()
    identity = load_or_make(folder / "key.pem")
    transport = Transport(
        enrolled.url, pinned(enrolled.ca_pem), connections=CONNECTIONS + UPLOADS_AT_ONCE, bulk=line
    )
    cloud = CloudClient(transport, BOX, identity.sign)
    pacer = Pacer(lambda: None, lambda: calls, line)
    errors: list[str] = []
    with ExitStack() as stack:
        opened = open_spool(spool_folder / "spool.sqlite", Moment("bench", 1, 1))
        stack.callback(opened.close)
        table, switches = RecordingTable(opened.spool), Switches()
        sender = RecordingSender(table, cloud, "tokyo-1", lambda: enrolled.enrolment.config_keys, pace=pacer)

        def report(error: Exception, _pause_s: float) -> None:
            errors.append(str(error))

        began_s = time.monotonic()
        tasks = [
            asyncio.create_task(work)
            for work in (
                pacer.run(),
                run_pick_up(table, recordings, Switches(switches.stop), report, made=switches.nudge.set),
                run_recordings(sender, switches, report),
            )
        ]
        queues_ms, rates = [], []
        while any(recordings.glob("*.json")):
            await asyncio.sleep(LOOK_S)
            for task in tasks:
                if task.done():
                    task.result()
            queues_ms.append(pacer.queue_ms)
            rates.append(pacer.rate_bytes_s or 0.0)
        seconds = time.monotonic() - began_s
        switches.stop.set()
        tasks[0].cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
    await cloud.close()
    return {
        "bytes": size_bytes,
        "seconds": seconds,
        "errors": errors[:3],
        "congestion": bulk_line.congestion_control(),
        "queue_ms": {"mean": round(sum(queues_ms) / len(queues_ms), 1), "max": round(max(queues_ms), 1)},
        "rate_mbit_s": {"first": _mbit(rates[0]), "last": _mbit(rates[-1])},
    }


def _mbit(bytes_s: float) -> float:
    return round(bytes_s * 8 / 1e6, 1)


def _hand_over(recordings: Path, files: Path) -> Iterator[int]:
    for number, source in enumerate(sorted(files.iterdir())):
        name = f"rec-{files.name}-{time.time_ns()}-{number}"
        path = recordings / f"{name}.age"
        shutil.copyfile(source, path)
        data = path.read_bytes()
        started_utc = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        recording_spool.add(
            name,
            "call",
            path,
            hashlib.sha256(name.encode()).hexdigest(),
            hashlib.sha256(data).hexdigest(),
            len(data),
            started_utc,
            60.0,
            "ogg/opus",
        )
        yield len(data)


def main(folder: Path, url: str, code: str, wanted: str) -> None:
    """The process. wanted: the congestion control to use when the kernel has it; "" for the default."""
    bulk_line.WANTED = (wanted.encode(),) if wanted else ()
    folder.mkdir(parents=True, exist_ok=True)
    enrolled = asyncio.run(
        enrol(code, url, BOX, {}, key=folder / "key.pem", enrolment=folder / "enrolment.json")
    )
    print(json.dumps({"enrolled": True}), flush=True)
    for order in sys.stdin:
        files, calls = json.loads(order)
        print(json.dumps(asyncio.run(upload(folder, Path(files), enrolled, calls))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4])
