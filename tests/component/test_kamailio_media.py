"""Audio and transfers of calls through the real Kamailio: relayed, recorded, direct, encrypted, taken over."""

import asyncio
import contextlib
import signal
import time

import pytest

from appliance.media.ng import NgClient
from tests.helpers.box_calls import (
    BUSY_S,
    answer,
    bare_box,
    end,
    ends,
    phones,
    reinvite,
    requests,
    rows,
    silent,
    steps,
)
from tests.helpers.site_documents import extension
from tests.lab import sipmsg
from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.worker import OrderRefused


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
        call = await a.invite(f"sip:202@{box.addresses.box_lan}")
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
