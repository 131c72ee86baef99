"""Calls with long but legal headers through the real Kamailio: routed, recorded and written down like any other."""

from typing import Any

import pytest

from appliance.kamailio import invite
from tests.helpers.box_calls import answer, bare_box, end, phones, requests, rows
from tests.helpers.large_calls import LARGE_BYTES, large_offer
from tests.helpers.site_documents import extension
from tests.lab import sipmsg
from tests.lab.bare_box import BareBox

PV_BYTES = 8192
"""What Kamailio's language can hold in one value (`pv_buffer_size`): `invite.QUESTION` has no answer beyond."""

HOPS = 25
SAME = ("origin", "origin_id", "caller", "dialled", "kind", "number", "record", "link")
"""What the journal says of such a call as of any other."""


def long_headers(address: str) -> list[tuple[str, str]]:
    """Of a call that came by many proxies beside its telephone, each of which wrote what it liked."""
    vias = [
        ("Via", f"SIP/2.0/UDP {address}:{6000 + hop};branch=z9hG4bK{hop:032x};received={address}")
        for hop in range(HOPS)
    ]
    routes = [("Record-Route", f"<sip:{address}:{6000 + hop};lr;ftag={hop:040x}>") for hop in range(HOPS)]
    name = "Sato of the department with the longest name " * 10
    shown = [("From", f'"{name.strip()}" <sip:201@tokyo-1.example>;tag=long')]
    return [*vias, *routes, *shown, ("User-Agent", "x" * 500), ("Subject", "y" * 2000)]


def too_much() -> tuple[str, str]:
    """Alone longer than the one question's answer may be (RFC 3323 section 4.2: any token is a value)."""
    return "Privacy", ";".join(["none", *(f"x-own-value-{number:04}" for number in range(600))])


@pytest.mark.parametrize("beyond", [False, True], ids=["within", "beyond"])
async def test_a_call_with_long_headers_is_routed_recorded_and_written_down_like_any_other(
    beyond: bool,
) -> None:
    extensions = [extension("201", record="all"), extension("202")]
    async with bare_box(call_control="local", extensions=extensions, groups=[]) as box:
        engine = box.rtpengine()
        await engine.start()
        async with phones(box, x201=None, x202=answer()) as (a, b):
            plain = await a.invite(f"sip:202@{box.addresses.box_lan}")
            assert (await plain.wait()).code == 200
            await a.bye(a.dialog(plain))
            await end(box)
            headers = [*long_headers(a.address), *([too_much()] if beyond else [])]
            asked = sum(len(value) for name, value in headers if f"$hdr({name})" in invite.NAMES)
            assert (asked > PV_BYTES) is beyond

            offer = large_offer(a.address, LARGE_BYTES)
            call = await a.invite(f"sip:202@{box.addresses.box_lan}", headers=headers, body=offer)
            answered = await call.wait()
            assert answered.code == 200
            assert len(answered.all("Via")) == HOPS + 1
            first, long = requests(b, "INVITE")
            assert long.all("Via")[-HOPS:] == [value for name, value in headers if name == "Via"]
            assert [value for name, value in headers if name == "Record-Route"] == long.all("Record-Route")[
                -HOPS:
            ]
            assert long.get("From").partition(";tag")[0] == first.get("From").partition(";tag")[0]
            relayed = [sipmsg.media_of(one.body) for one in (first, long)]
            assert [media and media[0] for media in relayed] == [box.addresses.box_lan] * 2
            assert len(list(box.layout.pcaps_dir.iterdir())) == 2

            dialog = a.dialog(call)
            own = f"<sip:{a.address}:6"
            dialog.routes = [route for route in dialog.routes if not route.startswith(own)]
            assert (await a.bye(dialog)).code == 200
            await rows(box, "end", 2)
            ordinary, odd = halves(box)
            assert [event for event, _ in odd] == [event for event, _ in ordinary]
            assert [{name: data.get(name) for name in SAME} for _, data in (ordinary[0], odd[0])] == [
                {name: ordinary[0][1].get(name) for name in SAME}
            ] * 2
            assert odd[-1][1] == ordinary[-1][1] == {"cause": "normal_clearing", "code": 200, "by": "caller"}
        await engine.stop()


def halves(box: BareBox) -> list[list[tuple[str, dict[str, Any]]]]:
    """The rows of each call, in their order."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for event, call, data in box.journal():
        found.setdefault(call, []).append((event, data))
    return list(found.values())
