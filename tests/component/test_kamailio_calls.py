"""Plans of calls through the real Kamailio, step after step: what each party is sent, and what the journal says of it."""

import asyncio
import time

import pytest

from appliance.kamailio import callback
from appliance.kamailio.destinations import CONTACT_LIFE_MS
from tests.helpers.box_calls import (
    BUSY_S,
    LIFE_S,
    LONG_LIFE_S,
    TICKS_S,
    answer,
    bare_box,
    end,
    ends,
    long_life,
    phones,
    refuse,
    requests,
    rows,
    silent,
    steps,
    table,
)
from tests.helpers.site_documents import extension, group
from tests.lab import sipmsg
from tests.lab.processes import wait_until
from tests.lab.sipcall import Incoming


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
            call = await a.invite(f"sip:{number}@{box.addresses.box_lan}")
            await call.wait(stage)
            a.cancel(call)
            assert (await call.wait()).code == 487
            assert (await ends(box, count))[-1] == {"cause": "originator_cancel", "code": 487, "by": "caller"}
        assert len(requests(b, "CANCEL")) == len(requests(b, "INVITE"))
        assert len(requests(c, "CANCEL")) == len(requests(c, "INVITE"))
