"""Calls through the real Kamailio: what each party is sent, and what the journal says of it."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from appliance.kamailio import callback
from appliance.kamailio.destinations import CONTACT_LIFE_MS
from appliance.kamailio.facts import unquoted
from appliance.media.ng import NgClient
from tests.helpers.site_documents import extension, group
from tests.lab import addresses, sipmsg
from tests.lab.bare_box import BareBox, site_document
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.sipcall import Dialog, Incoming
from tests.lab.sipmsg import Message
from tests.lab.sipua import Ua
from tests.lab.spiral_proxy import SpiralProxy
from tests.lab.worker import OrderRefused

LIFE_S = 0.6
TICKS_S = 0.15
"""Two timer ticks of Kamailio's."""
BUSY_S = 3.0
"""What a machine with much else to do may add. Whatever is not passed over in its life time holds a call up for eight seconds."""
LONG_LIFE_S = 5.0
"""A sign of life that is waited for so long shows: who is done before did not wait for it."""

Answers = Callable[[Incoming], None]


@asynccontextmanager
async def bare_box(**changes: Any) -> AsyncIterator[BareBox]:
    """A running box whose log says at the end that nothing of ours broke."""
    claim = addresses.claim()
    try:
        async with BareBox(claim.addresses, claim.folder, site_document(claim.addresses, **changes)) as box:
            yield box
            assert box.faults() == []
    finally:
        claim.release()


@asynccontextmanager
async def phones(box: BareBox, **answers: Answers | None) -> AsyncIterator[list[Ua]]:
    """Registered telephones, named x201, x202...; what each does with an INVITE."""
    async with AsyncExitStack() as stack:
        made = []
        for index, (name, answer) in enumerate(answers.items(), 1):
            ua = await stack.enter_async_context(box.phone(name[1:4], index, on_request=answer))
            assert (await ua.register()).code == 200
            made.append(ua)
        yield made


def answer(ring_s: float = 0.0, code: int = 200) -> Answers:
    """Ring, then answer or refuse."""

    async def ring(incoming: Incoming) -> None:
        incoming.reply(180)
        await asyncio.sleep(ring_s)
        if not incoming.cancelled.is_set():
            sdp = sipmsg.sdp(incoming.ua.contact.split("@")[1].split(":")[0], 4000)
            incoming.reply(code, body=sdp if code == 200 else "")

    tasks = set()

    def on_request(incoming: Incoming) -> None:
        if incoming.request.method != "INVITE":
            incoming.reply(200)
            return
        task = asyncio.get_running_loop().create_task(ring(incoming))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return on_request


def refuse(code: int) -> Answers:
    """Refuse at once."""
    return lambda incoming: incoming.reply(code if incoming.request.method == "INVITE" else 200)


def silent(_: Incoming) -> None:
    """Say nothing."""


def requests(ua: Ua, *methods: str) -> list[Message]:
    """Requests that came, in order."""
    return [m for _, m in ua.received if m.is_request and m.method in (methods or (m.method,))]


async def rows(box: BareBox, event: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the journal holds that many rows of a kind; their data."""

    def found() -> list[dict[str, Any]]:
        data = [data for name, _, data in box.journal() if name == event]
        return data if len(data) >= count else []

    result = await wait_until(found, f"{count} x {event} in the journal")
    assert isinstance(result, list)
    return result


async def long_life(box: BareBox) -> None:
    """Let the cloud have so long for a sign of life that nobody can have waited for one by chance."""
    await box.kamailio.rpc.call("htable.seti", "link", "cloud:life_ms", round(1000 * LONG_LIFE_S))


async def steps(box: BareBox, count: int = 1) -> list[tuple[str, str]]:
    """(target kind, outcome) of every step that ended, once there are that many."""
    outcomes = await rows(box, "step_end", count)
    kinds = {data["index"]: data["kind"] for data in await rows(box, "step")}
    return [(kinds[data["index"]], data["outcome"]) for data in outcomes]


async def ends(box: BareBox, count: int = 1) -> list[dict[str, Any]]:
    """How that many calls ended."""
    return await rows(box, "end", count)


async def end(box: BareBox) -> dict[str, Any]:
    """How the only call ended."""
    (row,) = await ends(box)
    return row


async def table(box: BareBox, name: str) -> dict[str, str]:
    """One of Kamailio's tables."""
    slots = await box.kamailio.rpc.call("htable.dump", name)
    return {item["name"]: item["value"] for slot in slots for item in slot["slot"]}


# plans


async def test_call_between_two_telephones_is_answered_ended_and_journalled() -> None:
    async with bare_box(call_control="local") as box, phones(box, x201=None, x202=answer(0.05)) as (a, b):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        assert [invite.all("Proxy-Authorization") for invite in requests(b, "INVITE")] == [[]]
        assert (await a.bye(a.dialog(call))).code == 200
        assert await end(box) == {"cause": "normal_clearing", "code": 200, "by": "caller"}
        assert [event for event, _, _ in box.journal()] == ["start", "step", "answer", "end"]
        assert len({key for _, key, _ in box.journal()}) == 1
        start, answered = box.journal()[0][2], box.journal()[2][2]
        assert (start["origin"], start["origin_id"], start["dialled"], start["kind"]) == (
            "phone",
            "201",
            "202",
            "extension",
        )
        assert answered == {"index": 0, "code": 200, "user": "202", "codec": "PCMU"}
        assert await table(box, "last") == {"202": "201"}
        assert await table(box, "kept") == {}


async def test_who_is_in_a_call_is_known_for_as_long_as_somebody_waits_for_a_busy_telephone() -> None:
    async with bare_box(call_control="local") as box, phones(box, x201=None, x202=answer()) as (a, _):
        before = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await before.wait()).code == 200
        await rows(box, "answer")
        assert await table(box, "busy") == {}

        async def busy(expected: dict[str, str]) -> bool:
            return await table(box, "busy") == expected

        await box.kamailio.rpc.call("htable.sets", "generation", callback.UNTIL, str(int(time.time()) + 60))
        await wait_until(lambda: busy({"201": "1", "202": "1"}), "the call that is up is known")
        second = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await second.wait()).code == 200
        await wait_until(lambda: busy({"201": "2", "202": "2"}), "another call is known")
        assert (await a.bye(a.dialog(before))).code == 200
        await wait_until(lambda: busy({"201": "1", "202": "1"}), "the end of the first is known")
        await box.kamailio.rpc.call("htable.sets", "generation", callback.UNTIL, str(int(time.time()) - 1))
        await wait_until(lambda: busy({}), "nobody is followed any more")


