"""Gateways and callers through the real Kamailio: numbers, names, full gateways, emergency calls, what passes unread."""

from appliance.kamailio.facts import unquoted
from tests.helpers.box_calls import answer, bare_box, end, ends, phones, reinvite, requests
from tests.lab import sipmsg
from tests.lab.processes import wait_until
from tests.lab.sipcall import Dialog, Incoming


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
