"""The cloud node behind the link: bindings with a path, calls both ways with audio, faults on order, the carrier."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.lab import tones
from tests.lab.addresses import SIP_PORT, Addresses, claim
from tests.lab.cloud import Cloud
from tests.lab.gateway import Gateway
from tests.lab.link import Link
from tests.lab.phone import Identity, Phone
from tests.lab.sipua import Ua


@dataclass
class Set:
    """A cloud with one phone and its carrier, the link, and something with audio in the box's place."""

    a: Addresses
    cloud: Cloud
    link: Link
    phone: Phone
    site: Gateway
    carrier: Gateway


@pytest.fixture
async def lab() -> AsyncIterator[Set]:
    held = claim()
    a, folder = held.addresses, held.folder
    cloud, link = Cloud(a, folder), Link(a, folder)
    phone = Phone(Identity("901", a.cloud_phone(1), tones.assigned(0), server=cloud.phones_server), folder)
    site = Gateway(
        "site", a.box_wan, folder, tones.assigned(1), advertise=a.box_seen_by_cloud, rtp=link.ports.box_rtp
    )
    carrier = Gateway("carrier", a.carrier, folder, tones.assigned(2), channels=1)
    parts = (cloud, link, phone, site, carrier)
    await asyncio.gather(*(part.start() for part in parts))
    await phone.register()
    yield Set(a, cloud, link, phone, site, carrier)
    await phone.stop()
    await asyncio.gather(*(part.stop() for part in parts))
    held.release()


async def test_call_from_the_site_is_heard_both_ways_and_a_cut_silences_it(lab: Set) -> None:
    call = await lab.site.dial(f"sip:901@{lab.a.cloud_seen_by_box}:{SIP_PORT}", "201")
    await call.wait("answered")
    await call.wait_hears(lab.phone.tone_hz)
    there = lab.phone.current()
    await there.wait_hears(lab.site.tone_hz)
    await lab.link.cut("drop")
    await call.wait_hears()
    await there.wait_hears()
    await lab.link.restore()
    await call.wait_hears(lab.phone.tone_hz)
    await there.hold()
    await call.wait_hears()
    await there.resume()
    await there.wait_hears(lab.site.tone_hz)
    await there.hangup()
    await call.wait("ended")


async def test_cloud_phone_reaches_an_extension_by_its_path(lab: Set) -> None:
    # The binding's contact is a phone behind the box: only the path leads there.
    headers = [
        ("Contact", f"<sip:201@{lab.a.phone(1)}:5060>"),
        ("Path", f"<sip:{lab.a.box_seen_by_cloud}:{SIP_PORT};lr>"),
        ("Supported", "path"),
        ("Expires", "60"),
    ]
    async with Ua("201", lab.a.phone(9), (lab.a.cloud, SIP_PORT)) as ua:
        assert (await ua.request("REGISTER", "sip:cloud.lab", headers=headers)).code == 403
    await lab.site.stop()
    async with Ua(
        "201", lab.a.box_wan, (lab.a.cloud_seen_by_box, SIP_PORT), advertise=lab.a.box_seen_by_cloud
    ) as ua:
        aor = [("To", "<sip:201@cloud.lab>"), ("From", "<sip:201@cloud.lab>;tag=1")]
        registered = await ua.request("REGISTER", "sip:cloud.lab", headers=[*aor, *headers])
        assert registered.code == 200
        assert registered.get("path")
    await lab.site.start()
    (binding,) = [b for b in await lab.cloud.bindings() if b.aor == "201"]
    assert (binding.contact, binding.path) == (headers[0][1].strip("<>"), headers[1][1])
    await lab.cloud.public_number("+81312340201", "201")
    call = await lab.carrier.dial(f"sip:+81312340201@{lab.a.cloud_inside}:{SIP_PORT}", "0312345678")
    await call.wait("answered")
    arrived = lab.site.calls[-1]
    assert (arrived.number, arrived.caller) == ("201", "0312345678")
    await arrived.wait_hears(lab.carrier.tone_hz)
    await call.wait_hears(lab.site.tone_hz)


async def test_outside_numbers_go_to_the_carrier_until_its_channels_are_full(lab: Set) -> None:
    call = await lab.phone.call("0312345678")
    await call.wait_hears(lab.carrier.tone_hz)
    assert (lab.carrier.calls[-1].number, lab.carrier.calls[-1].caller) == ("0312345678", "901")
    second = await lab.phone.dial("110")
    await second.wait("closed")
    assert (lab.carrier.calls[-1].number, lab.carrier.calls[-1].code) == ("110", 503)


async def test_faults_on_order_are_felt_and_undone(lab: Set) -> None:
    async with Ua("0", lab.a.phone(9), (lab.a.cloud, SIP_PORT)) as ua:
        uri = f"sip:{lab.a.cloud}"
        assert (await ua.request("OPTIONS", uri)).code == 200
        await lab.cloud.answer(503, "OPTIONS")
        assert (await ua.request("OPTIONS", uri)).code == 503
        await lab.cloud.well()
        await lab.cloud.slow(200)
        probe = ua.start("OPTIONS", uri)
        await probe.wait(200)
        assert 0.2 <= (probe.first_at(200) or 0) - probe.sent_at < 3
        await lab.cloud.well()
        await lab.cloud.silent()
        with pytest.raises(TimeoutError):
            await ua.request("OPTIONS", uri, timeout_s=0.3)
        await lab.cloud.well()
        assert await lab.cloud.requests("OPTIONS") >= 3


async def test_cloud_that_passes_nothing_on_trust_challenges_the_site_s_phones(lab: Set) -> None:
    password = secrets.token_hex(8)
    await lab.cloud.passthrough({"201": password})
    await lab.site.stop()
    server = (lab.a.cloud_seen_by_box, SIP_PORT)
    seen = lab.a.box_seen_by_cloud
    async with Ua(
        "201", lab.a.box_wan, server, password=password[1:], advertise=seen, domain="cloud.lab"
    ) as ua:
        assert (await ua.register()).code == 401
    async with Ua("201", lab.a.box_wan, server, password=password, advertise=seen, domain="cloud.lab") as ua:
        assert (await ua.register()).code == 200


async def test_signalling_over_tcp_crosses_the_link(lab: Set) -> None:
    async with Ua(
        "201", lab.a.box_wan, (lab.a.cloud_seen_by_box, SIP_PORT), transport="tcp", port=5070
    ) as ua:
        assert (await ua.request("OPTIONS", "sip:cloud.lab")).code == 200
        await lab.link.cut("close")
        with pytest.raises(TimeoutError):
            await ua.request("OPTIONS", "sip:cloud.lab", timeout_s=0.3)
        await lab.link.restore()
        assert (await ua.request("OPTIONS", "sip:cloud.lab")).code == 200


async def test_second_cloud_stands_beside_the_first(lab: Set) -> None:
    held = claim()
    second = Cloud(held.addresses, held.folder)
    await second.start()
    await second.silent()
    async with Ua("0", lab.a.phone(9), (lab.a.cloud, SIP_PORT)) as ua:
        assert (await ua.request("OPTIONS", f"sip:{lab.a.cloud}")).code == 200
    await second.stop()
    held.release()
