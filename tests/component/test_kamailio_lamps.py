"""Busy lamps by the real Kamailio: what a telephone that subscribes is told, who may subscribe, and what a restart leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.helpers.box_calls import Answers, answer, bare_box, phones
from tests.lab.bare_box import BareBox
from tests.lab.processes import wait_until
from tests.lab.sipua import Ua
from tests.lab.spiral_proxy import SpiralProxy
from tests.lab.watcher import WAIT_S, Watcher, attribute

pytestmark = pytest.mark.asyncio

LOCAL = {"call_control": "local"}
CALLED, CALLS = "recipient", "initiator"


@asynccontextmanager
async def watcher(box: BareBox, number: str = "206", index: int = 9, **more: str) -> AsyncIterator[Watcher]:
    """A registered telephone that watches."""
    async with AsyncExitStack() as stack:
        ua = await stack.enter_async_context(box.phone(number, index, **more))
        assert (await ua.register()).code == 200
        yield Watcher(ua, box.addresses.box_lan)


@asynccontextmanager
async def watched(*others: Answers, **more: str) -> AsyncIterator[tuple[BareBox, Ua, Watcher]]:
    """A box in control of its calls, 201 who places some, those from 202 on with what they do, and somebody who watches."""
    named = {f"x{202 + index}": other for index, other in enumerate(others)}
    async with (
        bare_box(**LOCAL) as box,
        phones(box, x201=None, **named) as (caller, *_),
        watcher(box, **more) as w,
    ):
        yield box, caller, w


async def test_lamp_shows_a_call_as_it_rings_is_answered_and_ends_and_both_its_sides() -> None:
    async with watched(answer(0.6)) as (box, a, w):
        called, calls, other = [await w.watch(number) for number in ("202", "201", "203")]
        await called.wait()
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        await called.wait((CALLED, "early"))
        await calls.wait((CALLS, "early"))
        body = called.told[-1][1].body
        assert attribute(body, "call-id") == call.request.get("call-id")
        assert "<identity>sip:201@" in body
        assert (await call.wait(timeout_s=10)).code == 200
        await called.wait((CALLED, "confirmed"))
        await calls.wait((CALLS, "confirmed"))
        late = await w.watch("202")
        await late.wait((CALLED, "confirmed"))
        await a.bye(a.dialog(call))
        await called.wait((CALLED, "terminated"))
        assert called.seen == [[], [(CALLED, "early")], [(CALLED, "confirmed")], [(CALLED, "terminated")]]
        await calls.wait((CALLS, "terminated"))
        assert other.seen == [[]]
        numbers = [int(message.get("cseq").split()[0]) for _, message in called.told]
        assert numbers == sorted(set(numbers))


async def test_presence_of_a_colleague_follows_calls_registration_and_do_not_disturb() -> None:
    async with (
        bare_box(**LOCAL) as box,
        phones(box, x201=None, x202=answer(1.5)) as (a, b),
        watcher(box) as w,
    ):
        seen, lamp = await w.watch("202", "presence"), await w.watch("202")
        away = await w.watch("203", "presence")
        await seen.wait_body("<dm:note>Ready</dm:note>")
        await away.wait_body("<basic>closed</basic>")
        assert seen.told[-1][1].get("content-type") == "application/pidf+xml"
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        await seen.wait_body("<dm:note>Ringing</dm:note>")
        assert (await call.wait(timeout_s=10)).code == 200
        await seen.wait_body("<rpid:on-the-phone/>")
        await lamp.wait((CALLED, "confirmed"))
        assert "201" not in seen.told[-1][1].body
        assert (await lamp.renew(0)).code == 200
        await a.bye(a.dialog(call))
        await seen.wait_body("<dm:note>Ready</dm:note>")
        await b.invite(f"sip:*78@{box.addresses.box_lan}")
        await seen.wait_body("<rpid:busy/>")
        assert (await b.register(0)).code == 200
        await seen.wait_body("<basic>closed</basic>")


async def test_lamp_of_a_group_rings_with_it_and_those_who_ring_stop_when_one_answers() -> None:
    async with watched(answer(0.8), answer(9)) as (box, a, w):
        lamps = {number: await w.watch(number) for number in ("600", "202", "203", "204")}
        call = await a.invite(f"sip:600@{box.addresses.box_lan}")
        for number in ("600", "202", "203"):
            await lamps[number].wait((CALLED, "early"))
        assert (await call.wait(timeout_s=10)).code == 200
        await lamps["600"].wait((CALLED, "confirmed"))
        await lamps["202"].wait((CALLED, "confirmed"))
        await lamps["203"].wait((CALLED, "terminated"))
        await lamps["204"].wait((CALLED, "terminated"))
        await a.bye(a.dialog(call))
        await lamps["600"].wait_dark()
        await lamps["202"].wait_dark()


async def test_lamps_go_on_after_kamailio_was_killed_without_the_telephones_doing() -> None:
    async with watched(answer(0.3)) as (box, a, w):
        udp, ended = await w.watch("202"), await w.watch("203")
        assert (await ended.renew(0)).code == 200
        await asyncio.sleep(1.5)
        await box.kamailio.kill()
        before = len(udp.told)
        await box.kamailio.start()
        await udp.wait()
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        await udp.wait((CALLED, "confirmed"))
        assert len(udp.told) > before
        numbers = [int(message.get("cseq").split()[0]) for _, message in udp.told]
        assert numbers == sorted(set(numbers))
        assert (await udp.renew()).code == 200
        await a.bye(a.dialog(call))
        await udp.wait_dark()
        assert not ended.lit


async def test_who_is_refused_what() -> None:
    async with bare_box(**LOCAL) as box, watcher(box) as w:
        assert (await w.send("999", "dialog", 600)).code == 404
        assert (await w.send("206", "message-summary", 600)).code == 404
        unknown = await w.send("202", "conference", 600)
        assert (unknown.code, unknown.get("allow-events")) == (489, "dialog, presence, message-summary")
        brief = await w.send("202", "dialog", 5)
        assert (brief.code, brief.get("min-expires")) == (423, "60")
        assert (await w.send("202", "dialog", 600, headers=(("Accept", ""),))).code == 200
        stranger = box.phone("201", 20)
        stranger.password = "wrong"  # noqa: S105 - it is
        async with stranger as ua:
            assert (await Watcher(ua, w.host).send("202", "dialog", 600)).code == 407
        lamp = await w.watch("202", expires_s=99_999)
        assert w.ua.received[-1] is not None
        await lamp.wait()
        left = lamp.told[-1][1].get("subscription-state")
        assert left.startswith("active;expires=3") and int(left.partition("=")[2]) > 3_500
        lamp.dialog.remote = lamp.dialog.remote.partition(";")[0] + ";tag=guessed"
        assert (await lamp.renew()).code == 481


async def test_subscription_ends_when_the_telephone_says_so_or_does_not_know_it_any_more() -> None:
    async with watched(answer(0.2)) as (box, a, w):
        first, second = await w.watch("202"), await w.watch("201")
        await second.wait()
        assert (await first.renew(0)).code == 200
        await asyncio.sleep(0.5)
        assert "terminated;reason=timeout" in first.told[-1][1].get("subscription-state")
        w.refuse_with = 481
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        await second.wait((CALLS, "early"))
        await asyncio.sleep(0.5)
        told = len(second.told)
        await a.bye(a.dialog(call))
        await asyncio.sleep(0.5)
        assert (len(second.told), (await second.renew()).code) == (told, 481)


async def test_telephone_has_a_limit_of_its_own() -> None:
    async with bare_box(**LOCAL) as box, watcher(box) as w:
        assert {(await w.send("202", "dialog", 600)).code for _ in range(160)} == {200}

        async def refused() -> bool:
            return (await w.send("203", "dialog", 600)).code == 403

        await wait_until(refused, "no more than 160", WAIT_S)


async def test_lamps_by_tcp() -> None:
    async with watched(answer(0.2), transport="tcp") as (box, a, w):
        lamp = await w.watch("202")
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        await lamp.wait((CALLED, "confirmed"))
        await a.bye(a.dialog(call))
        await lamp.wait_dark()
        assert (await lamp.renew(0)).code == 200


async def test_call_that_a_cloud_sends_back_rings_lights_and_darkens_as_any_other() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer(1.0)) as (a, _),
        SpiralProxy(box.addresses.cloud_seen_by_box, box.addresses.box_wan),
        watcher(box) as w,
    ):
        called, calls = await w.watch("202"), await w.watch("201")
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait(timeout_s=20)).code == 200
        await called.wait((CALLED, "confirmed"))
        await a.bye(a.dialog(call))
        await called.wait((CALLED, "terminated"))
        await calls.wait_dark()
        assert [(CALLED, "early")] in called.seen
        assert [(CALLS, "early")] in calls.seen


async def test_notify_that_is_lost_is_sent_again_until_it_is_heard() -> None:
    async with bare_box(**LOCAL) as box, watcher(box) as w:
        w.silent = True
        await w.watch("202")

        def came() -> int:
            return sum(message.is_request and message.method == "NOTIFY" for _, message in w.ua.received)

        await wait_until(lambda: came() >= 3, "the NOTIFY again and again", WAIT_S)
        assert len({message.get("cseq") for _, message in w.ua.received if message.is_request}) == 1
        w.silent = False
        lamp = await w.watch("203")
        await lamp.wait()
        told = sum(message.get("call-id") == lamp.dialog.call_id for _, message in w.ua.received)
        await asyncio.sleep(2.5)
        assert sum(message.get("call-id") == lamp.dialog.call_id for _, message in w.ua.received) == told


async def test_odd_subscriptions_are_refused_and_break_nothing() -> None:
    long = "x" * 600
    odd = {
        "contact": ("Contact", "*"),
        "event": ("Event", "dialog\r\n ;id=a b"),
        "route": ("Record-Route", f"<sip:{long}@192.0.2.1;lr>"),
    }
    async with bare_box(**LOCAL) as box, watcher(box) as w:
        codes = {
            name: (await w.send("202", "" if name == "event" else "dialog", 0, headers=(header,))).code
            for name, header in odd.items()
        }
        assert codes == {"contact": 400, "event": 200, "route": 400}
