"""Group strategies with telephones, at a box that has no FreeSWITCH and whose line is cut: groups ring all the same."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.worker import OrderRefused

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMBERS = ["201", "202", "203"]


def group(number: str, strategy: str, **more: object) -> dict[str, object]:
    return {"number": number, "strategy": strategy, "members": MEMBERS, "ring_s": 5} | more


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=5, cloud=False, cloud_phones=0, gateway=False, carrier=False)
    groups = [
        group("610", "round_robin"),
        group("611", "longest_idle"),
        group("612", "turn", ring_busy=False),
        group("613", "turn", overflow="614", overflow_s=6),
        group("614", "all", members=["205"]),
    ]
    async with Lab(parts, {"call_control": "local", "groups": groups}) as lab:
        yield lab


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def tidy(lab: Lab) -> AsyncIterator[None]:
    yield
    for phone in lab.phones.values():
        await phone.behave(answer_after_s=0.0)
        for call in phone.calls:
            if call.state != "closed" and not call.incoming:
                with contextlib.suppress(OrderRefused):
                    await call.hangup()
    calls = [call for phone in lab.phones.values() for call in phone.calls]
    await wait_until(lambda: all(call.state == "closed" for call in calls), "all calls are over")
    await settled(lab)


def talking(lab: Lab) -> list[str]:
    """Who of the members has taken a call that is up."""
    return [
        number
        for number in MEMBERS
        if any(call.incoming and call.state == "established" for call in lab.phones[number].calls)
    ]


async def busy(lab: Lab, number: str) -> bool:
    """Whether the box knows the extension to be in a call."""
    try:
        return bool(await lab.box.rpc.call("htable.get", "busy", number))
    except RuntimeError:
        return False


async def settled(lab: Lab) -> None:
    """The box has heard that the members' calls are over."""

    async def nobody() -> bool:
        return not any([await busy(lab, number) for number in MEMBERS])

    await wait_until(nobody, "the box knows that nobody talks")


async def answers(lab: Lab, number: str, caller: str = "204") -> str:
    """Call, see who answers, hang up."""
    call = await lab.phones[caller].call(number, 20)
    await wait_until(lambda: talking(lab), f"somebody of {number} answers")
    found = talking(lab)
    await call.hangup()
    await wait_until(lambda: not talking(lab), "the call is over at the other side too")
    assert len(found) == 1
    return found[0]


async def idle_is_known(lab: Lab, number: str, before: str = "") -> str:
    """When the box last saw the extension put down; waits until that has changed."""
    value = ""

    async def changed() -> bool:
        nonlocal value
        try:
            value = str((await lab.box.rpc.call("htable.get", "kept", f"idle:{number}"))["item"]["value"])
        except RuntimeError:
            value = ""
        return bool(value) and value != before

    await wait_until(changed, f"{number} is idle")
    return value


async def test_round_robin_goes_on_where_it_stopped_even_after_a_restart(lab: Lab) -> None:
    found = [await answers(lab, "610") for _ in range(4)]
    begin = MEMBERS.index(found[0])
    assert found == [MEMBERS[(begin + turn) % 3] for turn in range(4)]
    await lab.box.stop("kamailio")
    await lab.box.start("kamailio")
    await wait_until(lambda: _kept(lab, "turn:610"), "what is kept is loaded")
    last = MEMBERS[(begin + 4) % 3]
    before = await _idle(lab, last)
    assert await answers(lab, "610") == last
    await idle_is_known(lab, last, before)  # calls are followed from the first one on


async def _kept(lab: Lab, key: str) -> bool:
    try:
        await lab.box.rpc.call("htable.get", "kept", key)
    except (RuntimeError, OSError):
        return False
    return True


async def test_two_calls_at_once_begin_with_two_members(lab: Lab) -> None:
    for number in MEMBERS:
        await lab.phones[number].behave(answer_after_s=None)
    calls = await asyncio.gather(*(lab.phones[number].dial("610") for number in ("204", "205")))
    await asyncio.gather(*(call.wait("ringing", 10) for call in calls))
    rung = [
        number
        for number in MEMBERS
        if any(call.incoming and call.state != "closed" for call in lab.phones[number].calls)
    ]
    assert len(rung) == 2


async def test_the_longest_idle_answers_whatever_call_kept_the_others(lab: Lab) -> None:
    order = []
    for _ in MEMBERS:
        before = {number: await _idle(lab, number) for number in MEMBERS}
        order.append(await answers(lab, "611"))
        await idle_is_known(lab, order[-1], before[order[-1]])
    assert sorted(order) == MEMBERS
    first, second = order[0], order[1]
    before_call = await _idle(lab, first)
    plain = await lab.phones[first].call("205")
    await plain.hangup()
    await idle_is_known(lab, first, before_call)
    assert await answers(lab, "611") == second


async def _idle(lab: Lab, number: str) -> str:
    try:
        return str((await lab.box.rpc.call("htable.get", "kept", f"idle:{number}"))["item"]["value"])
    except RuntimeError:
        return ""


async def test_a_member_in_a_call_is_not_rung_where_the_group_spares_him(lab: Lab) -> None:
    talk = await lab.phones["201"].call("205")

    async def known() -> bool:
        return await busy(lab, "201")

    await wait_until(known, "201 is known to talk")
    count = len(lab.phones["201"].calls)
    assert not await busy(lab, "202")
    assert await answers(lab, "612") == "202"
    assert len(lab.phones["201"].calls) == count
    await talk.hangup()


async def test_the_overflow_leads_to_another_group_after_its_time(lab: Lab) -> None:
    for number in MEMBERS:
        await lab.phones[number].behave(answer_after_s=None)
    call = await lab.phones["204"].dial("613")
    await call.wait("established")
    assert 5.0 < call.times["established"] - call.times["ringing"] < 20
    assert any(one.state == "established" for one in lab.phones["205"].calls)