async def test_callee_who_ends_the_call_is_named_and_a_callers_telephone_that_is_gone_delays_nobody() -> None:
    held: list[Incoming] = []

    def take(incoming: Incoming) -> None:
        held.append(incoming)
        answer()(incoming)

    async with bare_box(call_control="local") as box, phones(box, x201=None, x202=take) as (a, b):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        await a.__aexit__()
        began = time.monotonic()
        assert (await b.bye(held[0].dialog())).code == 200
        assert time.monotonic() - began < LIFE_S + BUSY_S
        assert await end(box) == {"cause": "normal_clearing", "code": 200, "by": "callee"}


async def test_black_hole_is_passed_over_within_the_call_in_its_life_time() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer()) as (a, _),
        box.cloud(on_request=silent),
    ):
        took_s = []
        for _ in range(3):
            began = time.monotonic()
            call = await a.invite(f"sip:202@{box.addresses.box_lan}")
            assert (await call.wait()).code == 200
            took_s.append(time.monotonic() - began)
            await a.bye(a.dialog(call))
        # Never less; what one call waits longer may be the machine's doing.
        assert LIFE_S - TICKS_S < min(took_s) < 2 * LIFE_S
        assert await steps(box, 3) == [("cloud", "no_life")] * 3


async def test_slow_line_is_given_three_round_trips_and_what_the_agent_says_expires() -> None:
    def slowly(incoming: Incoming) -> None:
        if incoming.request.method == "INVITE":
            asyncio.get_running_loop().call_later(0.85, incoming.reply, 486)

    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer()) as (a, _),
        box.cloud(on_request=slowly),
    ):
        told = {"cloud": "UP", "cloud:life_ms": 4_000}
        await box.kamailio.rpc.call("htable.sets", "link", "cloud", told["cloud"])
        await box.kamailio.rpc.call("htable.seti", "link", "cloud:life_ms", told["cloud:life_ms"])
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 486
        await box.kamailio.rpc.call("htable.delete", "link", "cloud:life_ms")
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        assert await steps(box, 2) == [("cloud", "busy"), ("cloud", "no_life")]


@pytest.mark.parametrize(
    ("code", "outcome"), [(503, "overloaded"), (500, "overloaded"), (504, "overloaded")], ids=str
)
async def test_upstream_that_cannot_serve_is_passed_over_at_once(code: int, outcome: str) -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer()) as (a, _),
        box.cloud(on_request=refuse(code)),
    ):
        await long_life(box)
        began = time.monotonic()
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        assert time.monotonic() - began < LONG_LIFE_S, "nobody waited for a sign of life"
        assert await steps(box) == [("cloud", outcome)]


async def test_answer_of_the_cloud_about_the_callee_is_the_calls_answer() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer()) as (a, b),
        box.cloud(on_request=refuse(486)),
    ):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 486
        assert await end(box) == {"cause": "user_busy", "code": 486, "by": "callee"}
        assert requests(b) == []


async def test_send_that_fails_at_once_goes_to_the_next_target_without_waiting() -> None:
    # Nothing can be sent from the box's loopback socket to the machine's outside.
    unreachable = [{"id": "cloud", "uri": "sip:192.0.2.9:5060", "number_format": "extension"}]
    async with bare_box(upstreams=unreachable) as box, phones(box, x201=None, x202=answer()) as (a, _):
        await long_life(box)
        began = time.monotonic()
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        assert time.monotonic() - began < LONG_LIFE_S, "nobody waited for a sign of life"
        assert await steps(box) == [("cloud", "no_life")]


