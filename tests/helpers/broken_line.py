"""A box and a real centre, as a process, with a line between them that swallows answers, or breaks."""

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import recording_spool
from agent.cloud_client import CloudClient
from agent.cloud_transport import Transport, pinned
from agent.enrol import enrol
from agent.identity import Enrolled, load_or_make
from agent.journal_events import Moment
from agent.receipts import Receipts
from agent.recording_table import RecordingTable
from agent.recording_upload import RecordingSender
from agent.records import NewRecord
from agent.spool import Spool
from agent.spool_files import open_spool
from agent.upload import RecordSender

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
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout

    def kyusai(self, *arguments: str, lang: str = "en") -> str:
        command = [sys.executable, str(ROOT / "kyusai_cli.py"), *arguments]
        environment = {**os.environ, "KYUSAI_LANG": lang}
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=120, env=environment
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
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "the centre ended"
        time.sleep(0.05)
    raise AssertionError("the centre does not listen")


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


@contextlib.contextmanager
def running_centre(folder: Path) -> Iterator[Centre]:
    """A centre with one site."""
    made = Centre(folder / "data", _free_port())
    made.run("site", "add", SITE, "--tenant", "acme")
    try:
        made.start()
        yield made
    finally:
        made.kill()


@contextlib.asynccontextmanager
async def line_to(centre: Centre) -> AsyncIterator[Line]:
    """A line to the centre, well at first."""
    made = Line(centre.port)
    await made.start()
    yield made
    await made.stop()


@contextlib.asynccontextmanager
async def box_of(centre: Centre, line: Line, folder: Path) -> AsyncIterator[Box]:
    """A new box that is enrolled at the centre by way of the line."""
    box_id = f"box-{os.getpid()}-{random.randrange(10**9)}"
    enrolled = await enrolled_box(centre, folder, line.url, box_id)
    identity = load_or_make(folder / "key.pem")
    cloud = CloudClient(Transport(line.url, pinned(enrolled.ca_pem)), box_id, identity.sign)
    opened = open_spool(folder / "spool.sqlite", NOW)
    yield Box(box_id, folder, enrolled, cloud, opened.spool)
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


def receipts_of(box: Box) -> Receipts:
    keys = box.enrolled.enrolment.config_keys
    return Receipts(box.spool, box.cloud, SITE, lambda: keys, box.folder / "receipt.json", time.monotonic)


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
