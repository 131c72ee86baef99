"""The box's side of the sync against the real centre, with a line between them that loses acknowledgements."""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent import recording_spool, series
from agent.call_records import CallRecords
from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudConfused, CloudError, CloudRefused, CloudUntrusted
from agent.cloud_transport import Transport, pinned
from agent.enrol import EnrolmentError, enrol
from agent.identity import Enrolled, load_enrolled, load_or_make
from agent.journal_events import Moment
from agent.receipts import Receipts, load
from agent.recording_classes import CLASS_PREFIX
from agent.recording_table import RecordingTable
from agent.recording_upload import RecordingSender
from agent.records import NewRecord
from agent.senders import Switches, run_journal, run_pick_up, run_recordings, run_records, take_in
from agent.slices import NoLimit, Sliced
from agent.spool import Spool
from agent.spool_files import open_spool
from agent.status import Status
from agent.upload import RecordSender
from cloudsync.wire import (
    ConfigKey,
    ConfigState,
    Priority,
    RecordingOffer,
    RecordKind,
    UploadStands,
    to_base64,
)

ROOT = Path(__file__).resolve().parents[2]
NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
SITE = "tokyo-1"
SCHEMA = """CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, call TEXT, event TEXT, mono_ms INTEGER,
    wall_ms INTEGER, boot_id TEXT, data TEXT)"""


@dataclass
class Centre:
    """A real `kyusai centre`. It can be killed and started again on the same data."""

    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def run(self, *arguments: str) -> str:
        command = [
            sys.executable,
            str(ROOT / "kyusai_cli.py"),
            "centre",
            "--data",
            str(self.data),
            *arguments,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def kyusai(self, *arguments: str) -> str:
        command = [sys.executable, str(ROOT / "kyusai_cli.py"), *arguments]
        environment = {**os.environ, "KYUSAI_LANG": "en"}
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=30, env=environment
        )
        return done.stdout

    def start(self) -> None:
        listen = f"127.0.0.1:{self.port}"
        command = [sys.executable, str(ROOT / "kyusai_cli.py"), "centre", "--data", str(self.data)]
        log = (self.data.parent / "centre.log").open("ab")
        with log:
            self.process = subprocess.Popen([*command, "serve", "--listen", listen], stdout=log, stderr=log)
        _wait_for_port(self.port, self.process)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def code(self) -> str:
        return self.run("site", "code", SITE).strip()

    def rows(self, query: str, *values: str) -> list[Any]:
        (path,) = [p for p in self.data.rglob("*.sqlite*") if p.suffix in (".sqlite", ".sqlite3", ".db")][:1]
        with closing(sqlite3.connect(path)) as db:
            return db.execute(query, values).fetchall()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "the centre ended"
        time.sleep(0.05)
    raise AssertionError("the centre does not listen")


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    made = Centre(tmp_path_factory.mktemp("centre") / "data", _free_port())
    made.run("site", "add", SITE, "--tenant", "acme")
    try:
        made.start()
        yield made
    finally:
        made.kill()


