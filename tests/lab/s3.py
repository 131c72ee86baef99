"""An S3 server of one's own: SeaweedFS (one program) on a loopback address, gone with whoever started it.

Its one user's name and secret are made anew each time; what it holds lies in a folder under /tmp.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

import httpx
from obstore.store import S3Store

from tests.lab.own_folder import OwnFolder

PROGRAM = Path(sys.executable).parent / "weed"
ADDRESS = f"127.{128 + (os.getpid() >> 16)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""Of this process alone: some of the server's ports cannot be chosen. Process ids have 22 bits at most."""
REGION = "us-east-1"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
POLL_S = 0.05
SOCKETS = Path("/tmp")  # noqa: S108 - its program knows no other place
"""Where it puts a socket for each of its ports."""
VOLUME_MB = 64
"""Small volumes: the server sets aside a few of them for each bucket."""


class S3Server:
    """One server with one user. ``kill`` is SIGKILL, ``start`` brings it back with what it had."""

    def __init__(self) -> None:
        self._own = OwnFolder("kyusai-s3-")
        self.folder = self._own.path
        self.log = self.folder / "server.log"
        self.key_id, self.secret = secrets.token_hex(8), secrets.token_hex(16)
        self._ports = _free_ports(8)
        self._process: subprocess.Popen[bytes] | None = None
        config = self.folder / "s3.json"
        credentials = [{"accessKey": self.key_id, "secretKey": self.secret}]
        identity = {
            "name": "kyusai",
            "credentials": credentials,
            "actions": ["Admin", "Read", "List", "Write"],
        }
        config.write_text(json.dumps({"identities": [identity]}))
        (self.folder / "data").mkdir()

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return f"http://{ADDRESS}:{self._ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client finds its credentials in."""
        return {"AWS_ACCESS_KEY_ID": self.key_id, "AWS_SECRET_ACCESS_KEY": self.secret}

    def url(self, bucket: str, prefix: str = "") -> str:
        """The URL of a place in it, as the centre takes it."""
        return f"s3://{bucket}/{prefix}?endpoint={quote(self.endpoint, safe='')}&region={REGION}"

    def start(self) -> Self:
        """Start and wait until it takes requests."""
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = map(str, self._ports)
        words = {
            "ip": ADDRESS,
            "ip.bind": ADDRESS,
            "dir": str(self.folder / "data"),
            "master.port": master,
            "master.port.grpc": master_grpc,
            "master.volumeSizeLimitMB": str(VOLUME_MB),
            "master.raftHashicorp": "false",
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "volume.max": "100",
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "s3.port": s3,
            "s3.port.grpc": s3_grpc,
            "s3.config": str(self.folder / "s3.json"),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", str(PROGRAM), "server", "-filer", "-s3"),
                    *(f"-{name}={value}" for name, value in words.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"HOME": str(self.folder), "TMPDIR": str(self.folder), "PATH": os.environ["PATH"]},
            )
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            assert self._process.poll() is None, self.log.read_text()
            try:
                self.create_bucket("ready")
                return self
            except (httpx.HTTPError, AssertionError):
                time.sleep(POLL_S)
        raise AssertionError(f"SeaweedFS did not start: {self.log.read_text()[-3000:]}")

    def create_bucket(self, name: str) -> str:
        """Make a bucket and give its URL."""
        from obstore import sign

        store = S3Store(
            name,
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=self.key_id,
            secret_access_key=self.secret,
            client_options={"allow_http": True},
        )
        from datetime import timedelta

        answer = httpx.put(sign(store, "PUT", "", timedelta(seconds=60)), timeout=10)
        assert answer.status_code in (200, 409), answer.text
        return self.url(name)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End and remove what it held."""
        self._end(signal.SIGKILL)
        for port in self._ports:
            for socket_file in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink(missing_ok=True)
        self._own.remove()

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(STOP_LIMIT_S)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((ADDRESS, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
