"""A box's whole sync through a line that does everything wrong at once. A failure here is a call record or a recording that
a café's login page, a clumsy proxy or a repeated packet has lost, doubled or altered."""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tenacity.wait import wait_random

from agent import recording_spool, senders, upload
from agent.cloud_client import CloudClient
from agent.cloud_transport import Transport, pinned
from agent.enrol import enrol
from agent.identity import load_or_make
from agent.journal_events import Moment
from agent.recording_table import RecordingTable
from agent.recording_upload import RecordingSender
from agent.records import NewRecord
from agent.senders import Switches
from agent.spool import Spool
from agent.spool_files import open_spool
from agent.upload import RecordSender
from cloudsync.layout import CentreLayout
from cloudsync.store import recordings
from cloudsync.store import records as store
from tests.helpers.centre_box import CentreProcess, prepare_site, random_bytes
from tests.helpers.hostile_proxy import HostileProxy

NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
SITE = "tokyo-1"
RECORDS = 80
RECORDINGS = 3
RECORDING_BYTES = 300_000
PIECE_BYTES = 64 * 1024
BATCH_RECORDS = 5
WRONG_S = 20.0
"""The longest that the line stays wrong; most runs are over before."""
GIVE_UP_S = 120.0
SEEDS = tuple(range(int(os.environ.get("KYUSAI_HOSTILE_LINES", "2"))))
"""More by hand: KYUSAI_HOSTILE_LINES=50."""


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[CentreProcess]:
    process = CentreProcess(tmp_path / "centre")
    process.start()
    yield process
    process.stop()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter pauses and smaller batches than at a site."""
    monkeypatch.setattr(senders, "IDLE_S", 0.05)
    monkeypatch.setattr(senders, "RECORDINGS_EVERY_S", 0.1)
    monkeypatch.setattr(senders, "REFUSED_PAUSE_S", 0.1)
    monkeypatch.setattr(senders, "_spread", wait_random(0.01, 0.1))
    monkeypatch.setattr(upload, "BATCH_RECORDS_MAX", BATCH_RECORDS)


def record(folder: Path, number: int) -> bytes:
    """Hand a recording over, as the media process does; gives its encrypted bytes."""
    folder.mkdir(exist_ok=True)
    data = random_bytes(RECORDING_BYTES, number)
    path = folder / f"rec-{number}.age"
    path.write_bytes(data)
    plain, cipher = (hashlib.sha256(text).hexdigest() for text in (b"plain", data))
    recording_spool.add(
        f"rec-{number}", "call", path, plain, cipher, len(data), "2026-11-21T09:30:00Z", 9.5, "ogg/opus"
    )
    return data


async def sync_all(spool: Spool, cloud: CloudClient, box: Path, proxy: HostileProxy) -> None:
    """The agent's tasks until nothing is left here."""
    table, switches = RecordingTable(spool), Switches()

    def report(_error: Exception, _pause_s: float) -> None:
        pass

    sender = RecordingSender(table, cloud, SITE, lambda: (), piece_bytes=PIECE_BYTES)
    tasks = [
        asyncio.create_task(work)
        for work in (
            senders.run_records(RecordSender(spool, cloud, SITE), Switches(switches.stop), report),
            senders.run_recordings(sender, Switches(switches.stop), report, at_once=2),
            senders.run_pick_up(
                table, box / "recordings", Switches(switches.stop), report, made=lambda: None
            ),
        )
    ]
    try:
        async with asyncio.timeout(GIVE_UP_S):
            began_s = asyncio.get_running_loop().time()
            while spool.depth().waiting or list((box / "recordings").glob("*.json")):
                await asyncio.sleep(0.05)
                proxy.honest = asyncio.get_running_loop().time() - began_s > WRONG_S
                for task in tasks:
                    if task.done():
                        task.result()
    finally:
        switches.stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("seed", SEEDS)
async def test_line_that_repeats_delays_truncates_and_makes_up_answers_loses_doubles_and_alters_nothing(
    centre: CentreProcess, tmp_path: Path, seed: int
) -> None:
    with centre.store() as opened:
        text = prepare_site(opened, SITE)
    box = tmp_path / "box"
    proxy = HostileProxy(centre.port, CentreLayout(centre.data_dir).tls_dir / "server.pem", seed)
    url = await proxy.start()
    proxy.honest = True
    enrolled = await enrol(
        text, url, "tokyo-1-a", {"kyusai": "t"}, key=box / "key.pem", enrolment=box / "enrolment.json"
    )
    proxy.honest = False
    cloud = CloudClient(
        Transport(url, pinned(enrolled.ca_pem)), "tokyo-1-a", load_or_make(box / "key.pem").sign
    )
    audio = {f"rec-{number}": record(box / "recordings", number) for number in range(RECORDINGS)}
    names = [f"call-{number}" for number in range(RECORDS)]
    with closing(open_spool(box / "spool.sqlite", NOW)) as spool:
        spool.spool.append(
            [NewRecord(name, "cdr", 1, NOW.wall_ms, "boot-a", {"call_id": name}) for name in names]
        )
        await sync_all(spool.spool, cloud, box, proxy)
        await proxy.settled()
        assert (spool.spool.parked(), RecordingTable(spool.spool).parked()) == ([], [])
    await cloud.close()
    await proxy.stop()
    assert len(proxy.done) >= 8, f"the line was hardly wrong: {proxy.done}"
    with centre.store() as opened, opened.database.read() as connection:
        held = Counter(str(row["id"]) for row in store.newest(connection, site_id=SITE, limit=10_000))
        ledger = store.ledger(connection, SITE)
        assert (held, ledger.last_seq, ledger.missing) == (Counter(names), RECORDS, 0)
        assert store.refused(connection, site_id=SITE, limit=1) == []
        rows = {row.id: row.state for row in recordings.newest(connection, site_id=SITE, limit=99)}
        assert rows == dict.fromkeys(audio, "stored")
        for id_, data in audio.items():
            assert opened.blobs.whole_path(SITE, id_).read_bytes() == data
