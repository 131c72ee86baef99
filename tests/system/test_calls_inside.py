"""Extension to extension, by way of the cloud and with the line cut: dialled, heard, held, given up, refused."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.evidence import Evidence
from tests.lab.standing import Standing, hear_each_other

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("state", ["UP", "DOWN"]),
]

LIFE_MS = 3_000
"""For a sign of life of the cloud: longer than all else that a call takes, on a busy machine too."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    async with Standing(link={"life_ms": LIFE_MS}) as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="module")
async def site(lab: Standing, state: str) -> AsyncIterator[Standing]:
    await lab.line(state)
    yield lab
    await lab.tidy()


async def test_two_extensions_hear_each_other_until_the_callee_hangs_up(site: Standing, state: str) -> None:
    before = await site.lab.cloud.requests("INVITE")
    placed, met = await site.talk("201", "202", "202")
    assert placed.post_dial_delay_s < LIFE_MS / 1000, "nobody waited for a sign of life"
    assert (await site.lab.cloud.requests("INVITE") > before) is (state == "UP")
    await met.hangup()
    await placed.wait("closed")
    assert placed.code is None
    ended = await Evidence(site.lab).ending(placed.call_id, 5)
    assert ended == {"cause": "normal_clearing", "code": 200, "by": "callee"}


async def test_caller_is_shown_as_the_extension_that_calls(site: Standing) -> None:
    _, met = await site.talk("201", "202", "202")
    assert met.peer.startswith("sip:201@")


async def test_hold_silences_the_held_side_and_resuming_brings_both_back(site: Standing) -> None:
    placed, met = await site.talk("201", "202", "202")
    for holder, held in ((placed, met), (met, placed)):
        await holder.hold()
        await held.wait_hears()
        assert held.held
        await holder.resume()
        await hear_each_other(placed, met)
        assert not held.held


async def test_digits_arrive_in_order_from_both_sides(site: Standing) -> None:
    placed, met = await site.talk("201", "202", "202")
    await placed.dtmf("159*")
    await met.dtmf("0#")
    await met.wait_digits("159*")
    await placed.wait_digits("0#")
    await hear_each_other(placed, met)


async def test_caller_who_gives_up_stops_the_ringing(site: Standing) -> None:
    await site.phones["202"].behave(answer_after_s=None)
    placed = await site.phones["201"].dial("202")
    ringing = await site.rings("202")
    await placed.wait("ringing")
    await placed.hangup()
    await ringing.wait("closed")


async def test_busy_telephone_says_so_to_the_caller(site: Standing) -> None:
    await site.phones["202"].behave(refuse=True)
    placed = await site.phones["201"].dial("202")
    await placed.wait("closed")
    assert placed.code == 486


async def test_telephone_that_answers_late_is_heard(site: Standing) -> None:
    await site.phones["202"].behave(answer_after_s=2.0)
    placed = await site.phones["201"].dial("202")
    await placed.wait("established")
    await hear_each_other(placed, site.phones["202"].current())


async def test_every_telephone_talks_at_once(site: Standing) -> None:
    pairs = [("201", "202"), ("203", "204"), ("205", "206")]
    for caller, callee in pairs:
        await site.talk(caller, callee, callee)
    for caller, callee in pairs:
        await hear_each_other(site.phones[caller].current(), site.phones[callee].current())


async def test_telephone_holds_two_calls_and_switches_between_them(site: Standing) -> None:
    first, met = await site.talk("201", "202", "202")
    await first.hold()
    await met.wait_hears()
    second, other = await site.talk("201", "203", "203")
    await second.hold()
    await first.resume()
    await other.wait_hears()
    await hear_each_other(first, met)