async def test_telephone_to_which_nothing_can_be_sent_is_passed_over_by_its_own_forwarding_at_once() -> None:
    extensions = [extension("201"), extension("202", forward_no_answer="203"), extension("203")]
    async with (
        bare_box(call_control="local", extensions=extensions, groups=[]) as box,
        phones(box, x201=None, x203=answer()) as (a, _),
        box.phone("202", 9) as b,
    ):
        # Nothing can be sent from the box's loopback socket to the machine's outside.
        contact = [("Contact", "<sip:202@192.0.2.9:5060>"), ("Expires", "600")]
        registered = b.start("REGISTER", f"sip:{b.domain}", to=f"<sip:202@{b.domain}>", headers=contact)
        assert (await b._authenticated(registered, 5)).responses[-1][1].code == 200
        began = time.monotonic()
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        assert time.monotonic() - began < CONTACT_LIFE_MS / 1000, "nobody waited for a sign of life"
        assert await steps(box) == [("contacts", "no_contact")]
        (answered,) = await rows(box, "answer")
        assert (answered["index"], answered["user"]) == (1, "203")


async def test_upstream_that_only_says_trying_is_passed_over_and_cancelled() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer()) as (a, _),
        box.cloud(on_request=lambda incoming: incoming.reply(100)) as cloud,
    ):
        began = time.monotonic()
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        assert 7.5 < time.monotonic() - began < 8 + BUSY_S
        await wait_until(lambda: requests(cloud, "CANCEL"), "CANCEL to the cloud")
        assert [m.method for m in requests(cloud, "INVITE", "CANCEL")] == ["INVITE", "CANCEL"]


async def test_answer_of_a_target_passed_over_connects_nobody_and_is_ended() -> None:
    held: list[Incoming] = []
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer(0.6)) as (a, _),
        box.cloud(on_request=held.append) as cloud,
    ):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        await call.wait(180)
        held[0].reply(180)  # wakes up while the telephone rings: CANCEL
        await wait_until(lambda: requests(cloud, "CANCEL"), "CANCEL to the cloud")
        held[0].reply(200, body=sipmsg.sdp(cloud.address, 4000))
        await wait_until(lambda: requests(cloud, "BYE"), "BYE before the answer")
        assert (await call.wait()).get("contact").startswith("<sip:202@")
        held[0].reply(200, body=sipmsg.sdp(cloud.address, 4000))
        await wait_until(lambda: len(requests(cloud, "BYE")) == 2, "BYE after the answer")
        await asyncio.sleep(5.5)  # tm has forgotten the transaction (wt_timer)
        held[0].reply(200, body=sipmsg.sdp(cloud.address, 4000))
        await wait_until(lambda: len(requests(cloud, "BYE")) == 3, "BYE after the transaction")
        assert [m.code for _, m in call.responses] == [100, 180, 200]
        ack, bye = requests(cloud, "ACK")[-1], requests(cloud, "BYE")[-1]
        assert (ack.uri, bye.uri) == (cloud.contact, cloud.contact)
        assert sipmsg.tag_of(bye.get("to")) == held[0].to_tag
        assert (await a.bye(a.dialog(call))).code == 200


async def test_forwarding_on_no_answer_and_on_busy_happens_within_one_call() -> None:
    extensions = [
        extension("201"),
        extension("202", forward_no_answer="203", no_answer_s=5),
        extension("203", forward_busy="204"),
        extension("204"),
    ]
    ringing = {"x202": answer(30), "x203": refuse(486), "x204": answer()}
    async with (
        bare_box(call_control="local", extensions=extensions, groups=[]) as box,
        phones(box, x201=None, **ringing) as (a, b, _, _),
    ):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).get("contact").startswith("<sip:204@")
        assert await steps(box, 2) == [("contacts", "no_answer"), ("contacts", "busy")]
        assert await table(box, "last") == dict.fromkeys(("202", "203", "204"), "201")
        assert "CANCEL" in [m.method for m in requests(b)]