class Line:
    """A TCP line to the centre that can be made to swallow answers, or to break after some bytes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.swallow_answers = False
        self.break_after_bytes = 0
        self.breaks = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # what was aborted closes its socket in the loop's next round

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        pumps = [
            asyncio.create_task(self._pump(reader, up_writer, False)),
            asyncio.create_task(self._pump(up_reader, writer, True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.transport.abort()
            up_writer.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        passed = 0
        while data := await reader.read(65536):
            if answers and self.swallow_answers:
                self.breaks += 1
                return
            passed += len(data)
            if not answers and self.break_after_bytes and passed > self.break_after_bytes:
                self.breaks += 1
                return
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def line(centre: Centre) -> AsyncIterator[Line]:
    made = Line(centre.port)
    await made.start()
    yield made
    await made.stop()


@dataclass
class Box:
    """A box as far as the sync goes."""

    id: str
    folder: Path
    enrolled: Enrolled
    cloud: CloudClient
    spool: Spool

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite"

    def records(self) -> RecordSender:
        return RecordSender(self.spool, self.cloud, SITE)

    def recordings(self, **options: Any) -> RecordingSender:
        table = RecordingTable(self.spool)
        return RecordingSender(
            table, self.cloud, SITE, lambda: self.enrolled.enrolment.config_keys, **options
        )


async def enrolled_box(centre: Centre, folder: Path, url: str, box_id: str) -> Enrolled:
    return await enrol(
        centre.code(),
        url,
        box_id,
        {"kyusai": "test"},
        key=folder / "key.pem",
        enrolment=folder / "enrolment.json",
    )


@pytest.fixture
async def box(centre: Centre, line: Line, tmp_path: Path) -> AsyncIterator[Box]:
    box_id = f"box-{os.getpid()}-{random.randrange(10**9)}"
    enrolled = await enrolled_box(centre, tmp_path, line.url, box_id)
    identity = load_or_make(tmp_path / "key.pem")
    cloud = CloudClient(Transport(line.url, pinned(enrolled.ca_pem)), box_id, identity.sign)
    opened = open_spool(tmp_path / "spool.sqlite", NOW)
    yield Box(box_id, tmp_path, enrolled, cloud, opened.spool)
    await cloud.close()
    opened.close()


def new(name: str, priority: int = 1, **body: Any) -> NewRecord:
    return NewRecord(name, "cdr", priority, 1_790_000_000_000, "boot-a", {"id": name, **body})


async def drain(sender: RecordSender) -> None:
    while await sender.send():
        pass


def at_centre(centre: Centre, box: Box) -> list[tuple[int, str]]:
    query = "SELECT seq, id FROM ledger JOIN record USING (site_id, seq) WHERE box_id = ? ORDER BY seq"
    return centre.rows(query, box.id)


# ---------------------------------------------------------------------------------------------------- enrolment


async def test_box_enrols_with_the_text_and_remembers_the_centre(centre: Centre, tmp_path: Path) -> None:
    enrolled = await enrolled_box(centre, tmp_path, centre.url, "box-enrols")
    assert load_enrolled(tmp_path / "enrolment.json") == enrolled
    assert (enrolled.enrolment.site_id, enrolled.enrolment.box_id) == (SITE, "box-enrols")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"key.pem": 0o600, "enrolment.json": 0o600}


async def test_code_of_another_centre_is_refused_before_it_is_sent(centre: Centre, tmp_path: Path) -> None:
    text = centre.code()
    other = text[:-1] + ("0" if text[-1] != "0" else "1")
    with pytest.raises(EnrolmentError) as caught:
        await enrol(other, centre.url, "b", {}, key=tmp_path / "k", enrolment=tmp_path / "e")
    assert caught.value.key == "enrolment.other_centre"
    assert not (tmp_path / "k").exists()
    await enrol(text, centre.url, "box-after", {}, key=tmp_path / "k", enrolment=tmp_path / "e")


async def test_code_used_by_another_box_is_refused_and_changes_nothing(
    centre: Centre, tmp_path: Path
) -> None:
    text = centre.code()
    await enrol(text, centre.url, "box-first", {}, key=tmp_path / "k1", enrolment=tmp_path / "e1")
    with pytest.raises(EnrolmentError) as caught:
        await enrol(text, centre.url, "box-second", {}, key=tmp_path / "k2", enrolment=tmp_path / "e2")
    assert caught.value.key == "enrolment.code_used"
    assert not (tmp_path / "e2").exists()


async def test_same_command_again_finishes_an_enrolment_whose_answer_was_lost(
    centre: Centre, tmp_path: Path
) -> None:
    text = centre.code()
    files = {"key": tmp_path / "k", "enrolment": tmp_path / "e"}
    await enrol(text, centre.url, "box-again", {}, **files)
    files["enrolment"].unlink()
    enrolled = await enrol(text, centre.url, "box-again", {}, **files)
    assert enrolled.enrolment.site_id == SITE


@pytest.mark.parametrize("text", ["", "KYU-1234", "hello", "KYU-0000000000000000-zz"])
async def test_text_that_is_none_is_refused_at_once(text: str, tmp_path: Path) -> None:
    with pytest.raises(EnrolmentError) as caught:
        await enrol(text, "https://127.0.0.1:1", "b", {}, key=tmp_path / "k", enrolment=tmp_path / "e")
    assert caught.value.key == "enrolment.bad_text"


async def test_centre_with_another_ca_is_not_talked_to(box: Box, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from cloudsync.tls import ServerTls

    tls = ServerTls(tmp_path / "tls")
    (tmp_path / "tls").mkdir()
    tls.ensure(["127.0.0.1"], datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.server_pem)
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    impostor = CloudClient(Transport(url, pinned(box.enrolled.ca_pem)), box.id, lambda _: b"")
    with pytest.raises(CloudUntrusted):
        await impostor.enrolment()
    await impostor.close()
    server.close()
    assert not any(seen)


# ------------------------------------------------------------------------------------------------------- records


async def test_records_arrive_once_each_and_leave_the_spool(centre: Centre, box: Box) -> None:
    box.spool.append([new(f"{box.id}-{n}", n % 3) for n in range(1_200)])
    await drain(box.records())
    assert [id_ for _, id_ in at_centre(centre, box)] == [f"{box.id}-{n}" for n in range(1_200)]
    assert box.spool.depth().waiting == 0


async def test_lost_acknowledgements_double_nothing(centre: Centre, line: Line, box: Box) -> None:
    sender = box.records()
    await drain(sender)
    for round_ in range(5):
        names = [f"{box.id}-{round_}-{n}" for n in range(20)]
        box.spool.append([new(name) for name in names])
        line.swallow_answers = True
        with pytest.raises(CloudError):
            await sender.send()
        assert box.spool.depth().waiting == 20, "nothing leaves without the centre's word"
        line.swallow_answers = False
        await drain(sender)
    assert line.breaks >= 5
    assert len(at_centre(centre, box)) == 100
    assert sender.counters.duplicates > 0, (
        "no batch had arrived before its answer was lost: nothing was tested"
    )
    assert box.spool.depth().waiting == box.spool.depth().parked == 0


async def test_centre_killed_in_the_middle_loses_and_doubles_nothing(centre: Centre, box: Box) -> None:
    sender = box.records()
    await drain(sender)
    box.spool.append([new(f"{box.id}-{n}", text="x" * 200) for n in range(3_000)])

    async def keep_sending() -> None:
        while box.spool.depth().waiting:
            try:
                await sender.send()
            except CloudError:
                await asyncio.sleep(0.05)

    task = asyncio.create_task(keep_sending())
    for _ in range(2):
        await asyncio.sleep(0.15)
        await asyncio.to_thread(centre.kill)
        await asyncio.to_thread(centre.start)
    await asyncio.wait_for(task, 30)
    assert [id_ for _, id_ in at_centre(centre, box)] == [f"{box.id}-{n}" for n in range(3_000)]


async def test_refused_record_is_parked_and_the_rest_arrives(centre: Centre, box: Box) -> None:
    sender = box.records()
    await drain(sender)
    box.spool.append(
        [new(f"{box.id}-good"), new(f"{box.id} bad id"), new(f"{box.id}-big", text="x" * 70_000)]
    )
    await drain(sender)
    assert [id_ for _, id_ in at_centre(centre, box)] == [f"{box.id}-good"]
    parked = {id_: reason for _, id_, _, reason in box.spool.parked()}
    assert parked == {f"{box.id} bad id": "malformed", f"{box.id}-big": "too_large"}


async def test_batch_too_large_for_the_centre_is_sent_in_smaller_ones(centre: Centre, box: Box) -> None:
    noise = random.Random(7)
    sender = box.records()
    await drain(sender)
    texts = [noise.randbytes(25_000).hex() for _ in range(120)]
    box.spool.append([new(f"{box.id}-{n}", text=text) for n, text in enumerate(texts)])
    await drain(sender)
    assert len(at_centre(centre, box)) == 120
    assert box.spool.depth().parked == 0


def receipts_of(box: Box) -> Receipts:
    keys = box.enrolled.enrolment.config_keys
    return Receipts(box.spool, box.cloud, SITE, lambda: keys, box.folder / "receipt.json", time.monotonic)


async def test_receipt_for_all_records_is_kept_and_anybody_can_check_it(centre: Centre, box: Box) -> None:
    kept = receipts_of(box)
    box.spool.append([new(f"{box.id}-{n}") for n in range(7)])
    sender = RecordSender(box.spool, box.cloud, SITE, drained=kept.drained)
    await drain(sender)
    standing = kept.standing
    assert standing.receipt is not None
    assert (standing.problem, standing.receipt.complete) == ("", True)
    assert (
        standing.receipt.seq == box.spool.chain().next_seq - 1 == len(centre.rows("SELECT seq FROM record"))
    )
    assert load(box.folder / "receipt.json") == standing.receipt
    records, file = box.folder / "records.json", box.folder / "receipt.json"
    records.write_text(
        centre.kyusai("records", "--site", SITE, "--limit", "100000", "--json", "--data", str(centre.data))
    )
    key = json.loads(centre.run("keys", "--json"))[0]["public_key"]
    said = centre.kyusai("receipt", "verify", str(file), "--key", key, "--records", str(records))
    assert f"holds {standing.receipt.count} of {standing.receipt.seq} records" in said
    found = json.loads(records.read_text())
    found[3]["body"]["id"] += " altered"
    records.write_text(json.dumps(found))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        centre.kyusai("receipt", "verify", str(file), "--key", key, "--records", str(records))
    assert "altered" in caught.value.stderr
    file.write_text(file.read_text().replace(f'"count": {standing.receipt.count}', '"count": 1'))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        centre.kyusai("receipt", "verify", str(file), "--key", key)
    assert "not signed" in caught.value.stderr
    at_centre_now = json.loads(centre.run("site", "receipt", SITE))
    assert (at_centre_now["seq"], at_centre_now["hash"]) == (standing.receipt.seq, standing.receipt.hash)


async def test_receipt_tells_a_box_that_the_centre_has_lost_records(centre: Centre, box: Box) -> None:
    kept = receipts_of(box)
    await drain(box.records())
    box.spool.rechain(box.spool.chain().next_seq + 5, "a" * 64)
    box.spool.append([new(f"{box.id}-behind")])
    await drain(RecordSender(box.spool, box.cloud, SITE, drained=kept.drained))
    assert kept.standing.problem == "missing"


async def test_figures_of_an_outage_are_shown_afterwards_without_a_hole(centre: Centre, box: Box) -> None:
    await drain(box.records())
    status = Status(box.id, SITE, "Tokyo", "0", "", 1.0, survival_mode=True)
    minutes = 180

    def at(minute: int) -> NewRecord:
        told = {**series.body(status, series.EVERY_S), "mono_ms": 60_000 * minute}
        wall_ms = 1_790_000_000_000 + 60_000 * minute
        return NewRecord(f"{box.id}-stat-{minute}", RecordKind.STAT, Priority.REST, wall_ms, box.id, told)

    box.spool.append([at(minute) for minute in range(minutes)])
    box.spool.append([new(f"{box.id}-call"), new(f"{box.id}-help", Priority.EMERGENCY)])
    first = [record.id for record in box.spool.waiting(2)]
    assert first == [f"{box.id}-help", f"{box.id}-call"], "figures wait behind whatever is more urgent"
    await drain(box.records())
    shown = json.loads(
        centre.kyusai("series", SITE, "--limit", "100000", "--json", "--data", str(centre.data))
    )
    mine = [point for point in shown["points"] if point["boot_id"] == box.id]
    assert [point["mono_s"] for point in mine] == [60.0 * minute for minute in range(minutes)]
    assert shown["holes"] == []


async def test_new_disk_in_an_old_box_goes_on_where_the_centre_stands(centre: Centre, box: Box) -> None:
    box.spool.append([new(f"{box.id}-old-{n}") for n in range(3)])
    await drain(box.records())
    (last, _) = at_centre(centre, box)[-1]
    with contextlib.closing(open_spool(box.folder / "fresh.sqlite", NOW)) as opened:
        opened.spool.append([new(f"{box.id}-new")])
        await drain(RecordSender(opened.spool, box.cloud, SITE))
        assert (opened.spool.depth().waiting, opened.spool.depth().parked) == (0, 0)
    assert at_centre(centre, box)[-1] == (last + 1, f"{box.id}-new")


async def test_revoked_box_hears_so_and_keeps_its_records(centre: Centre, box: Box) -> None:
    await drain(box.records())
    box.spool.append([new(f"{box.id}-kept")])
    await asyncio.to_thread(centre.run, "revoke", box.id)
    with pytest.raises(CloudRefused) as caught:
        await box.records().send()
    assert caught.value.key == "box.revoked"
    assert box.spool.depth().waiting == 1


async def test_heartbeat_and_configuration_poll_are_answered(box: Box) -> None:
    assert "server_time_utc" in await box.cloud.heartbeat({"sent_utc": "2026-11-21T09:30:00.000Z"})
    assert await box.cloud.config(have=0, wait_s=0) is None
    await box.cloud.config_status(1, ConfigState.REFUSED, [{"path": "$", "message": "test"}])


# ---------------------------------------------------------------------------------------------------- recordings


def record_audio(box: Box, name: str, size_bytes: int = 3_000_000) -> bytes:
    folder = box.folder / "recordings"
    folder.mkdir(exist_ok=True)
    data = random.Random(name).randbytes(size_bytes)
    path = folder / f"{name}.age"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    plain = hashlib.sha256(b"plain" + data).hexdigest()
    recording_spool.add(
        name, "abc@192.0.2.20", path, plain, digest, size_bytes, "2026-11-21T09:30:00Z", 12.5, "ogg"
    )
    return data


def stored_bytes(centre: Centre, name: str) -> list[bytes]:
    return [p.read_bytes() for p in centre.data.rglob("*") if p.is_file() and name in p.name]


async def test_recording_arrives_byte_for_byte_and_is_deleted_only_then(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name)
    table, sender = RecordingTable(box.spool), box.recordings()
    assert take_in(table, box.folder / "recordings") == (1, [])
    assert take_in(table, box.folder / "recordings") == (0, [])
    box.spool.append(cursors={f"{CLASS_PREFIX}{name}": "short"})
    assert await sender.upload()
    assert stored_bytes(centre, name) == [data]
    assert centre.rows("SELECT retention FROM recording WHERE id = ?", name) == [("short",)]
    assert list((box.folder / "recordings").iterdir()) == []
    assert (table.known(), await sender.upload()) == (set(), False)


async def test_receipt_by_a_key_that_is_newer_than_the_enrolment_is_believed(
    centre: Centre, box: Box
) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 1000)
    table = RecordingTable(box.spool)
    take_in(table, box.folder / "recordings")
    assert await RecordingSender(table, box.cloud, SITE, lambda: ()).upload()
    assert table.known() == set()


async def test_receipt_by_a_stranger_deletes_nothing(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 1000)
    table = RecordingTable(box.spool)
    take_in(table, box.folder / "recordings")
    (own,) = box.enrolled.enrolment.config_keys
    forged = (ConfigKey(own.key_id, to_base64(b"\x01" * 32)),)
    with pytest.raises(CloudConfused, match="not signed"):
        await RecordingSender(table, box.cloud, SITE, lambda: forged).upload()
    assert (box.folder / "recordings" / f"{name}.age").exists()
    assert table.known() == {name}


async def test_upload_goes_on_where_the_broken_line_left_it(centre: Centre, line: Line, box: Box) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 4_000_000)
    table = RecordingTable(box.spool)
    take_in(table, box.folder / "recordings")
    sender = box.recordings(piece_bytes=256 * 1024)
    line.break_after_bytes = 400_000
    failures = 0
    while True:
        try:
            await sender.upload()
            break
        except CloudError:
            failures += 1
            assert (box.folder / "recordings" / f"{name}.age").exists()
            assert failures < 20
    assert failures >= 2
    assert stored_bytes(centre, name) == [data]
    assert sender.counters.recording_bytes <= len(data)  # no piece that was there went twice


async def test_pieces_of_one_recording_go_over_several_connections(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 1_000_000)
    take_in(RecordingTable(box.spool), box.folder / "recordings")
    put_piece, under_way, most = box.cloud.put_piece, 0, 0

    async def counted(offer: RecordingOffer, begin: int, piece: bytes, pace: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await put_piece(offer, begin, piece, pace)
        under_way -= 1

    monkeypatch.setattr(box.cloud, "put_piece", counted)
    assert await box.recordings(piece_bytes=64 * 1024, connections=5).upload()
    assert most == 5
    assert stored_bytes(centre, name) == [data]


@pytest.mark.parametrize("begun_bytes", [0, 65_536])
async def test_centre_that_knows_no_pieces_gets_one_stream(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch, begun_bytes: int
) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 300_000)
    take_in(RecordingTable(box.spool), box.folder / "recordings")
    (waiting,) = RecordingTable(box.spool).waiting(1)
    offer = box.cloud.offer
    if begun_bytes:  # by the release that was here before
        await offer(waiting.offer)
        await box.cloud.piece(name, 0, data[:begun_bytes])
    else:  # over there

        async def older(offered: RecordingOffer) -> UploadStands:
            return UploadStands((await offer(offered)).offset)

        monkeypatch.setattr(box.cloud, "offer", older)

    async def never(*_: object) -> None:
        raise AssertionError("a piece was sent")

    monkeypatch.setattr(box.cloud, "put_piece", never)
    sender = box.recordings()
    assert await sender.upload()
    assert sender.counters.recording_bytes == 300_000 - begun_bytes
    assert stored_bytes(centre, name) == [data]


async def test_piece_that_was_damaged_on_the_way_is_sent_again(
    centre: Centre, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 300_000)
    take_in(RecordingTable(box.spool), box.folder / "recordings")
    transport, request, damaged = box.cloud._transport, box.cloud._transport.request, []

    async def through_bad_memory(method: Any, path: str, **options: Any) -> Any:
        if method == "PUT" and not damaged:
            damaged.append(path)
            options["content"] = Sliced(bytes(len(options["content"])), NoLimit())
        return await request(method, path, **options)

    monkeypatch.setattr(transport, "request", through_bad_memory)
    sender = box.recordings(piece_bytes=100_000)
    with pytest.raises(CloudConfused, match="hash"):
        await sender.upload()
    assert await sender.upload()
    assert len(damaged) == 1
    assert stored_bytes(centre, name) == [data]


async def test_recording_spoilt_on_disk_is_parked_and_kept(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name)
    path = box.folder / "recordings" / f"{name}.age"
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    spoilt = bytearray(path.read_bytes())
    spoilt[1000] ^= 1
    path.write_bytes(spoilt)
    assert await sender.upload()
    assert table.parked() == [(name, "damaged on the box's disk")]
    assert path.exists()
    assert stored_bytes(centre, name) == []


async def test_recording_without_its_file_is_parked_and_holds_up_nobody(centre: Centre, box: Box) -> None:
    record_audio(box, f"rec-a-{box.id}", 1000)
    data = record_audio(box, f"rec-b-{box.id}", 1000)
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    (box.folder / "recordings" / f"rec-a-{box.id}.age").unlink()
    while await sender.upload():
        pass
    assert [name for name, _ in table.parked()] == [f"rec-a-{box.id}"]
    assert stored_bytes(centre, f"rec-b-{box.id}") == [data]


async def test_recording_under_an_id_that_nobody_handed_over_is_not_sent(centre: Centre, box: Box) -> None:
    data = record_audio(box, f"rec-a-{box.id}", 1000)
    table, sender = RecordingTable(box.spool), box.recordings()
    take_in(table, box.folder / "recordings")
    with box.spool.transaction() as db:
        db.execute("UPDATE recording SET id = ?", (f"rec-c-{box.id}",))  # a bit was flipped
    assert take_in(table, box.folder / "recordings")[0] == 1
    while await sender.upload():
        pass
    assert [name for name, _ in table.parked()] == [f"rec-c-{box.id}"]
    assert stored_bytes(centre, f"rec-c-{box.id}") == []
    assert stored_bytes(centre, f"rec-a-{box.id}") == [data]


async def test_crash_between_the_deletions_after_a_receipt_parks_nothing(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 5000)
    table, folder = RecordingTable(box.spool), box.folder / "recordings"
    take_in(table, folder)
    sidecar = (folder / f"{name}.json").read_bytes()
    assert await box.recordings().upload()
    (folder / f"{name}.json").write_bytes(sidecar)
    assert take_in(table, folder)[0] == 1
    assert await box.recordings().upload()
    assert (table.known(), table.parked(), list(folder.iterdir())) == (set(), [], [])


async def test_recording_converted_again_after_a_crash_is_sent_as_it_is_now(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    record_audio(box, name, 5000)
    table, folder = RecordingTable(box.spool), box.folder / "recordings"
    take_in(table, folder)
    data = b"the same audio, encrypted once more"
    audio = folder / f"{name}.age"
    audio.write_bytes(data)
    assert await box.recordings().upload()
    assert [id_ for id_, _ in table.parked()] == [name], "the media process has not said yet what it is"
    digest = hashlib.sha256(data).hexdigest()
    recording_spool.add(
        name, "abc@192.0.2.20", audio, "0" * 64, digest, len(data), "2026-11-21T09:30:00Z", 12.5, "ogg"
    )
    assert take_in(table, folder)[0] == 1
    assert await box.recordings().upload()
    assert stored_bytes(centre, name) == [data]


async def test_spool_lost_after_hand_over_loses_no_recording(centre: Centre, box: Box) -> None:
    name = f"rec-{box.id}"
    data = record_audio(box, name, 5000)
    with contextlib.closing(open_spool(box.folder / "other.sqlite", NOW)) as opened:
        table = RecordingTable(opened.spool)
        assert take_in(table, box.folder / "recordings")[0] == 1
        keys = box.enrolled.enrolment.config_keys
        assert await RecordingSender(table, box.cloud, SITE, lambda: keys).upload()
    assert stored_bytes(centre, name) == [data]


# ------------------------------------------------------------------------------------- the whole way, as app.py runs it


async def test_calls_in_the_journal_reach_the_centre_through_a_line_that_breaks(
    centre: Centre, line: Line, box: Box
) -> None:
    with closing(sqlite3.connect(box.journal)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(SCHEMA)
        calls = [f"{box.id}-{n}@192.0.2.20#{n:08x}" for n in range(40)]
        rows = [("", "process_start", 10, {})]
        rows += [
            (call, "start", 100 + n, {"call_id": call, "origin": "phone"}) for n, call in enumerate(calls)
        ]
        rows += [(call, "answer", 500 + n, {"index": 0}) for n, call in enumerate(calls)]
        rows += [(call, "end", 900 + n, {"cause": "normal_clearing"}) for n, call in enumerate(calls)]
        db.executemany(
            "INSERT INTO event (call, event, mono_ms, wall_ms, boot_id, data) VALUES (?, ?, ?, ?, 'boot-a', ?)",
            [(call, event, ms, 1_790_000_000_000 + ms, json.dumps(data)) for call, event, ms, data in rows],
        )
        db.commit()
    data = record_audio(box, f"rec-{box.id}", 300_000)
    switches = [Switches() for _ in range(4)]
    folder, table = box.folder / "recordings", RecordingTable(box.spool)
    errors: list[Exception] = []

    def report(error: Exception, _pause_s: float) -> None:
        errors.append(error)
        line.swallow_answers = False
        for switch in switches:
            switch.nudge.set()

    line.swallow_answers = True
    moment = Moment("boot-a", 60_000, 1_790_000_060_000)
    book = CallRecords(box.spool, box.journal, SITE, box.id)
    tasks = [
        asyncio.create_task(
            run_journal(book, lambda: moment, switches[0], report, made=switches[1].nudge.set)
        ),
        asyncio.create_task(run_records(box.records(), switches[1], report)),
        asyncio.create_task(run_recordings(box.recordings(), switches[2], report)),
        asyncio.create_task(run_pick_up(table, folder, switches[3], report, made=switches[2].nudge.set)),
    ]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (len(at_centre(centre, box)) < 40 or any(folder.iterdir())):
        await asyncio.sleep(0.1)
    for switch in switches:
        switch.stop.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    told = centre.rows("SELECT body FROM record WHERE box_id = ? AND kind = 'cdr'", box.id)
    assert sorted(json.loads(body)["call"] for (body,) in told) == sorted(calls)
    assert stored_bytes(centre, f"rec-{box.id}") == [data]
    assert errors, "the line never broke: nothing was tested"
    assert box.spool.depth().waiting == 0
