"""A real centre as a process of its own, and a box that talks to it over TLS. For the tests `test_centre_*`."""

import contextlib
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloudsync import wire
from cloudsync.service.centre import Centre, open_centre
from cloudsync.service.enrolment import make_code
from cloudsync.service.sites import add_site
from tests.helpers.centre_stores import prepared

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60.0
ADDRESS = "127.0.99.50"


def free_port(address: str = ADDRESS) -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


_clients: dict[str, list[httpx.Client]] = {}
"""Open connections by centre."""


def fetch_ca(url: str) -> str:
    """The CA's PEM, not verified: the caller checks its fingerprint, or does not mind."""
    return httpx.get(url + wire.PATH_CA, verify=False).text  # noqa: S501 - see above


class CentreProcess:
    """`kyusai centre serve` on a data folder; `kill` is SIGKILL, `start` brings it back on the same port."""

    def __init__(self, data_dir: Path, database: str = "sqlite") -> None:
        self.database = database
        self.data_dir = prepared(data_dir, database)
        self.port = free_port()
        self.url = f"https://{ADDRESS}:{self.port}"
        self.log = data_dir.parent / "centre.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "kyusai_cli.py", "centre", "serve"),
                    *("--data", str(self.data_dir), "--listen", f"{ADDRESS}:{self.port}"),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError), socket.create_connection((ADDRESS, self.port), 1):
                return self
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"the centre did not start: {self.log.read_text()}")

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """SIGTERM, as systemd does; gives the exit code. The boxes' connections are closed too."""
        for client in _clients.pop(self.url, ()):
            client.close()
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int | None:
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(15)

    def store(self) -> contextlib.AbstractContextManager[Centre]:
        """The data folder opened by this process as well, as the administrator's commands do."""
        return opened(self.data_dir)


@contextlib.contextmanager
def opened(data_dir: Path) -> Iterator[Centre]:
    """A centre's data folder, closed afterwards."""
    centre = open_centre(data_dir)
    try:
        yield centre
    finally:
        centre.close()


def prepare_site(centre: Centre, site_id: str = "tokyo-1", tenant: str = "acme") -> str:
    """Add the site and give an enrolment text for it."""
    add_site(centre, site_id, f"Site {site_id}", tenant, (), "admin:test")
    return make_code(centre, site_id, 1.0, "admin:test")[0]


