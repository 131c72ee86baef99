"""Telephones for the benchmarks of media applications: they call, speak, time what they hear, and hear nothing twice.

`python -m tests.bench.app_phones SETTINGS` is one process with all of them, spoken to in JSON lines as `tests.lab.worker`
does. A call sends G.711 from its answer on, as a telephone does; what comes in is looked at until the first sound, and
after that only on demand, so that hundreds of calls cost the measured machine little.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.bench.hearing import Hearing, outcome
from tests.lab import g711, sipmsg, tones
from tests.lab.sipcall import Dialog, Incoming
from tests.lab.sipua import Ua

FRAME_S, FRAME_SAMPLES, RATE_HZ = 0.020, 160, 8_000
HEAD = struct.Struct("!BBHII")
TONE_HZ = 400
"""Twenty samples a period: every packet of it is the same."""

LOUD = 0.02
"""Of full scale. A packet with sound has at least `LOUD_SAMPLES` samples above."""
LOUD_SAMPLES = 20
QUIET = bytes(code for code in range(256) if abs(float(g711.decode(bytes([code]), g711.PCMU)[0])) <= LOUD)

ANSWER_S, SOUND_S = 15.0, 10.0
"""How long a call may take until it is answered, and from then until something is heard. Far beyond any limit measured."""

READY_BYTES = 2048

ARRIVED, ARRIVED_BYTES, STAMP = 35, 64, struct.Struct("@qq")
"""SO_TIMESTAMPNS, in which the kernel says when a packet arrived: silence is what did not arrive, not what was read late."""


class Line:
    """One call's audio."""

    def __init__(self, address: str) -> None:
        """Opens the socket and begins to listen."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, ARRIVED, 1)
        self._socket.bind((address, 0))
        self.port = int(self._socket.getsockname()[1])
        self.peer: tuple[str, int] | None = None
        self.sound_at: float | None = None
        self.heard = asyncio.Event()
        self._hearing: Hearing | None = None
        self._listening = False
        self._sequence = int.from_bytes(os.urandom(2))
        self._source = int.from_bytes(os.urandom(4))
        self.listen()

    def listen(self, *, follow: bool = False) -> None:
        """Look at what comes in: until there is sound, or (follow) until `deafen`."""
        self._hearing = None
        if follow:
            self._drain()
            self._hearing = Hearing(time.monotonic())
        if not self._listening:
            asyncio.get_running_loop().add_reader(self._socket, self._receive)
            self._listening = True

    def heard_since(self) -> Hearing | None:
        """What was heard since it was followed, and is waiting to be read included."""
        if self._hearing is not None:
            self._receive()
        return self._hearing

    def deafen(self) -> None:
        """Leave what comes in to the kernel, which throws it away."""
        if self._listening:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._listening = False

    def send(self, packet: bytes) -> None:
        """One packet's payload to the other side, if it is known."""
        if self.peer is None:
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        head = HEAD.pack(
            0x80, g711.PCMU, self._sequence, self._sequence * FRAME_SAMPLES & 0xFFFFFFFF, self._source
        )
        with contextlib.suppress(OSError):
            self._socket.sendto(head + packet, self.peer)

    def close(self) -> None:
        """End it."""
        self.deafen()
        self._socket.close()

    def _receive(self) -> None:
        now = time.monotonic()
        behind = time.time() - now  # the kernel's stamps are of the clock on the wall
        with contextlib.suppress(OSError):
            while True:
                packet, stamps, _, _ = self._socket.recvmsg(READY_BYTES, ARRIVED_BYTES)
                if len(packet[12:].translate(None, QUIET)) < LOUD_SAMPLES:
                    continue
                if self.sound_at is None:
                    self.sound_at = now
                    self.heard.set()
                if self._hearing is None:
                    self.deafen()
                    return
                self._hearing.sound(_arrived(stamps, now + behind) - behind)

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._socket.recv(READY_BYTES)


@dataclass
class Up:
    """A call that stands."""

    ua: Ua
    line: Line
    dialog: Dialog


