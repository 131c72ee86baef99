"""Whose audio goes through the box: recorded calls, and those whose sides could not talk without it. All others talk directly."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from appliance.media.ng import NgClient
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM
from tests.lab.standing import Standing
from tests.lab.talker import Talker
from tests.lab.tones import only

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONES = {
    "201": ("udp", "", 5060),
    "202": ("udp", "", 5060),
    "203": ("tcp", "", 5060),
    "204": ("tls", "", 5061),
    "205": ("tls", "sdes", 5061),
    "206": ("tls", "sdes", 5061),
    "207": ("ws", "webrtc", 5062),
    "208": ("ws", "webrtc", 5062),
}
RECORDED = "209"
BEHIND_NAT = "210"
OUTSIDE = "0312345678"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    made = Lab(Parts(phones=len(PHONES) + 2))
    for number, (transport, encryption, port) in PHONES.items():
        server = f"{made.addresses.box_lan}:{port}"
        made.phones[number] = made.make_phone(
            number, transport=transport, encryption=encryption, server=server
        )
    del made.phones[BEHIND_NAT]
    async with Standing(made) as site:
        extensions = site.extensions({RECORDED: {"record": "all"}})
        site.lab.document["extensions"] = extensions
        site.keep_document()
        await site.publish()
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def site(lab: Standing) -> AsyncIterator[Standing]:
    yield lab
    await lab.tidy()


async def passes_the_box(site: Standing, call_id: str) -> bool:
    """Whether the box's rtpengine has the call."""
    client = NgClient(site.lab.box.settings.rtp.ng)
    return await asyncio.to_thread(client.knows, call_id)


@pytest.mark.parametrize("line", ["UP", "DOWN"])
@pytest.mark.parametrize(
    ("caller", "callee", "anchored"),
    [
        ("201", "202", False),
        ("201", "203", False),
        ("203", "204", False),
        ("204", "201", False),
        ("205", "206", False),
        ("201", RECORDED, True),
        (RECORDED, "201", True),
        ("205", "201", True),
        ("202", "206", True),
        ("207", "201", True),
        ("203", "208", True),
        ("207", "205", True),
    ],
)
async def test_call_within_the_site_is_direct_unless_it_needs_the_box(
    site: Standing, caller: str, callee: str, anchored: bool, line: str
) -> None:
    await site.line(line)
    placed, _ = await site.talk(caller, callee, callee)
    assert await passes_the_box(site, placed.call_id) is anchored


@pytest.mark.parametrize(("line", "anchored"), [("UP", True), ("DOWN", False)])
async def test_two_browsers_talk_directly_unless_the_cloud_was_asked_first(
    site: Standing, line: str, anchored: bool
) -> None:
    # The cloud got an offer with the box's ports, and the caller's ICE has begun to look for them.
    await site.line(line)
    placed, _ = await site.talk("207", "208", "208")
    assert await passes_the_box(site, placed.call_id) is anchored


@pytest.mark.parametrize(("line", "anchored"), [("UP", True), ("DOWN", False)])
async def test_outside_call_passes_the_box_where_it_leaves_the_sites_network(
    site: Standing, line: str, anchored: bool
) -> None:
    await site.line(line)
    placed = await site.phones["201"].call(OUTSIDE)
    gateway = site.lab.carrier if line == "UP" else site.lab.gateway
    await placed.wait_hears(gateway.tone_hz)
    assert await passes_the_box(site, placed.call_id) is anchored


@pytest.mark.parametrize("calls", [True, False])
async def test_telephone_behind_nat_is_heard_through_the_box(site: Standing, calls: bool) -> None:
    await site.line("DOWN")
    lab, other = site.lab, site.phones["201"]
    async with Talker(
        BEHIND_NAT,
        lab.addresses.phone(50),
        (lab.addresses.box_lan, 5060),
        password=lab.passwords[BEHIND_NAT],
        domain=REALM,
        tone_hz=1430,
        behind="10.9.8.7",
    ) as talker:
        await talker.register()
        if calls:
            await talker.call("201")
        else:
            await other.dial(BEHIND_NAT)
            await wait_until(lambda: talker.stream, "it is called")
        stream = talker.stream
        assert stream is not None
        await other.current().wait_hears(talker.tone_hz)
        await wait_until(lambda: only(stream.hear(), (other.tone_hz,)), "it hears the other side")
        assert await passes_the_box(site, talker.call_id)
        await talker.hangup()