async def test_group_rings_all_telephones_and_the_others_stop_when_one_answers() -> None:
    ringing = {"x202": answer(30), "x203": refuse(486), "x204": answer(0.3), "x204b": answer(30)}
    async with (
        bare_box(call_control="local") as box,
        phones(box, x201=None, **ringing) as (a, b, _, _, second),
    ):
        call = await a.invite(f"sip:600@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        await wait_until(lambda: requests(b, "CANCEL") and requests(second, "CANCEL"), "others stop")
        assert (await rows(box, "answer"))[0]["user"] == "204"


async def test_group_in_turn_goes_on_after_busy_and_silence() -> None:
    turn = [group(members=["202", "203", "204"], strategy="turn", ring_s=5)]
    ringing = {"x202": answer(30), "x203": refuse(486), "x204": answer()}
    async with (
        bare_box(call_control="local", groups=turn) as box,
        phones(box, x201=None, **ringing) as (a, *_),
    ):
        call = await a.invite(f"sip:600@{box.addresses.box_lan}")
        assert (await call.wait()).get("contact").startswith("<sip:204@")
        assert await steps(box, 2) == [("contacts", "no_answer"), ("contacts", "busy")]


@pytest.mark.parametrize(
    ("number", "code"), [("202", 480), ("600", 480), ("999", 404), ("119", 503)], ids=str
)
async def test_call_that_no_step_serves_is_answered_and_ends_in_the_journal(number: str, code: int) -> None:
    async with bare_box() as box, phones(box, x201=None) as (a,):
        call = await a.invite(f"sip:{number}@{box.addresses.box_lan}")
        assert (await call.wait()).code == code
        row = await end(box)
        assert (row["code"], row["by"]) == (code, "box")


# the caller gives up


@pytest.mark.parametrize("control", ["cloud", "local"])
async def test_caller_who_gives_up_ends_the_call_at_every_stage(control: str) -> None:
    async with (
        bare_box(call_control=control) as box,
        phones(box, x201=None, x202=answer(30), x203=answer(30)) as (a, b, c),
        box.cloud(on_request=silent),
    ):
        for count, (number, stage) in enumerate([("202", 100), ("202", 180), ("600", 180)], 1):
            call = await a.invite(f"sip:{number}@{box.addresses.box_lan}", challenge_s=0.05)
            await call.wait(stage)
            a.cancel(call)
            assert (await call.wait()).code == 487
            assert (await ends(box, count))[-1] == {"cause": "originator_cancel", "code": 487, "by": "caller"}
        assert len(requests(b, "CANCEL")) == len(requests(b, "INVITE"))
        assert len(requests(c, "CANCEL")) == len(requests(c, "INVITE"))


# gateways and callers


async def test_gateway_sees_the_number_and_the_caller_in_its_own_format() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None) as (a,),
        box.gateway(on_request=answer()) as gateway,
    ):
        await box.link("DOWN")
        forged = [
            ("P-Asserted-Identity", "<sip:110@police.invalid>"),
            ("Remote-Party-ID", "<sip:1@x.invalid>"),
        ]
        call = await a.invite(f"sip:00312345678@{box.addresses.box_lan}", headers=forged)
        assert (await call.wait()).code == 200
        (invite,) = requests(gateway, "INVITE")
        assert sipmsg.user_of(invite.uri) == "0312345678"
        assert sipmsg.user_of(invite.get("from")) == "0312340201"
        assert [sipmsg.user_of(value) for value in invite.all("P-Asserted-Identity")] == ["0312340201"]
        assert invite.all("Remote-Party-ID") == invite.all("Proxy-Authorization") == []
        assert sipmsg.user_of((await call.wait()).get("from")) == "201"


HOSTILE_NAMES = {
    '100%s%n ${hupall} <b>"x"</b> \\ `id`': rb'"100%s%n ${hupall} <b>\"x\"</b> \\ `id`"'.decode(),
    "Bob%0AEvent-Name: x": '"Bob%0AEvent-Name: x"',
    "佐藤 春香": '"佐藤 春香"',
}


async def test_name_of_a_caller_from_outside_is_shown_as_it_is() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=answer()) as (a,),
        box.gateway() as gateway,
    ):
        for count, (name, written) in enumerate(HOSTILE_NAMES.items(), 1):
            sender = f"{written} <sip:0398765432@{box.addresses.gateway}>;tag=n{count}"
            call = await gateway.invite(
                f"sip:+81312340201@{box.addresses.box_lan}", headers=[("From", sender)]
            )
            assert (await call.wait()).code == 200
            invite = requests(a, "INVITE")[-1]
            shown, _, uri = invite.get("from").rpartition("<")
            assert (unquoted(shown), sipmsg.user_of(f"<{uri}")) == (name, "0398765432")
            assert len(invite.all("From")) == len(invite.all("To")) == 1


async def test_both_sides_keep_their_own_view_of_the_caller_within_the_call() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=answer()) as (a,),
        box.gateway(on_request=answer()) as gateway,
    ):
        await box.link("DOWN")
        call = await a.invite(f"sip:00312345678@{box.addresses.box_lan}")
        await call.wait()
        dialog = a.dialog(call)
        sdp = [("Contact", f"<{a.contact}>"), ("Content-Type", "application/sdp")]
        hold = a.start(
            "INVITE",
            dialog.target,
            dialog=dialog,
            headers=sdp,
            body=sipmsg.sdp(a.address, 4000, direction="sendonly"),
        )
        assert (await hold.wait()).code == 200
        info = a.start("INFO", dialog.target, dialog=dialog, body="Signal=5\r\n")
        assert (await info.wait()).code == 200
        incoming = next(iter(gateway._incoming.values()))
        other = incoming.dialog()
        update = gateway.start(
            "UPDATE", other.target, dialog=other, headers=[("Contact", f"<{gateway.contact}>")]
        )
        assert (await update.wait()).code == 200
        assert (await gateway.bye(other)).code == 200
        assert {sipmsg.user_of(m.get("from")) for m in requests(gateway, "INVITE", "INFO")} == {"0312340201"}
        assert {sipmsg.user_of(m.get("to")) for m in requests(a, "UPDATE", "BYE")} == {"201"}
        assert (await end(box))["by"] == "callee"


