"""Every kind of telephone with every other, recorded and not: heard both ways, held by the callee, ended by either side.

Six pairs talk at a time, in as many rounds as it takes for each kind of telephone to have called each kind.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.evidence import Evidence
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.standing import Standing, hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = {
    "udp": ("udp", ""),
    "tcp": ("tcp", ""),
    "tls": ("tls", ""),
    "tls with srtp": ("tls", "sdes"),
    "websocket": ("ws", ""),
    "browser": ("ws", "webrtc"),
}
"""Transport of the signalling, encryption of the audio (see `identity`)."""

PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 5062}
COUNT = len(KINDS)
CALLERS = [str(201 + index) for index in range(COUNT)]
CALLEES = [str(201 + COUNT + index) for index in range(COUNT)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Standing]:
    lab = Lab(Parts(phones=2 * COUNT, cloud=False, cloud_phones=0, gateway=False, carrier=False))
    for numbers in (CALLERS, CALLEES):
        for number, (transport, encryption) in zip(numbers, KINDS.values(), strict=True):
            server = f"{lab.addresses.box_lan}:{PORTS[transport]}"
            lab.phones[number] = lab.make_phone(
                number, transport=transport, server=server, encryption=encryption
            )
    async with Standing(lab) as site:
        await site.line("DOWN")
        yield site


async def whole_call(site: Standing, caller: str, callee: str, callee_ends: bool) -> str:
    """One call from beginning to end; what is wrong with it, "" for nothing."""
    try:
        placed = await site.phones[caller].call(callee)
        met = site.phones[callee].current()
        await hear_each_other(placed, met)
        await met.hold()
        await placed.wait_hears()
        await met.resume()
        await hear_each_other(placed, met)
        first, second = (met, placed) if callee_ends else (placed, met)
        await first.hangup()
        await second.wait("closed")
        return await how_it_ended(site, placed, "callee" if callee_ends else "caller")
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def how_it_ended(site: Standing, placed: PhoneCall, by: str) -> str:
    end = await Evidence(site.lab).ending(placed.call_id, 5)
    return "" if end == {"cause": "normal_clearing", "code": 200, "by": by} else str(end)


@pytest.mark.parametrize("turn", range(COUNT))
@pytest.mark.parametrize("record", ["none", "all"])
async def test_each_kind_of_telephone_calls_each_kind(site: Standing, record: str, turn: int) -> None:
    if site.lab.document.get("record") != record:
        await site.publish(record=record)
    kinds = list(KINDS)
    pairs = {
        f"{kinds[index]} to {kinds[(index + turn) % COUNT]}": (
            CALLERS[index],
            CALLEES[(index + turn) % COUNT],
        )
        for index in range(COUNT)
    }
    callee_ends = (turn + (record == "all")) % 2 == 0
    found = await asyncio.gather(*(whole_call(site, *pair, callee_ends) for pair in pairs.values()))
    await site.tidy()
    assert {pair: fault for pair, fault in zip(pairs, found, strict=True) if fault} == {}