class Box:
    """A box: its key, its pinned CA, its token."""

    def __init__(self, url: str, box_id: str, ca_pem: str) -> None:
        self.box_id = box_id
        self.ca_pem = ca_pem
        self.key = Ed25519PrivateKey.generate()
        self.site_id = ""
        self._context = ssl.create_default_context(cadata=ca_pem)
        self.http = httpx.Client(base_url=url, verify=self._context, timeout=30)
        _clients.setdefault(url, []).append(self.http)

    @classmethod
    def enrolled(cls, url: str, text: str, box_id: str = "tokyo-1-a") -> Self:
        """Fetch the CA, check it against the text, enrol, get a token."""
        parsed = wire.parse_enrolment(text)
        pem = fetch_ca(url)
        assert wire.ca_fingerprint(pem).startswith(parsed.ca_fingerprint)
        box = cls(url, box_id, pem)
        answer = box.enrol(parsed.code)
        assert answer.status_code == 200, answer.text
        box.site_id = wire.enrolment_from(answer.json()).site_id
        box.get_token()
        return box

    def as_(self, other: "Box") -> Self:
        """The same box as `other`, by a connection of its own."""
        self.site_id, self.key = other.site_id, other.key
        return self

    def enrol(self, code: str) -> httpx.Response:
        """POST /v1/enrol."""
        return self.http.post(
            wire.PATH_ENROL,
            json={
                "code": code,
                "box_id": self.box_id,
                "public_key": self.public_key(),
                "versions": {"kyusai": "0"},
            },
        )

    def public_key(self) -> str:
        """As it travels."""
        return wire.to_base64(self.key.public_key().public_bytes_raw())

    def ask_token(self, key: Ed25519PrivateKey | None = None, nonce: str = "") -> httpx.Response:
        """The answer to POST /v1/token for a signature with `key` (its own by default)."""
        nonce = (
            nonce or self.http.post(wire.PATH_TOKEN_CHALLENGE, json={"box_id": self.box_id}).json()["nonce"]
        )
        signature = (key or self.key).sign(wire.token_signing_bytes(self.box_id, nonce))
        return self.http.post(
            wire.PATH_TOKEN,
            json={"box_id": self.box_id, "nonce": nonce, "signature": wire.to_base64(signature)},
        )

    def get_token(self) -> None:
        """Get a token and use it from now on."""
        answer = self.ask_token()
        assert answer.status_code == 200, answer.text
        self.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def send(self, records: list[wire.Record]) -> list[wire.RecordResult]:
        """POST /v1/records."""
        answer = self.post_batch(wire.encode_batch(self.site_id, self.box_id, records))
        assert answer.status_code == 200, answer.text
        return wire.decode_results(answer.content, [record.id for record in records])

    def post_batch(self, body: bytes, **headers: str) -> httpx.Response:
        """POST /v1/records with a body of any kind."""
        default = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return self.http.post(wire.PATH_RECORDS, content=body, headers=default | headers)

    def offer(self, recording_id: str, cipher: bytes, **changes: Any) -> httpx.Response:
        """POST /v1/recordings."""
        body = {
            "id": recording_id,
            "call": "call-1",
            "sha256": hashlib.sha256(b"plain " + recording_id.encode()).hexdigest(),
            "cipher_sha256": hashlib.sha256(cipher).hexdigest(),
            "bytes": len(cipher),
            "started_utc": "2026-11-21T00:00:00.000Z",
            "duration_s": 12.5,
            "format": "opus",
        }
        return self.http.post(wire.PATH_RECORDINGS, json=body | changes)

    def put(
        self, recording_id: str, begin: int, piece: bytes, cipher: bytes, **headers: str
    ) -> httpx.Response:
        """Send the piece of `cipher` that begins at a byte. headers: with _ for -."""
        given = {
            wire.PIECE_DIGEST_HEADER: wire.piece_digest(piece),
            "If-Match": f'"{hashlib.sha256(cipher).hexdigest()}"',
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.put(wire.piece_path(recording_id, begin), content=piece, headers=given)

    def patch(self, recording_id: str, offset: int, piece: bytes) -> httpx.Response:
        """PATCH /v1/recordings/{id}."""
        return self.http.patch(
            f"{wire.PATH_RECORDINGS}/{recording_id}",
            content=piece,
            headers={"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"},
        )

    def offset(self, recording_id: str) -> int:
        """HEAD /v1/recordings/{id}."""
        return int(self.http.head(f"{wire.PATH_RECORDINGS}/{recording_id}").headers["Upload-Offset"])

    def recording(self, recording_id: str) -> dict[str, Any]:
        """GET /v1/recordings/{id}."""
        answer: dict[str, Any] = self.http.get(f"{wire.PATH_RECORDINGS}/{recording_id}").json()
        return answer


def chain(
    count: int, *, begin: int = 1, prev_hash: str = wire.GENESIS_HASH, prefix: str = "r"
) -> list[wire.Record]:
    """`count` CDRs in a row."""
    records: list[wire.Record] = []
    for seq in range(begin, begin + count):
        record = wire.chain_record(
            prev_hash,
            seq=seq,
            record_id=f"{prefix}-{seq}",
            kind="cdr",
            priority=1,
            created_utc="2026-11-21T00:00:00.000Z",
            boot_id="boot-1",
            body={"caller": "201", "dialled": "202", "n": seq, "氏名": "佐藤"},
        )
        records.append(record)
        prev_hash = record.hash
    return records


def random_bytes(size: int, seed: int) -> bytes:
    """The same bytes for the same seed."""
    return hashlib.shake_256(seed.to_bytes(8, "big")).digest(size)


def environment(**changes: str) -> dict[str, str]:
    """The environment of a command under test."""
    return {**os.environ, "KYUSAI_LANG": "en", **changes}