async def test_full_gateway_refuses_the_next_call_and_gives_way_to_an_emergency() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=answer(), x202=answer(), x203=None) as (a, b, c),
        box.gateway(on_request=answer()) as gateway,
    ):
        await box.link("DOWN")
        for ua in (a, b):
            assert (await (await ua.invite(f"sip:00312345678@{box.addresses.box_lan}")).wait()).code == 200
        third = await c.invite(f"sip:00312345678@{box.addresses.box_lan}")
        assert (await third.wait()).code == 503
        assert len(requests(gateway, "INVITE")) == 2
        emergency = await c.invite(f"sip:119@{box.addresses.box_lan}")
        assert (await emergency.wait()).code == 200
        await wait_until(lambda: requests(a, "BYE") + requests(b, "BYE"), "a lower call is ended")
        (bye,) = requests(a, "BYE") + requests(b, "BYE")
        assert bye.get("reason").startswith("preemption")
        assert sipmsg.user_of(requests(gateway, "INVITE")[-1].get("from")) == "0312340000"
        assert {"cause": "preempted", "code": 0, "by": "box"} in await ends(box, 2)
        await wait_until(lambda: requests(gateway, "BYE"), "the gateway hears of it as well")

        async def counted() -> bool:
            return bool(await box.kamailio.rpc.call("dlg.profile_get_size", "gateway", "gw1") == 2)

        await wait_until(counted, "the channel is free again")


async def test_call_that_still_rings_gives_way_before_one_that_talks() -> None:
    def gateway_side(incoming: Incoming) -> None:
        talking = "119@" in incoming.request.uri or "5678@" in incoming.request.uri
        (answer() if talking else answer(30))(incoming)

    async with (
        bare_box() as box,
        phones(box, x201=answer(), x202=answer(), x203=None) as (a, b, c),
        box.gateway(on_request=gateway_side),
    ):
        await box.link("DOWN")
        assert (await (await a.invite(f"sip:00312345678@{box.addresses.box_lan}")).wait()).code == 200
        ringing = await b.invite(f"sip:00312345679@{box.addresses.box_lan}")
        await ringing.wait(180)
        emergency = await c.invite(f"sip:119@{box.addresses.box_lan}")
        assert (await emergency.wait()).code == 200
        assert (await ringing.wait()).code >= 400
        assert requests(a, "BYE") == []


async def test_gateway_that_says_it_is_full_is_tried_again_after_a_call_gave_way() -> None:
    up = 0

    def one_channel(incoming: Incoming) -> None:
        nonlocal up
        if incoming.request.method == "BYE":
            up -= 1
        elif incoming.request.method == "INVITE":
            if up:
                incoming.reply(503)
                return
            up += 1
        incoming.reply(200, body=sipmsg.sdp("127.0.0.1", 4000) if incoming.request.method == "INVITE" else "")

    async with (
        bare_box() as box,
        phones(box, x201=answer(), x202=None) as (a, b),
        box.gateway(on_request=one_channel) as gateway,
    ):
        await box.link("DOWN")
        assert (await (await a.invite(f"sip:00312345678@{box.addresses.box_lan}")).wait()).code == 200
        emergency = await b.invite(f"sip:119@{box.addresses.box_lan}")
        assert (await emergency.wait()).code == 200
        assert len(requests(a, "BYE")) == 1
        assert len(requests(gateway, "INVITE")) == 3


async def test_telephone_behind_nat_is_reached_within_the_call_at_its_true_address() -> None:
    async with (
        bare_box(call_control="local") as box,
        phones(box, x201=answer(), x202=answer()) as (a, b),
    ):
        private = [("Contact", "<sip:201@10.1.2.3:5070>")]
        call = await a.invite(f"sip:202@{box.addresses.box_lan}", headers=private)
        assert (await call.wait()).code == 200
        other = next(iter(b._incoming.values())).dialog()
        assert (await b.bye(other)).code == 200
        (bye,) = requests(a, "BYE")
        assert bye.uri == "sip:201@10.1.2.3:5070"


async def test_reliable_early_media_and_session_timers_pass_through() -> None:
    held: list[Incoming] = []

    def callee(incoming: Incoming) -> None:
        if incoming.request.method == "INVITE":
            held.append(incoming)
            reliable = [("Require", "100rel"), ("RSeq", "1")]
            address = incoming.ua.contact.split("@")[1].split(":")[0]
            incoming.reply(183, headers=reliable, body=sipmsg.sdp(address, 4000))
        else:
            incoming.reply(200)
            held[0].reply(200, headers=[("Session-Expires", "1800;refresher=uac")])

    async with bare_box(call_control="local") as box, phones(box, x201=None, x202=callee) as (a, b):
        offered = [("Supported", "100rel, timer"), ("Session-Expires", "1800")]
        call = await a.invite(f"sip:202@{box.addresses.box_lan}", headers=offered)
        progress = await call.wait(183)
        assert sipmsg.media_of(progress.body) == (b.address, 4000, [0, 8, 101])
        early = Dialog(
            progress.get("call-id"),
            progress.get("from"),
            progress.get("to"),
            sipmsg.uri_of(progress.get("contact")),
            list(reversed(progress.all("record-route"))),
            int(progress.get("cseq").split()[0]),
        )
        rack = [("RAck", f"1 {progress.get('cseq')}")]
        assert (await a.start("PRACK", early.target, dialog=early, headers=rack).wait()).code == 200
        answered = await call.wait()
        assert (answered.code, answered.get("Session-Expires")) == (200, "1800;refresher=uac")
        assert held[0].request.get("Session-Expires") == "1800"
        refresh = a.dialog(call)
        refresh.sequence = early.sequence
        assert (await reinvite(a, refresh).wait(183)).code == 183


