"""Quality of a call, asked of a real rtpengine while the call is up, in the moments after its end, and when rtpengine is gone."""

import asyncio
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

from agent.call_media import SILENT_PAUSE_S, TIMEOUT_S, CallMedia
from appliance.media.ng import NgClient, RtpengineSilent
from appliance.media.rtpengine import DELETE_DELAY_S
from tests.lab import sipmsg

pytestmark = pytest.mark.skipif(shutil.which("rtpengine") is None, reason="rtpengine is not installed")

BOX, CALLER, CALLEE = "127.8.3.10", "127.8.3.101", "127.8.3.102"
NG = f"{BOX}:2223"
CALL = "quality@192.0.2.1"
NTP_EPOCH_S = 2_208_988_800
REPORT_EVERY = 20
"""Packets between two reports of a side: 0.4 s, where telephones report every 5 s."""


class Side:
    """A telephone's audio: sends RTP, counts what comes, and reports it by RTCP (RFC 3550 section 6.4.1)."""

    def __init__(self, address: str, ssrc: int, lose_every: int = 0) -> None:
        """lose_every: of the packets that arrive, each so manieth counts as lost on the way."""
        for port in range(20_000, 21_000, 2):
            self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            try:
                self.rtp.bind((address, port))
                self.rtcp.bind((address, port + 1))
                break
            except OSError:
                self.close()
        self.address, self.ssrc, self.target = address, ssrc, 0
        self.port = int(self.rtp.getsockname()[1])
        self._lose_every = lose_every
        self.sent = self._arrived = self._lost = self._highest = 0
        self._heard_ssrc, self._last_sr, self._last_sr_at = 0, 0, 0.0
        for line in (self.rtp, self.rtcp):
            line.setblocking(False)

    def close(self) -> None:
        """Close both sockets."""
        self.rtp.close()
        self.rtcp.close()

    def step(self) -> None:
        """20 ms: send a packet, take in what came, report now and then."""
        header = struct.pack("!BBHII", 0x80, 0, self.sent & 0xFFFF, self.sent * 160, self.ssrc)
        self.rtp.sendto(header + b"\xff" * 160, (BOX, self.target))
        self.sent += 1
        self._take()
        if self.sent % REPORT_EVERY == 0:
            self._report()

    def _take(self) -> None:
        while packet := _received(self.rtp):
            _, _, sequence, _, self._heard_ssrc = struct.unpack("!BBHII", packet[:12])
            self._highest = sequence
            self._arrived += 1
            if self._lose_every and self._arrived % self._lose_every == 0:
                self._lost += 1
        while packet := _received(self.rtcp):
            if packet[1] == 200:
                high, low = struct.unpack("!II", packet[8:16])
                self._last_sr = (high & 0xFFFF) << 16 | low >> 16
                self._last_sr_at = time.monotonic()

    def _report(self) -> None:
        now = time.time() + NTP_EPOCH_S
        whole, part = int(now), int(now % 1 * 2**32)
        block = b""
        if self._heard_ssrc:
            delay = int((time.monotonic() - self._last_sr_at) * 65536) if self._last_sr else 0
            share = 256 // self._lose_every if self._lose_every else 0
            lost = share << 24 | self._lost
            block = struct.pack("!IIIIII", self._heard_ssrc, lost, self._highest, 16, self._last_sr, delay)
        length = (28 + len(block)) // 4 - 1
        count = 0x80 | bool(block)
        sender = (count, 200, length, self.ssrc, whole, part, self.sent * 160, self.sent, self.sent * 160)
        self.rtcp.sendto(struct.pack("!BBHIIIIII", *sender) + block, (BOX, self.target + 1))


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(2048)
    except BlockingIOError:
        return b""


@pytest.fixture
def engine() -> Iterator[subprocess.Popen[bytes]]:
    words = [
        *("rtpengine", "--table=-1", f"--interface=lan/{BOX}", f"--listen-ng={NG}", "--config-file=none"),
        *("--port-min=41200", "--port-max=41299", "--foreground", "--log-stderr"),
        f"--delete-delay={DELETE_DELAY_S}",
    ]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            NgClient(NG).command("ping")
            break
        except RtpengineSilent:
            time.sleep(0.05)
    yield process
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        process.wait()


@pytest.fixture
def sides(engine: subprocess.Popen[bytes]) -> Iterator[tuple[Side, Side]]:
    """A call that rtpengine relays; of what the callee is sent, one packet in ten does not arrive."""
    ng = NgClient(NG)
    caller, callee = Side(CALLER, 0x1111), Side(CALLEE, 0x2222, lose_every=10)
    common = {"call_id": CALL, "from_tag": "a", "ICE": "remove"}
    offer = ng.command("offer", sdp=sipmsg.sdp(CALLER, caller.port), **common)
    callee.target = int(offer["sdp"].split("m=audio ")[1].split()[0])
    answer = ng.command("answer", sdp=sipmsg.sdp(CALLEE, callee.port), to_tag="b", **common)
    caller.target = int(answer["sdp"].split("m=audio ")[1].split()[0])
    yield caller, callee
    caller.close()
    callee.close()


def talk(sides: tuple[Side, Side], seconds: float) -> None:
    for _ in range(int(seconds * 50)):
        for side in sides:
            side.step()
        time.sleep(0.02)


def media() -> CallMedia:
    return CallMedia(NG, time.monotonic)


def test_quality_is_told_while_the_call_is_up_and_after_its_end(sides: tuple[Side, Side]) -> None:
    asked = media()
    for _ in range(10):  # on a busy machine the first reports come late
        talk(sides, 2.5)
        up = asyncio.run(asked.quality([CALL]))[CALL]
        if up is not None:
            break
    NgClient(NG).command("delete", call_id=CALL, from_tag="a")
    ended = asyncio.run(asked.quality([CALL]))[CALL]
    for told in (up, ended):
        assert told is not None
        assert 1 <= told["mos"] < 4.4  # 4.4 is what a call without loss gets
        assert 0.06 <= told["loss"] <= 0.12
        assert 0 <= told["jitter_ms"] < 50
    assert asyncio.run(asked.known([CALL])) == frozenset({CALL}), "until the delay is over"


def test_call_that_rtpengine_does_not_know_has_no_quality(engine: subprocess.Popen[bytes]) -> None:
    assert asyncio.run(media().quality(["none@192.0.2.1"])) == {"none@192.0.2.1": None}


def test_call_without_reports_has_no_quality(sides: tuple[Side, Side]) -> None:
    assert asyncio.run(media().quality([CALL])) == {CALL: None}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_rtpengine_that_is_gone_costs_a_moment_and_is_left_alone_for_a_while(
    engine: subprocess.Popen[bytes], how: int
) -> None:
    os.kill(engine.pid, how)
    now_s = 100.0
    asked = CallMedia(NG, lambda: now_s)
    began_s = time.monotonic()
    assert asyncio.run(asked.quality(["a", "b", "c"])) == {}
    assert time.monotonic() - began_s < 3
    began_s = time.monotonic()
    assert asyncio.run(asked.quality(["a", "b", "c"])) == {}
    assert time.monotonic() - began_s < TIMEOUT_S, "not asked"
    os.kill(engine.pid, signal.SIGCONT) if how == signal.SIGSTOP else None
    if how == signal.SIGSTOP:
        now_s += SILENT_PAUSE_S
        assert asyncio.run(asked.quality(["a"])) == {"a": None}
