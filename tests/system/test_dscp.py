"""What leaves the box carries the marks that a site's network sorts by: CS3 for signalling, EF for audio."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
import pytest_asyncio

from agent.probe import Probe
from appliance.addresses import SipAddress
from appliance.media import rtpengine
from tests.helpers.site_documents import extension
from tests.lab import addresses, sipmsg
from tests.lab.bare_box import BareBox, site_document
from tests.lab.kamailio import RtpEngine
from tests.lab.sipcall import Incoming

pytestmark = pytest.mark.asyncio(loop_scope="module")

CS3, EF = 24, 46
"""DSCP values (RFC 2474, RFC 3246)."""

IP_RECVTOS = 13
RTP = struct.pack("!BBHII", 0x80, 0, 1, 160, 7) + bytes(160)
AUDIO_PORT = 4000


class Wire:
    """A UDP socket that tells how each packet was marked."""

    def __init__(self, address: str, port: int) -> None:
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        self.line.bind((address, port))
        self.line.setblocking(False)

    def close(self) -> None:
        self.line.close()

    async def packets(self, count: int, timeout_s: float = 3.0) -> list[tuple[bytes, int]]:
        """The next packets with the DSCP of each."""
        found: list[tuple[bytes, int]] = []
        end_s = time.monotonic() + timeout_s
        while len(found) < count:
            assert time.monotonic() < end_s, f"{len(found)} of {count} packets came"
            with contextlib.suppress(BlockingIOError):
                data, ancillary, _, _ = self.line.recvmsg(65535, 64)
                (tos,) = [
                    value[0]
                    for level, kind, value in ancillary
                    if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS)
                ]
                found.append((data, tos >> 2))
                continue
            await asyncio.sleep(0.01)
        return found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def box() -> AsyncIterator[BareBox]:
    claim = addresses.claim()
    try:
        extensions = [extension("201", record="all"), extension("202")]
        document = site_document(claim.addresses, extensions=extensions, groups=[])
        async with BareBox(claim.addresses, claim.folder, document) as box:
            conf = box.layout.rtpengine_conf
            conf.write_text(rtpengine.configuration(box.box, box.layout))
            engine = RtpEngine("rtpengine", claim.folder, box.box.rtp.ng, ["--config-file", str(conf)])
            await engine.start()
            yield box
            await engine.stop()
    finally:
        claim.release()


def answering(incoming: Incoming) -> None:
    """A telephone that takes every call."""
    if incoming.request.method == "INVITE":
        address = incoming.ua.contact.split("@")[1].split(":")[0]
        incoming.reply(200, body=sipmsg.sdp(address, AUDIO_PORT))
    else:
        incoming.reply(200)


def marks(packets: list[tuple[bytes, int]]) -> set[int]:
    return {mark for _, mark in packets}


async def test_answers_on_the_lan_are_marked_as_signalling(box: BareBox) -> None:
    a = box.addresses
    options = "\r\n".join(
        [
            f"OPTIONS sip:{a.box_lan} SIP/2.0",
            f"Via: SIP/2.0/UDP {a.phone(9)}:5060;branch=z9hG4bK-marked;rport",
            "Max-Forwards: 70",
            f"From: <sip:x@{a.phone(9)}>;tag=1",
            f"To: <sip:{a.box_lan}>",
            "Call-ID: marked",
            "CSeq: 1 OPTIONS",
            "Content-Length: 0",
            "\r\n",
        ]
    )
    with closing(Wire(a.phone(9), 5060)) as phone:
        phone.line.sendto(options.encode(), (a.box_lan, 5060))
        assert marks(await phone.packets(1)) == {CS3}


async def test_call_is_marked_towards_the_cloud_and_its_audio_on_both_sides(box: BareBox) -> None:
    a = box.addresses
    with (
        closing(Wire(a.cloud_seen_by_box, 5060)) as cloud,
        closing(Wire(a.phone(1), AUDIO_PORT)) as one,
        closing(Wire(a.phone(2), AUDIO_PORT)) as two,
    ):
        async with box.phone("201", 1) as caller, box.phone("202", 2, on_request=answering) as callee:
            for phone in (caller, callee):
                assert (await phone.register()).code == 200
            call = await caller.invite(f"sip:202@{a.box_lan}")
            answered = await call.wait()
            assert marks(await cloud.packets(1)) == {CS3}, "an INVITE that the cloud does not answer"
            heard_by_caller = sipmsg.media_of(answered.body)
            invite = next(m for _, m in callee.received if m.method == "INVITE" and m.is_request)
            heard_by_callee = sipmsg.media_of(invite.body)
            assert heard_by_caller is not None and heard_by_callee is not None
            for _ in range(5):
                one.line.sendto(RTP, heard_by_caller[:2])
                two.line.sendto(RTP, heard_by_callee[:2])
                await asyncio.sleep(0.02)
            assert [marks(await line.packets(4)) for line in (one, two)] == [{EF}, {EF}]
            await caller.bye(caller.dialog(call))


async def test_probes_of_a_line_are_marked_like_the_calls_that_will_use_it(box: BareBox) -> None:
    a = box.addresses
    with closing(Wire(a.gateway, 5060)) as far:
        to = SipAddress(a.gateway, 5060, "udp")
        probe = Probe(to, a.box_wan, lambda _sighting, _ms: None, lambda _ms: None)
        task = asyncio.create_task(probe.run(lambda: 0.05))
        try:
            assert marks(await far.packets(3)) == {CS3}
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0)