# calls up at the cut


async def test_bye_towards_a_dead_upstream_still_ends_the_call() -> None:
    async with bare_box() as box, phones(box, x201=None) as (a,):
        async with box.cloud(on_request=answer()):
            call = await a.invite(f"sip:202@{box.addresses.box_lan}")
            assert (await call.wait()).code == 200
        assert (await a.bye(a.dialog(call))).code == 200
        assert await end(box) == {"cause": "normal_clearing", "code": 200, "by": "caller"}


async def test_refresh_towards_a_dead_upstream_does_not_end_the_call() -> None:
    async with bare_box() as box, phones(box, x201=None) as (a,):
        async with box.cloud(on_request=answer()):
            call = await a.invite(f"sip:202@{box.addresses.box_lan}")
            assert (await call.wait()).code == 200
        dialog = a.dialog(call)
        refresh = a.start("UPDATE", dialog.target, dialog=dialog, headers=[("Contact", f"<{a.contact}>")])
        # RFC 3261 12.2.1.2: 408 and 481 end the dialog at the sender.
        assert (await refresh.wait(timeout_s=60)).code == 504


async def test_bye_after_a_restart_of_kamailio_reaches_the_other_side_and_the_journal() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=answer()) as (a,),
        box.cloud(on_request=answer()) as cloud,
    ):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        await box.kamailio.kill()
        await box.kamailio.start()
        incoming = next(iter(cloud._incoming.values()))
        assert (await cloud.bye(incoming.dialog())).code == 200
        assert len(requests(a, "BYE")) == 1
        ended = {"cause": "normal_clearing", "code": 200, "by": "callee", "forgotten": True}
        assert await end(box) == ended
        assert len({key for _, key, _ in box.journal()}) == 1


# calls that a proxying cloud sends back to the box


@asynccontextmanager
async def spiral(box: BareBox) -> AsyncIterator[tuple[Ua, Ua, SpiralProxy, sipmsg.Message, Any]]:
    """201 talks to 202 by way of the cloud."""
    async with (
        phones(box, x201=answer(), x202=answer(0.05)) as (a, b),
        SpiralProxy(box.addresses.cloud_seen_by_box, box.addresses.box_wan) as cloud,
    ):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        answered = await call.wait()
        assert answered.code == 200
        await wait_until(lambda: requests(b, "ACK"), "ACK")
        yield a, b, cloud, answered, a.dialog(call)


def reinvite(ua: Ua, dialog: Any, direction: str = "sendrecv") -> Any:
    """Change the session."""
    headers = [("Contact", f"<{ua.contact}>"), ("Content-Type", "application/sdp")]
    body = sipmsg.sdp(ua.address, 4000, direction=direction)
    return ua.start("INVITE", dialog.target, dialog=dialog, headers=headers, body=body)


async def test_call_round_by_the_cloud_is_one_call_with_its_audio_at_the_site() -> None:
    async with bare_box() as box, spiral(box) as (a, b, cloud, answered, dialog):
        assert sipmsg.media_of(answered.body) == (b.address, 4000, [0, 8, 101])
        assert sipmsg.media_of(requests(b, "INVITE")[0].body) == (a.address, 4000, [0, 8, 101])
        stats = await box.kamailio.rpc.call("dlg.stats_active")
        assert stats["all"] == 1
        assert (await reinvite(a, dialog, "sendonly").wait()).code == 200
        assert cloud.methods.count("INVITE") == 2
        assert (await a.bye(dialog)).code == 200
        assert "BYE" in cloud.methods
        assert await end(box) == {"cause": "normal_clearing", "code": 200, "by": "caller"}
        assert [event for event, _, _ in box.journal()] == ["start", "step", "answer", "end"]
        assert box.journal()[2][2]["user"] == "202"
        assert await table(box, "last") == {"202": "201"}


@pytest.mark.parametrize("told", ["UP", "DOWN"], ids=["before detection", "after detection"])
async def test_call_round_by_the_cloud_goes_on_when_the_cloud_is_cut_off(told: str) -> None:
    async with bare_box() as box, spiral(box) as (a, b, cloud, _, dialog):
        cloud.alive = False
        await box.link(told)
        if told == "DOWN":
            await long_life(box)
        began = time.monotonic()
        assert (await reinvite(a, dialog, "sendonly").wait()).code == 200
        assert time.monotonic() - began < (LONG_LIFE_S if told == "DOWN" else LIFE_S + BUSY_S)
        other = next(iter(b._incoming.values())).dialog()
        await box.link(told)
        assert (await reinvite(b, other).wait()).code == 200
        assert (await b.bye(other)).code == 200
        assert len(requests(a, "BYE")) == 1
        assert (await end(box))["by"] == "callee"


async def test_call_round_by_the_cloud_can_be_given_up_while_it_rings() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer(30)) as (a, b),
        SpiralProxy(box.addresses.cloud_seen_by_box, box.addresses.box_wan),
    ):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        await call.wait(180)
        a.cancel(call)
        assert (await call.wait()).code == 487
        await wait_until(lambda: requests(b, "CANCEL"), "202 stops ringing")
        assert len(await ends(box)) == 1


