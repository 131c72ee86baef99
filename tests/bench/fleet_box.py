"""One simulated box: proves its key, sends heartbeats, holds one configuration poll, and, if it is its habit, brings
records with a true hash chain and recordings. It speaks the contract (`cloudsync.wire`) byte for byte and retries as the
agent does.
"""

import hashlib
import json
import random
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from agent.config import EMPTY_POLL_MIN_S
from agent.health import WATCH_S
from agent.heartbeat import JITTER as HEARTBEAT_JITTER
from agent.supervisor import BACKOFF_CAP_S, BACKOFF_FIRST_S, JITTER_LEAST
from cloudsync import wire
from tests.bench.fleet_plan import Habits, Identity, heartbeat
from tests.bench.fleet_wire import Connection, Loop

TOKEN_RETRY_S = 30.0
"""Who gets no token tries again within this time."""


@dataclass
class Tally:
    """What the boxes of one process saw. Times are monotonic; latencies of the window since `clear`."""

    heartbeat_ms: list[float] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    joined: int = 0
    heard: set[int] = field(default_factory=set)
    """Boxes that had a heartbeat answered since `clear`."""
    applied: Counter[int] = field(default_factory=Counter)
    """Boxes that got a version by their poll, by version."""
    applied_last_s: dict[int, float] = field(default_factory=dict)
    refused_s: dict[str, float] = field(default_factory=dict)
    """When a box first heard that it was revoked."""

    def clear(self) -> None:
        """Begin a window."""
        self.heartbeat_ms, self.done, self.failed, self.heard = [], Counter(), Counter(), set()


