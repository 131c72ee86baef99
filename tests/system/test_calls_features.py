"""Forwarding, do not disturb, and groups, by the box alone: the line is cut."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from appliance.kamailio.destinations import CONTACT_LIFE_MS
from tests.lab.site_document import GROUP
from tests.lab.standing import Standing, hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    async with Standing() as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="module")
async def site(lab: Standing) -> AsyncIterator[Standing]:
    await lab.line("DOWN")
    yield lab
    await lab.tidy()


def group(number: str, members: list[str], **more: object) -> dict[str, object]:
    return {"number": number, "name": number, "strategy": "all", "members": members, "ring_s": 5} | more


async def test_forward_always_rings_only_the_other_telephone(site: Standing) -> None:
    await site.publish({"202": {"forward_always": "203"}})
    before = len(site.phones["202"].calls)
    await site.talk("201", "202", "203")
    assert len(site.phones["202"].calls) == before


async def test_forward_always_to_an_outside_number_shows_the_forwarder(site: Standing) -> None:
    await site.publish({"202": {"forward_always": "09012345678"}})
    placed = await site.phones["201"].call("202")
    seen = await site.at_gateway()
    assert (seen.number, seen.identity) == ("09012345678", "0312340202")
    await placed.wait_hears(site.lab.gateway.tone_hz)
    await seen.wait_hears(site.phones["201"].tone_hz)


async def test_forward_busy_follows_a_refusal(site: Standing) -> None:
    await site.publish({"202": {"forward_busy": "203"}})
    await site.phones["202"].behave(refuse=True)
    await site.talk("201", "202", "203")


async def test_forward_on_no_answer_comes_after_the_set_time(site: Standing) -> None:
    await site.publish({"202": {"forward_no_answer": "203", "no_answer_s": 5}})
    await site.phones["202"].behave(answer_after_s=None)
    placed = await site.phones["201"].dial("202")
    first = await site.rings("202")
    await placed.wait("established")
    assert 4.5 < placed.times["established"] - placed.times["ringing"] < 15, "of 5 seconds, not of 20"
    await first.wait("closed")
    await hear_each_other(placed, site.phones["203"].current())


async def test_forward_on_no_answer_of_a_telephone_that_is_switched_off_is_immediate(site: Standing) -> None:
    await site.publish({"202": {"forward_no_answer": "203"}})
    await site.phones["202"].unregister()
    try:
        placed, _ = await site.talk("201", "202", "203")
        assert placed.post_dial_delay_s < CONTACT_LIFE_MS / 1000, "nobody waited for it"
    finally:
        await site.phones["202"].register()


async def test_chain_of_forwardings_ends_at_the_last_telephone(site: Standing) -> None:
    await site.publish({"202": {"forward_always": "203"}, "203": {"forward_busy": "204"}})
    await site.phones["203"].behave(refuse=True)
    await site.talk("201", "202", "204")


async def test_two_telephones_that_forward_to_each_other_end_the_call(site: Standing) -> None:
    await site.publish({"202": {"forward_busy": "203"}, "203": {"forward_busy": "202"}})
    for number in ("202", "203"):
        await site.phones[number].behave(refuse=True)
    placed = await site.phones["201"].dial("202")
    await placed.wait("closed")
    assert placed.code in (482, 486)


async def test_do_not_disturb_leaves_the_telephone_silent(site: Standing) -> None:
    await site.publish({"202": {"do_not_disturb": True}})
    before = len(site.phones["202"].calls)
    placed = await site.phones["201"].dial("202")
    await placed.wait("closed")
    assert (placed.code, len(site.phones["202"].calls)) == (480, before)


async def test_do_not_disturb_goes_where_busy_goes(site: Standing) -> None:
    await site.publish({"202": {"do_not_disturb": True, "forward_busy": "203"}})
    await site.talk("201", "202", "203")


async def test_group_of_all_rings_everybody_and_stops_when_one_answers(site: Standing) -> None:
    for number in ("201", "202", "203"):
        await site.phones[number].behave(answer_after_s=None)
    placed = await site.phones["204"].dial(GROUP)
    ringing = [await site.rings(number) for number in ("201", "202", "203")]
    await ringing[1].answer()
    await hear_each_other(placed, ringing[1])
    await ringing[0].wait("closed")
    await ringing[2].wait("closed")


async def test_member_who_calls_the_group_is_not_rung(site: Standing) -> None:
    await site.phones["202"].behave(answer_after_s=None)
    await site.phones["203"].behave(answer_after_s=None)
    placed = await site.phones["201"].dial(GROUP)
    other = await site.rings("203")
    await other.answer()
    await hear_each_other(placed, other)
    assert not [call for call in site.phones["201"].calls if call.incoming and call.state != "closed"]


async def test_group_in_turn_passes_the_busy_and_the_silent(site: Standing) -> None:
    await site.publish(groups=[group("601", ["202", "203", "204"], strategy="turn")])
    await site.phones["202"].behave(refuse=True)
    await site.phones["203"].behave(answer_after_s=None)
    placed = await site.phones["201"].dial("601")
    await placed.wait("established")
    await hear_each_other(placed, site.phones["204"].current())


async def test_group_that_nobody_answers_overflows(site: Standing) -> None:
    await site.publish(groups=[group("601", ["202", "203"], overflow="205")])
    for number in ("202", "203"):
        await site.phones[number].behave(answer_after_s=None)
    placed = await site.phones["201"].dial("601")
    first = await site.rings("202")
    await placed.wait("established")
    await first.wait("closed")
    await hear_each_other(placed, site.phones["205"].current())


async def test_group_overflows_to_another_group_and_to_the_outside(site: Standing) -> None:
    groups = [
        group("601", ["202"], overflow="602"),
        group("602", ["203"], overflow="0312345678"),
    ]
    await site.publish(groups=groups)
    for number in ("202", "203"):
        await site.phones[number].behave(refuse=True)
    placed = await site.phones["201"].call("601")
    seen = await site.at_gateway()
    assert seen.number == "0312345678"
    await placed.wait_hears(site.lab.gateway.tone_hz)


async def test_caller_who_gives_up_stops_every_member(site: Standing) -> None:
    for number in ("201", "202", "203"):
        await site.phones[number].behave(answer_after_s=None)
    placed = await site.phones["204"].dial(GROUP)
    ringing = [await site.rings(number) for number in ("201", "202", "203")]
    await placed.hangup()
    for call in ringing:
        await call.wait("closed")


async def test_second_telephone_of_one_extension_rings_with_the_first(site: Standing) -> None:
    second = site.lab.make_phone("202", address=site.lab.addresses.phone(50), tone_hz=1400)
    await second.start()
    try:
        await second.register()
        await second.behave(answer_after_s=None)
        await site.phones["202"].behave(answer_after_s=None)
        placed = await site.phones["201"].dial("202")
        first, other = await site.rings("202"), await site.rings(second)
        await other.answer()
        await hear_each_other(placed, other)
        await first.wait("closed")
        await placed.hangup()
    finally:
        await second.stop()