async def test_box_rings_a_group_in_turn_for_the_cloud_and_the_second_answer_connects() -> None:
    turn = [group(members=["202", "203"], strategy="turn", ring_s=5)]
    async with (
        bare_box(groups=turn) as box,
        phones(box, x201=None, x202=refuse(486), x203=answer()) as (a, _, c),
        SpiralProxy(box.addresses.cloud_seen_by_box, box.addresses.box_wan),
    ):
        call = await a.invite(f"sip:600@{box.addresses.box_lan}")
        assert (await call.wait()).code == 200
        assert requests(c, "BYE") == []
        assert (await a.bye(a.dialog(call))).code == 200


# media


async def test_call_to_the_outside_is_anchored_between_both_networks() -> None:
    async with bare_box() as box:
        engine = box.rtpengine()
        await engine.start()
        async with phones(box, x201=None) as (a,), box.cloud(on_request=answer()) as cloud:
            call = await a.invite(f"sip:202@{box.addresses.box_lan}")
            towards_caller = sipmsg.media_of((await call.wait()).body)
            towards_cloud = sipmsg.media_of(requests(cloud, "INVITE")[0].body)
            assert towards_cloud is not None and towards_cloud[0] == box.addresses.box_wan
            assert towards_caller is not None and towards_caller[0] == box.addresses.box_lan
            dialog = a.dialog(call)
            assert sipmsg.media_of((await reinvite(a, dialog).wait()).body) == towards_caller
            await a.bye(dialog)
        await engine.stop()


async def test_recorded_call_is_captured_and_one_that_is_not_stays_direct() -> None:
    extensions = [extension("201", record="all"), extension("202"), extension("203")]
    async with bare_box(call_control="local", extensions=extensions, groups=[]) as box:
        engine = box.rtpengine()
        await engine.start()
        async with phones(box, x201=None, x202=answer(), x203=None) as (a, b, c):
            recorded = await a.invite(f"sip:202@{box.addresses.box_lan}")
            media = sipmsg.media_of((await recorded.wait()).body)
            assert media is not None and media[0] == box.addresses.box_lan
            direct = await c.invite(f"sip:202@{box.addresses.box_lan}")
            assert sipmsg.media_of((await direct.wait()).body) == (b.address, 4000, [0, 8, 101])
            assert len(list(box.layout.pcaps_dir.iterdir())) == 1
            for ua, call in ((a, recorded), (c, direct)):
                await ua.bye(ua.dialog(call))
        await engine.stop()


async def test_secure_telephone_talks_to_a_plain_one_and_a_second_binding_rings_with_it() -> None:
    async with bare_box(call_control="local") as box:
        engine = box.rtpengine()
        await engine.start()
        ringing = {"x202": answer(0.3), "x202b": answer(30)}
        async with phones(box, x201=None, **ringing) as (a, b, second):
            offer = sipmsg.sdp(a.address, 4000).replace("RTP/AVP", "RTP/SAVP") + (
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
            )
            call = await a.invite(f"sip:202@{box.addresses.box_lan}", body=offer)
            answered = await call.wait()
            assert "RTP/SAVP" in answered.body and "a=crypto" in answered.body
            for ua in (b, second):
                assert "RTP/AVP" in requests(ua, "INVITE")[0].body
            await a.bye(a.dialog(call))
        await engine.stop()


async def test_call_goes_on_without_rtpengine_and_hardly_later() -> None:
    extensions = [extension("201", record="all"), extension("202")]
    async with bare_box(call_control="local", extensions=extensions, groups=[]) as box:
        engine = box.rtpengine()
        await engine.start()
        async with phones(box, x201=None, x202=answer()) as (a, b):
            before = await a.invite(f"sip:202@{box.addresses.box_lan}")
            assert (await before.wait()).code == 200
            await a.bye(a.dialog(before))
            engine.process.signal(signal.SIGSTOP)
            took_s = []
            for _ in range(6):
                began = time.monotonic()
                call = await a.invite(f"sip:202@{box.addresses.box_lan}")
                assert sipmsg.media_of((await call.wait()).body) == (b.address, 4000, [0, 8, 101])
                took_s.append(time.monotonic() - began)
            engine.process.signal(signal.SIGCONT)
            assert max(took_s) < 1.5 + BUSY_S
            assert min(took_s[1:]) < 0.4, "it was asked again for each call"
        await engine.stop()