class SimulatedBox:
    """Two connections: heartbeats and what is sent go by one, the held poll has the other, as with the agent."""

    def __init__(
        self,
        loop: Loop,
        context: ssl.SSLContext,
        target: tuple[str, int],
        who: Identity,
        habits: Habits,
        tally: Tally,
        dice: random.Random,
    ) -> None:
        self._loop, self._who, self._habits, self._tally, self._dice = loop, who, habits, tally, dice
        self._host = f"{target[0]}:{target[1]}"
        self._beat = Connection(loop, context, target, who.address)
        self._poll = Connection(loop, context, target, who.address)
        self._token = ""
        self._version = 1
        self._lease = ""
        self._body = ("", "")
        self._poll_failures = 0
        self._waiting: list[tuple[str, Any]] = []
        self._seq, self._hash = 0, wire.GENESIS_HASH
        self._unsent: list[wire.Record] = []
        self._recordings = 0
        self._joined = self._revoked = False
        self._render()

    @property
    def polls(self) -> bool:
        """Whether its poll is held."""
        return self._poll.held

    @property
    def unsent(self) -> int:
        """Records that the centre has not acknowledged; one that is shut out keeps its own."""
        return 0 if self._revoked else len(self._unsent)

    def join(self) -> None:
        """Get a token, then begin all that the box does."""
        self._challenge(self._began)

    def enrol(self) -> None:
        """Enrol with the box's code, then `join`."""
        public_key = wire.to_base64(self._who.key.public_key().public_bytes_raw())
        body = {"code": self._who.code, "box_id": self._who.box_id, "public_key": public_key, "versions": {}}

        def answered(status: int, _body: bytes) -> None:
            if status == 200:
                self._tally.done["enrol"] += 1
                self.join()
            else:
                self._later("enrol", status, self.enrol)

        self._beat.ask(
            self._request("POST", wire.PATH_ENROL, wire.canonical_json(body).encode()),
            answered,
            lambda word: self._later("enrol", word, self.join),  # the answer may have been lost
        )

    # --- access

    def _challenge(self, then: Any) -> None:
        def answered(status: int, body: bytes) -> None:
            if status != 200:
                self._later("challenge", status, lambda: self._challenge(then))
                return
            nonce = json.loads(body)["nonce"]
            signature = self._who.key.sign(wire.token_signing_bytes(self._who.box_id, nonce))
            proof = {"box_id": self._who.box_id, "nonce": nonce, "signature": wire.to_base64(signature)}
            self._beat.ask(
                self._request("POST", wire.PATH_TOKEN, wire.canonical_json(proof).encode()),
                lambda status, body: self._given(status, body, then),
                lambda word: self._later("token", word, lambda: self._challenge(then)),
            )

        self._beat.ask(
            self._request("POST", wire.PATH_TOKEN_CHALLENGE, b'{"box_id":"%s"}' % self._who.box_id.encode()),
            answered,
            lambda word: self._later("challenge", word, lambda: self._challenge(then)),
        )

    def _given(self, status: int, body: bytes, then: Any) -> None:
        if status != 200:
            self._later("token", status, lambda: self._challenge(then))
            return
        self._token = json.loads(body)["token"]
        self._tally.done["token"] += 1
        then()

    def _later(self, what: str, why: object, call: Any) -> None:
        self._tally.failed[f"{what} {why}"] += 1
        self._loop.at(time.monotonic() + self._dice.uniform(0, TOKEN_RETRY_S), call)

    def _began(self) -> None:
        habits, now_s = self._habits, time.monotonic()
        self._heartbeat(now_s)
        self._ask_config()
        if self._who.number % 1000 < 1000 * habits.records_share:
            self._loop.at(now_s + self._dice.uniform(0, habits.records_every_s), self._make_records)
        if self._who.number % 1000 < 1000 * habits.recordings_share:
            self._loop.at(now_s + self._dice.uniform(0, habits.recordings_every_s), self._make_recording)

    # --- heartbeat

    def _render(self) -> None:
        self._body = heartbeat(self._who, self._version, self._lease)

    def _heartbeat(self, due_s: float) -> None:
        if self._revoked:
            return
        if self._beat.busy:  # a record or recording is on the way; the agent would use another connection
            self._loop.at(time.monotonic() + 0.05, lambda: self._heartbeat(due_s))
            return
        sent_utc = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        body = f"{self._body[0]}{sent_utc}{self._body[1]}".encode()
        self._beat.ask(
            self._request("POST", wire.PATH_HEARTBEAT, body),
            lambda status, answer: self._heard(due_s, status, answer),
            lambda word: self._unheard(due_s, word),
        )

    def _heard(self, due_s: float, status: int, body: bytes) -> None:
        if status != 200:
            self._unheard(due_s, status, body)
            return
        now_s = time.monotonic()
        self._tally.done["heartbeat"] += 1
        self._tally.heartbeat_ms.append((now_s - due_s) * 1000)
        self._tally.heard.add(self._who.number)
        if not self._joined:
            self._joined = True
            self._tally.joined += 1
        lease = json.loads(body)["lease"]
        if lease != self._lease:
            self._lease = lease
            self._render()
        self._next_heartbeat(now_s)
        self._send_waiting()

    def _unheard(self, due_s: float, why: object, body: bytes = b"") -> None:
        if b'"box.revoked"' in body:
            self._shut_out()
            return
        self._tally.failed[f"heartbeat {why}"] += 1
        if why == 401:
            self._challenge(lambda: self._heartbeat(time.monotonic()))
            return
        self._next_heartbeat(time.monotonic())

    def _shut_out(self) -> None:
        self._revoked = True
        self._tally.refused_s.setdefault(self._who.box_id, time.monotonic())

    def _next_heartbeat(self, now_s: float) -> None:
        due_s = now_s + self._habits.heartbeat_s * self._dice.uniform(*HEARTBEAT_JITTER)
        self._loop.at(due_s, lambda: self._heartbeat(due_s))

    # --- configuration

    def _ask_config(self) -> None:
        if self._revoked:
            return
        path = f"{wire.PATH_CONFIG}?have={self._version}&wait_s={self._habits.poll_s:g}"
        self._poll.ask(self._request("GET", path), self._config, self._config_failed)

    def _config(self, status: int, body: bytes) -> None:
        if status == 204:
            self._tally.done["poll"] += 1
            self._poll_failures = 0
            self._loop.at(time.monotonic() + EMPTY_POLL_MIN_S, self._ask_config)
            return
        if status == 403:
            self._shut_out()
            return
        if status != 200:
            self._config_failed(str(status))
            return
        self._poll_failures = 0
        self._version = int(json.loads(body)["version"])
        self._tally.done["document"] += 1
        self._tally.applied[self._version] += 1
        self._tally.applied_last_s[self._version] = time.monotonic()
        self._render()
        watch_s = WATCH_S * self._dice.uniform(1.0, 1.1)
        self._loop.at(time.monotonic() + watch_s, self._tell)

    def _tell(self) -> None:
        """The version has been watched for as long as the agent does."""
        told = {"version": self._version, "state": "applied", "problems": []}
        self._poll.ask(
            self._request("POST", wire.PATH_CONFIG_STATUS, wire.canonical_json(told).encode()),
            lambda status, _body: self._told(status),
            self._told,
        )

    def _told(self, status: object) -> None:
        self._tally.done["status"] += status == 204
        if status != 204:
            self._tally.failed[f"status {status}"] += 1
        self._ask_config()

    def _config_failed(self, why: str) -> None:
        if self._revoked:
            return
        self._tally.failed[f"poll {why}"] += 1
        limit_s = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2**self._poll_failures)
        self._poll_failures = min(self._poll_failures + 1, 10)
        pause_s = limit_s * self._dice.uniform(JITTER_LEAST, 1.0)
        self._loop.at(time.monotonic() + pause_s, self._ask_config)

    # --- records and recordings: they share the heartbeats' connection

    def _send_waiting(self) -> None:
        if self._waiting and not self._beat.busy:
            what, send = self._waiting.pop(0)
            send(what)

    def _make_records(self) -> None:
        for _ in range(self._habits.records_each):
            self._seq += 1
            record = wire.chain_record(
                self._hash,
                seq=self._seq,
                record_id=f"{self._who.box_id}-{self._seq}",
                kind="cdr",
                priority=1,
                created_utc="2026-11-21T00:00:00.000Z",
                boot_id=self._who.boot_id,
                body={
                    "caller": "201",
                    "dialled": "0312345678",
                    "n": self._seq,
                    "氏名": "佐藤",
                    "route": ["cloud"],
                },
            )
            self._hash = record.hash
            self._unsent.append(record)
        self._waiting.append(("records", self._send_records))
        self._send_waiting()
        self._loop.at(time.monotonic() + self._habits.records_every_s, self._make_records)

    def _send_records(self, what: str) -> None:
        batch = self._unsent[: wire.BATCH_RECORDS_MAX]
        if not batch:
            self._send_waiting()
            return
        body = wire.encode_batch(self._who.site_id, self._who.box_id, batch)

        def answered(status: int, answer: bytes) -> None:
            if status != 200:
                self._put_off(what, self._send_records, status)
                return
            results = wire.decode_results(answer, [record.id for record in batch])
            stored = sum(result.status in ("stored", "duplicate") for result in results)
            self._tally.done["record"] += stored
            if stored < len(batch):
                self._tally.failed["record refused"] += len(batch) - stored
            del self._unsent[: len(batch)]
            self._send_waiting()

        self._beat.ask(
            self._request("POST", wire.PATH_RECORDS, body, "Content-Encoding: gzip\r\n"),
            answered,
            lambda word: self._put_off(what, self._send_records, word),
        )

    def _put_off(self, what: str, send: Any, why: object) -> None:
        """Tried again after the next heartbeat that is answered."""
        if why == 403:
            self._shut_out()
            return
        self._tally.failed[f"{what} {why}"] += 1
        self._waiting.append((what, send))

    def _make_recording(self) -> None:
        self._recordings += 1
        name = f"{self._who.box_id}-{self._recordings}"
        cipher = hashlib.shake_256(name.encode()).digest(self._habits.recording_bytes)
        self._waiting.append((name, lambda name: self._offer(name, cipher)))
        self._send_waiting()
        self._loop.at(time.monotonic() + self._habits.recordings_every_s, self._make_recording)

    def _offer(self, name: str, cipher: bytes) -> None:
        offer = wire.RecordingOffer(
            *(name, "call-1", hashlib.sha256(name.encode()).hexdigest(), hashlib.sha256(cipher).hexdigest()),
            *(len(cipher), "2026-11-21T00:00:00.000Z", 12.5, "opus"),
        )
        again = lambda why: self._put_off("recording", lambda _what: self._offer(name, cipher), why)  # noqa: E731
        path = f"{wire.PATH_RECORDINGS}/{name}"

        def offered(status: int, _body: bytes) -> None:
            if status != 201:
                again(status)
                return
            extra = "Upload-Offset: 0\r\n"
            kind = "application/offset+octet-stream"
            self._beat.ask(self._request("PATCH", path, cipher, extra, kind), sent, again)

        def sent(status: int, _body: bytes) -> None:
            if status != 204:
                again(status)
                return
            self._beat.ask(self._request("GET", path), receipted, again)

        def receipted(status: int, body: bytes) -> None:
            if status != 200 or json.loads(body)["state"] != "stored":
                again(f"{status} without a receipt")
                return
            self._tally.done["recording"] += 1
            self._send_waiting()

        body = wire.canonical_json(wire.as_json(offer)).encode()
        self._beat.ask(self._request("POST", wire.PATH_RECORDINGS, body), offered, again)

    def _request(
        self, method: str, path: str, body: bytes = b"", extra: str = "", kind: str = "application/json"
    ) -> bytes:
        """The headers that the agent's client sends."""
        token = f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        length = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: application/json\r\n"
            f"Accept-Encoding: identity\r\nConnection: keep-alive\r\nUser-Agent: kyusai\r\n{length}{extra}{token}\r\n"
        )
        return head.encode() + body