@dataclass
class Phones:
    """All of them. accounts: number, password and address of each."""

    server: tuple[str, int]
    domain: str
    accounts: list[tuple[str, str, str]]
    _uas: list[Ua] = field(default_factory=list)
    _up: dict[str, Up] = field(default_factory=dict)
    _lines: set[Line] = field(default_factory=set)
    _followed: list[Up] = field(default_factory=list)
    _sending: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open every telephone's socket and register it."""
        for number, password, address in self.accounts:
            ua = Ua(
                number,
                address,
                self.server,
                password=password,
                domain=self.domain,
                on_request=self._came,
            )
            await ua.__aenter__()
            self._uas.append(ua)
        for answer in await asyncio.gather(*(ua.register(3600, 15.0) for ua in self._uas)):
            if answer.code != 200:
                raise ConnectionRefusedError(f"REGISTER: {answer.code} {answer.reason}")
        self._sending = asyncio.create_task(self._send())

    async def close(self) -> None:
        """End calls, then everything."""
        await self.do_empty()
        if self._sending is not None:
            self._sending.cancel()
        for ua in self._uas:
            await ua.__aexit__(None, None, None)

    async def do_call(
        self, number: str, count: int, rate_per_s: float, hold_s: float = 0.0
    ) -> list[dict[str, Any]]:
        """Place calls, `rate_per_s` of them each second, whatever becomes of those before. hold_s: from sound to hanging up;
        0 leaves them up. Of each: code, answer_ms and sound_ms from its first INVITE (None: never)."""
        begin_s = time.monotonic()
        calls = []
        for index in range(count):
            await asyncio.sleep(max(0.0, begin_s + index / rate_per_s - time.monotonic()))
            calls.append(asyncio.create_task(self._call(self._uas[index % len(self._uas)], number, hold_s)))
        return list(await asyncio.gather(*calls))

    async def do_follow(self) -> int:
        """From now on look at every packet of the calls that are up; returns how many there are."""
        self._followed = list(self._up.values())
        for one in self._followed:
            one.line.listen(follow=True)
        return len(self._followed)

    async def do_followed(self) -> dict[str, Any]:
        """What became of them since, as `hearing.outcome` says. Ends the following."""
        lines = {
            call_id: self._up[call_id].line if call_id in self._up else None
            for call_id in (one.dialog.call_id for one in self._followed)
        }
        heard = {call_id: line.heard_since() if line else None for call_id, line in lines.items()}
        found = outcome(heard, time.monotonic())
        for line in lines.values():
            if line is not None:
                line.deafen()
        self._followed = []
        return found

    async def do_empty(self) -> int:
        """Hang up all calls that are up; returns how many answered their BYE."""
        ended = await asyncio.gather(*(self._hang_up(one) for one in list(self._up.values())))
        return sum(ended)

    async def _call(self, ua: Ua, number: str, hold_s: float) -> dict[str, Any]:
        line = Line(ua.address)
        self._lines.add(line)
        offer = sipmsg.sdp(ua.address, line.port, "0 101")
        transaction = await ua.invite(f"sip:{number}@{self.domain}", body=offer, challenge_s=ANSWER_S)
        code = 0
        with contextlib.suppress(TimeoutError):
            code = (await transaction.wait(200, ANSWER_S)).code
        found: dict[str, Any] = {"code": code, "answer_ms": None, "sound_ms": None}
        if code != 200 or transaction.final is None:
            self._forget(line)
            return found
        found["answer_ms"] = _ms(transaction.sent_at, transaction.first_at(200))
        media = sipmsg.media_of(transaction.final.body)
        if media is not None:
            line.peer = (media[0], media[1])
        one = Up(ua, line, ua.dialog(transaction))
        self._up[one.dialog.call_id] = one
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(line.heard.wait(), SOUND_S)
        line.deafen()
        found["sound_ms"] = _ms(transaction.sent_at, line.sound_at)
        ua.received.clear()
        if hold_s:
            await asyncio.sleep(hold_s)
            await self._hang_up(one)
        return found

    async def _hang_up(self, one: Up) -> bool:
        if self._up.pop(one.dialog.call_id, None) is None:
            return False
        self._forget(one.line)
        try:
            return (await one.ua.bye(one.dialog)).code == 200
        except TimeoutError:
            return False

    def _forget(self, line: Line) -> None:
        self._lines.discard(line)
        line.close()

    def _came(self, incoming: Incoming) -> None:
        incoming.reply(200, "OK")
        if incoming.request.method == "BYE":
            gone = self._up.pop(incoming.request.get("call-id"), None)
            if gone is not None:
                self._forget(gone.line)

    async def _send(self) -> None:
        samples = tones.sine(TONE_HZ, RATE_HZ, 0, FRAME_SAMPLES)
        packet = g711.encode(np.asarray(samples), g711.PCMU)
        due = time.monotonic()
        while True:
            for line in tuple(self._lines):
                line.send(packet)
            due = max(due + FRAME_S, time.monotonic() - 5 * FRAME_S)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def _arrived(stamps: list[tuple[int, int, bytes]], now_utc: float) -> float:
    """When the kernel took a packet; now, where it does not say."""
    for level, kind, value in stamps:
        if (level, kind) == (socket.SOL_SOCKET, ARRIVED) and len(value) == STAMP.size:
            seconds, nanoseconds = STAMP.unpack(value)
            return float(seconds) + float(nanoseconds) / 1e9
    return now_utc


def _ms(began_s: float, at_s: float | None) -> float | None:
    return None if at_s is None else round((at_s - began_s) * 1000, 1)


async def main() -> None:
    """Obey until standard input ends."""
    settings = json.loads(sys.argv[1])
    phones = Phones(
        tuple(settings["server"]), settings["domain"], [tuple(one) for one in settings["accounts"]]
    )
    await phones.open()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    print(json.dumps({"event": "ready"}), flush=True)
    while line := await reader.readline():
        order = json.loads(line)
        name = order.pop("do")
        if name == "quit":
            break
        number = order.pop("id")
        try:
            answer = {"id": number, "ok": await getattr(phones, f"do_{name}")(**order)}
        except Exception as error:
            answer = {"id": number, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    await phones.close()


if __name__ == "__main__":
    asyncio.run(main())
