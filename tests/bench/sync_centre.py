"""A real centre under a load of batches that boxes have ready: what a record costs it, how many it takes, bytes on the line.

Boxes send as `agent.cloud_client` does (the same bytes, the same headers), each on a connection of its own, a batch after the
answer to the one before.
"""

import os
import socket
import ssl
import struct
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent import batch_coding
from cloudsync.layout import CentreLayout
from cloudsync.settings import StoreSettings, save
from cloudsync.wire import (
    BATCH_RECORDS_MAX,
    CODING_ZSTD,
    PATH_RECORDS,
    PREFER_SHORT,
    Record,
    batch_json,
    ids_sha256,
)
from tests.bench.sync_records import chained
from tests.helpers.centre_box import ADDRESS, Box, CentreProcess, prepare_site
from tests.lab.postgres import PostgresServer

WARM_BATCHES = 2
"""Sent by each box before the measurement: statements are compiled, connections are up."""
_TCP_INFO_BYTES = 256
_BYTES_ACKED_AT, _BYTES_RECEIVED_AT = 120, 128
"""Where `struct tcp_info` of Linux (include/uapi/linux/tcp.h) has tcpi_bytes_acked and tcpi_bytes_received."""


def cpu_s(pid: int) -> float:
    """Time that a process with all its threads has spent on a processor so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """What one box has ready: its batches as records, as JSON, and as they travel."""

    site: str
    box: str
    batches: list[list[Record]] = field(repr=False)
    plain: list[bytes] = field(repr=False)
    coded: list[bytes] = field(repr=False)

    @property
    def records(self) -> int:
        """How many records it has."""
        return sum(map(len, self.batches))


def loads(boxes: int, batches: int) -> list[Load]:
    """The same for every subject of a round."""
    made = []
    for number in range(boxes):
        site, box = f"site-{number}", f"site-{number}-a"
        records = list(chained(site, box, batches * BATCH_RECORDS_MAX, seed=number + 1))
        cut = [records[at : at + BATCH_RECORDS_MAX] for at in range(0, len(records), BATCH_RECORDS_MAX)]
        plain = [batch_json(site, box, batch) for batch in cut]
        made.append(Load(site, box, cut, plain, [batch_coding.coded(one, CODING_ZSTD) for one in plain]))
    return made


class Line:
    """One box's connection."""

    def __init__(self, centre: CentreProcess, box: Box) -> None:
        self._token = box.http.headers["Authorization"]
        raw = socket.create_connection((ADDRESS, centre.port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.create_default_context(cadata=box.ca_pem)
        self._socket = context.wrap_socket(raw, server_hostname=ADDRESS)
        self._answers = self._socket.makefile("rb")

    def send(self, body: bytes, ids: list[str]) -> None:
        """One batch; returns when the centre has said that all of it is stored."""
        head = (
            f"POST {PATH_RECORDS} HTTP/1.1\r\nHost: {ADDRESS}\r\nAccept: application/json\r\n"
            f"Accept-Encoding: identity\r\nConnection: keep-alive\r\nUser-Agent: kyusai\r\n"
            f"Content-Type: application/json\r\nContent-Encoding: {CODING_ZSTD}\r\nPrefer: {PREFER_SHORT}\r\n"
            f"Authorization: {self._token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        status, length = self._answers.readline(), 0
        while (line := self._answers.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        answer = self._answers.read(length)
        said = f'"status":"stored","count":{len(ids)},"ids_sha256":"{ids_sha256(ids)}"'
        assert b" 200 " in status and said.encode() in answer, (status, answer[:300])

    def bytes(self) -> int:
        """What went over the line so far, both ways: TLS and HTTP with their heads, without those of TCP and IP."""
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        sent, received = (
            struct.unpack_from("<Q", info, at)[0] for at in (_BYTES_ACKED_AT, _BYTES_RECEIVED_AT)
        )
        return int(sent + received)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class Centre:
    """`kyusai centre serve` on a fresh store; `url` of a PostgreSQL database, "" for SQLite in its folder."""

    def __init__(self, folder: Path, url: str = "") -> None:
        data = folder / "centre"
        data.mkdir(mode=0o700)
        if url:
            save(CentreLayout(data).settings, StoreSettings(url, ""))
        self.process = CentreProcess(data).start()

    def box(self, site: str, box: str) -> Box:
        """An enrolled box."""
        with self.process.store() as store:
            text = prepare_site(store, site)
        return Box.enrolled(self.process.url, text, box)

    @property
    def pid(self) -> int:
        """Of the serving process."""
        assert self.process._process is not None
        return self.process._process.pid

    def stop(self) -> None:
        """End in order."""
        self.process.stop()


def measured(store: str, work: list[Load]) -> dict[str, float]:
    """Microseconds of the centre's CPU per record, records a second, and bytes on the line per record; of PostgreSQL also
    the database's own CPU."""
    with tempfile.TemporaryDirectory(prefix="kyusai-bench-") as folder:
        server = PostgresServer(durable=True).start() if store == "postgres" else None
        try:
            url = server.create_database("bench") if server else ""
            centre = Centre(Path(folder), url)
            try:
                return _measured(centre, server, work)
            finally:
                centre.stop()
        finally:
            if server:
                server.stop()


def _measured(centre: Centre, server: PostgresServer | None, work: list[Load]) -> dict[str, float]:
    lines = [Line(centre.process, centre.box(load.site, load.box)) for load in work]
    ended: list[float] = []
    failed: list[BaseException] = []

    def send(line: Line, load: Load, batches: slice) -> None:
        try:
            for body, records in zip(load.coded[batches], load.batches[batches], strict=True):
                line.send(body, [record.id for record in records])
            ended.append(time.monotonic())
        except BaseException as error:
            failed.append(error)

    def all_send(batches: slice) -> None:
        threads = [
            threading.Thread(target=send, args=(line, load, batches))
            for line, load in zip(lines, work, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    all_send(slice(0, WARM_BATCHES))
    ended.clear()
    bytes_before, database_before_s = sum(line.bytes() for line in lines), server.cpu_s() if server else 0.0
    cpu_before_s, began_s = cpu_s(centre.pid), time.monotonic()
    all_send(slice(WARM_BATCHES, None))
    records = sum(load.records - WARM_BATCHES * BATCH_RECORDS_MAX for load in work)
    found = {
        "cpu_us_per_record": (cpu_s(centre.pid) - cpu_before_s) * 1e6 / records,
        "records_per_s": records / (max(ended) - began_s),
        "bytes_per_record": (sum(line.bytes() for line in lines) - bytes_before) / records,
    }
    if server:
        found["database_cpu_us_per_record"] = (server.cpu_s() - database_before_s) * 1e6 / records
    for line in lines:
        line.close()
    return found
