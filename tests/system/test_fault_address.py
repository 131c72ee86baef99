"""The box's outer address goes away and comes back; a telephone moves to another address within a call."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from appliance.media.naming import parse_capture_name
from tests.helpers.site_documents import extension
from tests.lab import addresses, carrier, sipmsg
from tests.lab.bare_box import BareBox, site_document
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.sipcall import Incoming
from tests.lab.standing import hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

GAP_MAX_S = 0.9
"""Longer silences would be heard as such."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab() -> AsyncIterator[Lab]:
    if not carrier.can_take_away():
        pytest.skip("taking an address away needs the right to change routes")
    async with Lab(Parts(phones=4, carrier=False, agent=True), document={"record": "all"}) as lab:
        await lab.box.wait_link_state("UP")
        yield lab


async def test_lost_outer_address_strands_no_local_call_and_its_return_brings_the_cloud_back(
    lab: Lab,
) -> None:
    a, phones = lab.addresses, lab.phones
    placed = await phones["201"].call("202")
    met = phones["202"].current()
    await hear_each_other(placed, met)
    lost_s = time.monotonic()
    carrier.take_away(a.box_wan, lab.folder)
    try:
        second = await phones["203"].call("204")
        assert second.post_dial_delay_s < 3.0
        await hear_each_other(second, phones["204"].current())
        outside = await phones["203"].call("0312345678")
        await outside.wait_hears(lab.gateway.tone_hz)
        await outside.hangup()
        await lab.box.wait_link_state("DOWN")
        for ear, mouth in ((placed, met), (met, placed)):
            gap_s = await ear.longest_gap_s(mouth.phone.tone_hz, lost_s, time.monotonic() - 0.2)
            assert gap_s < GAP_MAX_S
        await second.hangup()
    finally:
        carrier.give_back(a.box_wan)
    await lab.box.wait_link_state("UP")
    cloud = await phones["203"].call("901")
    await hear_each_other(cloud, lab.cloud_phones["901"].current())
    await cloud.hangup()
    await placed.hangup()


def captured_bytes(lab: Lab, call: PhoneCall) -> int:
    """How much of a call has been captured so far."""
    found = lab.box.layout.pcaps_dir.glob("*.pcap")
    return max(path.stat().st_size for path in found if parse_capture_name(path.name)[0] == call.call_id)


async def test_box_that_starts_without_its_outer_address_serves_the_site_and_finds_it_later(lab: Lab) -> None:
    a, phones = lab.addresses, lab.phones
    await asyncio.gather(*(lab.box.kill(name) for name in ("kamailio", "rtpengine", "agent")))
    carrier.take_away(a.box_wan, lab.folder)
    try:
        await lab.box.start("rtpengine", "kamailio", "agent")
        placed = await phones["201"].call("202")
        await hear_each_other(placed, phones["202"].current())
        outside = await phones["203"].call("0312345678")
        await outside.wait_hears(lab.gateway.tone_hz)
        await outside.hangup()
        await asyncio.sleep(1)
        assert captured_bytes(lab, placed) > 10_000, "a recorded call"
        await placed.hangup()
    finally:
        carrier.give_back(a.box_wan)
    await lab.box.wait_link_state("UP")
    cloud = await phones["203"].call("901")
    await hear_each_other(cloud, lab.cloud_phones["901"].current())
    await cloud.hangup()


def moving(taken: list[Incoming]) -> Callable[[Incoming], None]:
    """A telephone that takes every call and every change of one."""

    def on_request(incoming: Incoming) -> None:
        body = ""
        if incoming.request.method == "INVITE":
            taken.append(incoming)
            body = sipmsg.sdp(incoming.ua.contact.split("@")[1].split(":")[0], 4000)
        incoming.reply(200, body=body)

    return on_request


@pytest.mark.parametrize("record", ["none", "all"], ids=["direct", "through rtpengine"])
async def test_telephone_that_moves_within_a_call_is_followed_by_audio_and_bye(record: str) -> None:
    claim = addresses.claim()
    a = claim.addresses
    extensions = [extension("201", record=record), extension("202")]
    document = site_document(a, call_control="local", extensions=extensions, groups=[])
    try:
        async with BareBox(a, claim.folder, document) as box:
            engine = box.rtpengine()
            await engine.start()
            taken: list[Incoming] = []
            async with (
                box.phone("201", 1) as caller,
                box.phone("202", 2, on_request=moving(taken)) as callee,
                box.phone("201", 3) as moved,
            ):
                for phone in (caller, callee):
                    assert (await phone.register()).code == 200
                call = await caller.invite(f"sip:202@{a.box_lan}")
                await call.wait()
                dialog = caller.dialog(call)
                change = moved.start(
                    "INVITE",
                    dialog.target,
                    headers=[("Content-Type", "application/sdp")],
                    body=sipmsg.sdp(a.phone(3), 4000),
                    dialog=dialog,
                )
                answered = await change.wait()
                there, here = sipmsg.media_of(taken[-1].request.body), sipmsg.media_of(answered.body)
                assert there is not None and here is not None
                expected = (a.phone(3), a.phone(2)) if record == "none" else (a.box_lan, a.box_lan)
                assert (there[0], here[0]) == expected
                other = taken[-1].dialog()
                assert a.phone(3) in other.target
                ended = await callee.bye(other)
                assert ended.code == 200
                assert [m.method for _, m in moved.received if m.is_request] == ["BYE"]
                assert not [m for _, m in caller.received if m.is_request and m.method == "BYE"]
            ends = await wait_until(
                lambda: [d for event, _, d in box.journal() if event == "end"], "the end", 3
            )
            assert ends == [{"cause": "normal_clearing", "code": 200, "by": "callee"}]
            assert box.faults() == []
            await engine.stop()
    finally:
        claim.release()
