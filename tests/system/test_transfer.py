"""Transfers by caller and callee, blind and attended, by way of the cloud, with the line cut, and over the cut."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.evidence import Evidence
from tests.lab.phone import PhoneCall
from tests.lab.standing import Standing, hear_each_other
from tests.lab.worker import OrderRefused

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTSIDE = "0312345678"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    async with Standing() as lab:
        yield lab


@pytest.fixture(params=["UP", "DOWN", "cut in between"])
def line(request: pytest.FixtureRequest) -> str:
    """The third kind is cut when the first call stands."""
    return str(request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def site(lab: Standing, line: str) -> AsyncIterator[Standing]:
    await lab.line("DOWN" if line == "DOWN" else "UP")
    yield lab
    await lab.tidy()


@pytest_asyncio.fixture(loop_scope="module")
async def down(lab: Standing) -> AsyncIterator[Standing]:
    await lab.line("DOWN")
    yield lab
    await lab.tidy()


async def first_call(site: Standing, line: str) -> tuple[PhoneCall, PhoneCall]:
    """201 talks with 202; the line is as the test wants it from now on."""
    calls = await site.talk("201", "202", "202")
    if line == "cut in between":
        await site.line("DOWN")
    return calls


async def test_callee_transfers_the_caller_blindly(site: Standing, line: str) -> None:
    _placed, met = await first_call(site, line)
    await met.transfer("203")
    await hear_each_other(site.phones["201"].current(), site.phones["203"].current())
    await met.wait("closed")


async def test_caller_transfers_the_callee_blindly(site: Standing, line: str) -> None:
    placed, _met = await first_call(site, line)
    await placed.transfer("203")
    await hear_each_other(site.phones["202"].current(), site.phones["203"].current())
    await placed.wait("closed")


async def test_callee_asks_first_and_then_transfers_the_caller(site: Standing, line: str) -> None:
    _placed, met = await first_call(site, line)
    await met.hold()
    asked, _ = await site.talk("202", "203", "203")
    await asked.hold()
    await met.transfer_to(asked)
    await hear_each_other(site.phones["201"].current(), site.phones["203"].current())
    await met.wait("closed")


async def test_caller_asks_first_and_then_transfers_the_callee(site: Standing, line: str) -> None:
    placed, _met = await first_call(site, line)
    await placed.hold()
    asked, _ = await site.talk("201", "203", "203")
    await asked.hold()
    await placed.transfer_to(asked)
    await hear_each_other(site.phones["202"].current(), site.phones["203"].current())
    await placed.wait("closed")


async def test_transfer_to_a_busy_telephone_leaves_the_call_as_it_was(site: Standing, line: str) -> None:
    await site.phones["203"].behave(refuse=True)
    placed, met = await first_call(site, line)
    with pytest.raises(OrderRefused, match="486"):
        await met.transfer("203")
    if met.held or placed.held:
        await met.resume()
    await hear_each_other(placed, met)


async def test_transfer_goes_on_to_another_transfer(site: Standing, line: str) -> None:
    _placed, met = await first_call(site, line)
    await met.transfer("203")
    one, three = site.phones["201"], site.phones["203"]
    await hear_each_other(one.current(), three.current())
    await three.current().transfer("204")
    await hear_each_other(one.current(), site.phones["204"].current())


async def test_gateway_that_does_not_take_transfers_keeps_its_call(down: Standing) -> None:
    came = await down.lab.gateway.dial(f"sip:0312340201@{down.lab.addresses.box_lan}:5060", "0398765432")
    met = await down.rings("201")
    await came.wait_hears(down.phones["201"].tone_hz)
    with pytest.raises(OrderRefused, match="405"):
        await met.transfer("202")
    await met.resume()
    await came.wait_hears(down.phones["201"].tone_hz)


async def test_colleague_is_transferred_to_the_outside(down: Standing) -> None:
    _, met = await down.talk("201", "202", "202")
    await met.transfer(OUTSIDE)
    seen = await down.at_gateway()
    await seen.wait_hears(down.phones["201"].tone_hz)
    await down.phones["201"].current().wait_hears(down.lab.gateway.tone_hz)
    assert seen.number == OUTSIDE


async def test_records_tell_both_calls_of_a_transfer(down: Standing) -> None:
    placed, met = await down.talk("201", "202", "202")
    await met.transfer("203")
    new = down.phones["201"].current()
    await hear_each_other(new, down.phones["203"].current())
    first = await Evidence(down.lab).ending(placed.call_id, 5)
    await new.hangup()
    second = await Evidence(down.lab).ending(new.call_id, 5)
    assert (first["cause"], second["cause"]) == ("normal_clearing", "normal_clearing")
