"""Calls that are up when the cloud goes, and calls that a cloud sends back to the box, through the real Kamailio."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.helpers.box_calls import (
    BUSY_S,
    LIFE_S,
    LONG_LIFE_S,
    answer,
    bare_box,
    end,
    ends,
    long_life,
    phones,
    refuse,
    reinvite,
    requests,
    table,
)
from tests.helpers.site_documents import group
from tests.lab import sipmsg
from tests.lab.bare_box import BareBox
from tests.lab.processes import wait_until
from tests.lab.sipua import Ua
from tests.lab.spiral_proxy import SpiralProxy

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
