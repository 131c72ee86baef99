"""rtpengine as the product configures it sends audio where the SDP says, however much others send to the same ports.

After a restart of rtpengine telephones go on sending their old calls' audio to ports that new calls are given.
"""

import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.box import parse
from appliance.layout import Layout
from appliance.media import rtpengine
from appliance.media.ng import NgClient
from tests.lab import addresses, sipmsg
from tests.lab.bare_box import SETTINGS
from tests.lab.kamailio import RtpEngine

LEARNT_S = 3.2
"""rtpengine makes up its mind within 3 s."""


class Line:
    """One RTP socket."""

    def __init__(self, address: str, number: int) -> None:
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.bind((address, 0))
        self.line.setblocking(False)
        self.address, self.number, self.sequence = address, number, 0

    @property
    def port(self) -> int:
        return int(self.line.getsockname()[1])

    def send(self, to: tuple[str, int]) -> None:
        self.sequence += 1
        header = struct.pack("!BBHII", 0x80, 0, self.sequence, self.sequence * 160, self.number)
        self.line.sendto(header + bytes([self.number]) * 160, to)

    def received(self) -> set[int]:
        """Who was heard since the last look: the numbers in the packets."""
        heard = set()
        with contextlib.suppress(BlockingIOError):
            while packet := self.line.recv(2048):
                heard.add(packet[12])
        return heard


@pytest.fixture
async def ng(tmp_path: Path) -> AsyncIterator[tuple[NgClient, addresses.Addresses]]:
    claim = addresses.claim()
    try:
        box = parse(SETTINGS.format(a=claim.addresses, folder=claim.folder))
        layout = Layout.of(box)
        for folder in layout.folders():
            folder.mkdir(parents=True, exist_ok=True)
        layout.rtpengine_conf.write_text(rtpengine.configuration(box, layout))
        engine = RtpEngine(
            "rtpengine", claim.folder, box.rtp.ng, ["--config-file", str(layout.rtpengine_conf)]
        )
        await engine.start()
        yield NgClient(box.rtp.ng), claim.addresses
        await engine.stop()
    finally:
        claim.release()


def audio_of(answer: dict[str, str]) -> tuple[str, int]:
    address, port, _ = sipmsg.media_of(answer["sdp"])
    return address, port


def set_up(
    client: NgClient, caller: Line, callee: Line, caller_port: int
) -> tuple[tuple[str, int], tuple[str, int]]:
    """A call whose caller's SDP names that port; where caller and callee have to send."""
    words = {"call_id": "new", "from_tag": "a", "ICE": "remove"}
    offer = client.command("offer", sdp=sipmsg.sdp(caller.address, caller_port), **words)
    answer = client.command("answer", sdp=sipmsg.sdp(callee.address, callee.port), to_tag="b", **words)
    return audio_of(answer), audio_of(offer)


@pytest.mark.parametrize("when", ["first", "last"])
async def test_stranger_at_a_calls_port_takes_no_audio_away(
    ng: tuple[NgClient, addresses.Addresses], when: str
) -> None:
    client, a = ng
    caller, callee, stranger = Line(a.phone(1), 1), Line(a.phone(2), 2), Line(a.phone(3), 3)
    to_caller, to_callee = set_up(client, caller, callee, caller.port)
    end_s = time.monotonic() + LEARNT_S
    while time.monotonic() < end_s:
        for line, to in ((stranger, to_caller),) * (when == "first") + (
            (caller, to_caller),
            (callee, to_callee),
        ):
            line.send(to)
        if when == "last":
            stranger.send(to_caller)
        time.sleep(0.02)
    lines = (caller, callee, stranger)
    for line in lines:
        line.received()
    for _ in range(10):
        callee.send(to_callee)
        time.sleep(0.02)
    assert [line.received() for line in lines] == [{2}, set(), set()]
    for line in lines:
        line.line.close()


async def test_side_behind_nat_is_heard_and_hears_from_its_first_packets_on(
    ng: tuple[NgClient, addresses.Addresses],
) -> None:
    client, a = ng
    caller, callee = Line(a.phone(1), 1), Line(a.phone(2), 2)
    to_caller, to_callee = set_up(client, caller, callee, caller_port=9)
    for _ in range(5):
        caller.send(to_caller)
        callee.send(to_callee)
        time.sleep(0.02)
    assert [line.received() for line in (caller, callee)] == [{2}, {1}]
    for line in (caller, callee):
        line.line.close()