async def test_call_whose_audio_has_stopped_and_one_that_lost_rtpengine_are_ended() -> None:
    extensions = [extension("201", record="all"), extension("202")]
    async with bare_box(call_control="local", extensions=extensions, groups=[]) as box:
        engine = box.rtpengine("--timeout=3")
        await engine.start()
        async with phones(box, x201=answer(), x202=answer()) as (a, b):
            silent_call = await a.invite(f"sip:202@{box.addresses.box_lan}")
            assert (await silent_call.wait()).code == 200
            await wait_until(lambda: requests(a, "BYE") and requests(b, "BYE"), "BYE to both sides")
            assert await end(box) == {"cause": "media_timeout", "code": 0, "by": "box"}
            call = await a.invite(f"sip:202@{box.addresses.box_lan}")
            assert (await call.wait()).code == 200
            await asyncio.sleep(2.1)  # seen once by the process that looks every 2 s
            await engine.kill()
            await engine.start()
            await wait_until(lambda: len(requests(b, "BYE")) == 2, "BYE to both sides")
            assert len(requests(a, "BYE")) == 2
            assert (await ends(box, 2))[-1] == {"cause": "media_lost", "code": 0, "by": "box"}
        await engine.stop()


async def test_direct_call_leaves_no_relay_behind_that_was_made_for_a_target_passed_over() -> None:
    async with (
        bare_box() as box,
        phones(box, x201=None, x202=answer()) as (a, b),
        box.cloud(on_request=silent),
    ):
        engine = box.rtpengine()
        await engine.start()
        ng = NgClient(box.box.rtp.ng)
        call = await a.invite(f"sip:202@{box.addresses.box_lan}", challenge_s=0.2)
        await wait_until(lambda: ng.calls(9), "the cloud was offered rtpengine's ports")
        assert sipmsg.media_of((await call.wait()).body) == (b.address, 4000, [0, 8, 101])
        assert await steps(box) == [("cloud", "no_life")]
        assert ng.calls(9) == [], "its time-out would be taken for the call's silence, and end it"
        await a.bye(a.dialog(call))
        await engine.stop()


@pytest.mark.parametrize(("transport", "port"), [("tcp", 5060), ("tls", 5061), ("ws", 5062)])
async def test_telephone_of_every_transport_hears_and_is_heard_both_ways_round(
    transport: str, port: int
) -> None:
    # What comes over WebSocket is a browser's telephone to the box: ICE, DTLS-SRTP, multiplexed RTCP.
    lab = Lab(Parts(phones=2, cloud=False, cloud_phones=0, gateway=False, carrier=False))
    server = f"{lab.addresses.box_lan}:{port}"
    encryption = "webrtc" if transport == "ws" else ""
    lab.phones["202"] = lab.make_phone("202", transport=transport, server=server, encryption=encryption)
    async with lab:
        await lab.box.set_link_state("DOWN")
        one, two = lab.phones["201"], lab.phones["202"]
        for caller, number, callee in ((one, "202", two), (two, "201", one)):
            call = await caller.call(number)
            await call.wait_hears(callee.tone_hz)
            await callee.current().wait_hears(caller.tone_hz)
            await call.hangup()


# transfer


async def test_call_with_replaces_reaches_the_telephone_that_holds_the_dialog() -> None:
    async with (
        bare_box(call_control="local") as box,
        phones(box, x201=answer(), x202=answer(), x203=answer()) as (a, b, c),
    ):
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
        answered = await call.wait()
        dialog = a.dialog(call)
        refer = a.start(
            "REFER",
            dialog.target,
            dialog=dialog,
            headers=[("Refer-To", f"<sip:203@{box.addresses.box_lan}>")],
        )
        assert (await refer.wait()).code == 200
        assert requests(b, "REFER")
        to_tag, from_tag = (sipmsg.tag_of(answered.get(side)) for side in ("to", "from"))
        tags = f"{answered.get('call-id')};to-tag={to_tag};from-tag={from_tag}"
        # 203 takes the call over from 202, whom it only knows by a name of the telephone's own.
        over = await c.invite(f"sip:line-7@{box.addresses.box_lan}", headers=[("Replaces", tags)])
        assert (await over.wait()).code == 200
        assert requests(b, "INVITE")[-1].get("Replaces") == tags
        refers = await rows(box, "transfer", 2)
        assert refers == [
            {"to": "203", "kind": "blind", "by": "201"},
            {"to": "202", "kind": "replaces", "by": "203"},
        ]


async def test_real_telephones_hold_send_digits_and_transfer_blind_and_attended() -> None:
    async with Lab(Parts(phones=3, cloud=False, cloud_phones=0, gateway=False, carrier=False)) as lab:
        await lab.box.set_link_state("DOWN")
        one, two, three = (lab.phones[number] for number in ("201", "202", "203"))
        call = await one.call("202")
        await call.wait_hears(two.tone_hz)
        await call.hold()
        await two.current().wait_hears()

        async def resumed() -> bool:
            with contextlib.suppress(OrderRefused):  # the hold's re-INVITE is still under way
                await call.resume()
                return True
            return False

        await wait_until(resumed, "resume")
        await two.current().wait_hears(one.tone_hz)
        await call.dtmf("5#")
        await two.current().wait_digits("5#")
        await call.transfer(two.uri("203"))
        await three.current().wait_hears(two.tone_hz)
        await two.current().wait_hears(three.tone_hz)
        await three.current().hangup()
        await lab.box.set_link_state("DOWN")
        first = await one.call("202")
        await first.wait_hears(two.tone_hz)
        second = await one.call("203")
        await second.wait_hears(three.tone_hz)
        await first.transfer_to(second)
        await two.current().wait_hears(three.tone_hz)
        await three.current().wait_hears(two.tone_hz)
