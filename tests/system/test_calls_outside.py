"""Calls with the outside through the site's gateway: out and in, caller shown, classes of service, what is refused."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab import tones
from tests.lab.addresses import SIP_PORT
from tests.lab.gateway import Gateway
from tests.lab.site_document import GROUP, MAIN_NUMBER
from tests.lab.standing import Standing, hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTSIDE = "0312345678"
REMOTE = {"number": "7201", "public_number": "+81664001201", "site": "osaka-1"}
IN_BOTH_STATES = pytest.mark.parametrize("state", ["UP", "DOWN"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Standing]:
    async with Standing(groups=[sales()]) as lab:
        for number in lab.phones:
            await lab.lab.cloud.public_number(f"+81312340{number}", number)
        yield lab


@pytest_asyncio.fixture(loop_scope="module")
async def up(lab: Standing) -> AsyncIterator[Standing]:
    yield lab
    await lab.tidy()


@pytest_asyncio.fixture(loop_scope="module")
async def down(lab: Standing) -> AsyncIterator[Standing]:
    await lab.line("DOWN")
    yield lab
    await lab.tidy()


def sales() -> dict[str, object]:
    return {
        "number": GROUP,
        "name": "Sales",
        "public_number": "+81312340600",
        "strategy": "all",
        "members": ["201", "202"],
        "ring_s": 20,
    }


def gateway(site: Standing, **changes: object) -> dict[str, object]:
    return {
        "id": "gw1",
        "uri": f"sip:{site.lab.addresses.gateway}:{SIP_PORT};transport=udp",
        "network": "lan",
        "kinds": ["emergency", "toll_free", "local", "national", "mobile", "ip_phone", "international"],
        "number_format": "national",
        "caller": MAIN_NUMBER,
        "identity": "pai",
        "max_calls": 30,
    } | changes


# out


@pytest.mark.parametrize(
    ("dialled", "seen_as"),
    [
        ("0312345678", "0312345678"),
        ("+81312345678", "0312345678"),
        ("09012345678", "09012345678"),
        ("05012345678", "05012345678"),
        ("0120123456", "0120123456"),
        ("0664001201", "0664001201"),
    ],
)
async def test_outside_call_is_heard_both_ways_and_shows_the_extensions_number(
    down: Standing, dialled: str, seen_as: str
) -> None:
    placed = await down.phones["201"].call(dialled)
    seen = await down.at_gateway()
    assert (seen.number, seen.identity) == (seen_as, "0312340201")
    await placed.wait_hears(down.lab.gateway.tone_hz)
    await seen.wait_hears(down.phones["201"].tone_hz)
    await placed.hangup()
    await seen.wait("ended")


async def test_outside_call_goes_by_the_clouds_carrier_while_the_line_is_up(up: Standing) -> None:
    placed = await up.phones["201"].call(OUTSIDE)
    seen = await up.at_gateway(up.lab.carrier)
    await placed.wait_hears(up.lab.carrier.tone_hz)
    await seen.wait_hears(up.phones["201"].tone_hz)
    await seen.hangup()
    await placed.wait("closed")


async def test_outside_party_who_hangs_up_ends_the_call(down: Standing) -> None:
    placed = await down.phones["201"].call(OUTSIDE)
    await (await down.at_gateway()).hangup()
    await placed.wait("closed")


async def test_hold_of_an_outside_call_silences_and_returns(down: Standing) -> None:
    placed = await down.phones["201"].call(OUTSIDE)
    seen = await down.at_gateway()
    await seen.wait_hears(down.phones["201"].tone_hz)
    await placed.hold()
    await seen.wait_hears()
    assert seen.held
    await placed.resume()
    await seen.wait_hears(down.phones["201"].tone_hz)
    await placed.wait_hears(down.lab.gateway.tone_hz)


async def test_early_media_is_heard_before_the_answer(down: Standing) -> None:
    await down.lab.gateway.behave(early=True, answer_after_s=6.0)
    placed = await down.phones["201"].dial(OUTSIDE)
    await down.at_gateway()
    await placed.wait_hears(down.lab.gateway.tone_hz)
    assert placed.state != "established"
    await placed.wait("established")
    await placed.wait_hears(down.lab.gateway.tone_hz)


async def test_outside_call_given_up_while_it_rings_frees_the_gateway(down: Standing) -> None:
    await down.lab.gateway.behave(answer_after_s=None)
    placed = await down.phones["201"].dial(OUTSIDE)
    seen = await down.at_gateway()
    await placed.wait("ringing")
    await placed.hangup()
    await seen.wait("ended")
    assert seen.cause == "cancelled"


@pytest.mark.parametrize("code", [486, 404, 603])
async def test_what_the_public_network_says_of_a_number_reaches_the_caller(down: Standing, code: int) -> None:
    await down.lab.gateway.refuse(OUTSIDE, code)
    try:
        placed = await down.phones["201"].dial(OUTSIDE)
        await placed.wait("closed")
    finally:
        await down.lab.gateway.refuse(OUTSIDE, 0)
    assert placed.code == code
    assert len(down.gateway_calls()) == 1


async def test_184_withholds_and_186_shows_the_caller(down: Standing) -> None:
    seen = []
    for prefix in ("184", "186"):
        placed = await down.phones["201"].call(prefix + OUTSIDE)
        seen.append(down.gateway_calls()[-1])
        await placed.hangup()
    withheld, shown = seen
    assert (withheld.number, shown.number) == (OUTSIDE, OUTSIDE)
    assert (withheld.caller, withheld.headers.get("Privacy")) == ("anonymous", "id")
    assert (shown.caller, shown.headers.get("Privacy")) == ("0312340201", None)


async def test_extension_without_a_number_of_its_own_shows_the_trunks(down: Standing) -> None:
    await down.publish({"201": {"public_number": ""}})
    await down.phones["201"].call(OUTSIDE)
    seen = await down.at_gateway()
    assert (seen.caller, seen.identity) == ("0312340000", "0312340000")


async def test_each_trunk_is_shown_the_caller_and_the_number_in_its_own_form(down: Standing) -> None:
    await down.publish(gateways=[gateway(down, number_format="e164")])
    await down.phones["201"].call(OUTSIDE)
    seen = await down.at_gateway()
    assert (seen.number, seen.identity) == ("+81312345678", "+81312340201")


async def test_number_outside_the_class_of_service_is_refused_and_reaches_nobody(down: Standing) -> None:
    await down.publish({"201": {"allow": ["local"]}})
    placed = await down.phones["201"].dial("09012345678")
    await placed.wait("closed")
    assert (placed.code, len(down.gateway_calls())) == (403, 0)


async def test_international_call_is_refused_while_the_line_is_cut_unless_the_site_allows_it(
    down: Standing,
) -> None:
    allowed = {"201": {"allow": ["local", "international"]}}
    await down.publish(allowed)
    placed = await down.phones["201"].dial("010442012345678")
    await placed.wait("closed")
    assert (placed.code, len(down.gateway_calls())) == (403, 0)
    await down.publish(allowed, limits={"offline_international": True, "offline_outside_calls_max": 0})
    placed = await down.phones["201"].call("010442012345678")
    await placed.wait_hears(down.lab.gateway.tone_hz)


async def test_outside_calls_at_once_are_limited_while_the_line_is_cut(down: Standing) -> None:
    await down.publish(limits={"offline_international": False, "offline_outside_calls_max": 1})
    first = await down.phones["201"].call(OUTSIDE)
    second = await down.phones["202"].dial(OUTSIDE)
    await second.wait("closed")
    assert second.code == 403
    await first.hangup()
    await down.phones["202"].call(OUTSIDE)


async def test_outside_calls_of_one_extension_are_limited(down: Standing) -> None:
    await down.publish({"201": {"max_calls": 1}})
    first = await down.phones["201"].call(OUTSIDE)
    second = await down.phones["201"].dial("09012345678")
    await second.wait("closed")
    assert (second.code, first.state) == (403, "established")


async def test_another_sites_extension_is_reached_as_its_public_number(down: Standing) -> None:
    await down.publish({"201": {"allow": []}}, remote_extensions=[REMOTE])
    placed = await down.phones["201"].call("7201")
    seen = await down.at_gateway()
    assert (seen.number, seen.identity) == ("0664001201", "0312340201")
    await placed.wait_hears(down.lab.gateway.tone_hz)


async def test_second_gateway_takes_over_from_one_that_is_full(down: Standing) -> None:
    """Also at once after it was configured: the worker that hears the refusal may not be the one that made the plan."""
    await down.lab.gateway.behave(channels=0)
    uri = f"sip:{down.lab.addresses.second_gateway}:{SIP_PORT};transport=udp"
    spare = await second_gateway(down)
    try:
        for fresh in ("gw2", "gw3", "gw4", "gw5"):
            await down.publish(gateways=[gateway(down), gateway(down, id=fresh, uri=uri)])
            placed = await down.phones["201"].call(OUTSIDE)
            await placed.wait_hears(spare.tone_hz)
            await placed.hangup()
    finally:
        await spare.stop()
        await down.lab.gateway.behave(channels=30)


async def second_gateway(site: Standing) -> Gateway:
    spare = Gateway("gw2", site.lab.addresses.second_gateway, site.lab.folder, tones.assigned(32))
    await spare.start()
    return spare


# in


@IN_BOTH_STATES
@pytest.mark.parametrize("dialled", ["0312340201", "+81312340201"])
async def test_call_from_outside_reaches_the_extension(lab: Standing, state: str, dialled: str) -> None:
    await lab.line(state)
    try:
        came = await lab.lab.gateway.dial(
            f"sip:{dialled}@{lab.lab.addresses.box_lan}:{SIP_PORT}", "0398765432"
        )
        met = await lab.rings("201")
        assert met.peer.startswith("sip:0398765432@")
        await came.wait("answered")
        await came.wait_hears(lab.phones["201"].tone_hz)
        await met.wait_hears(lab.lab.gateway.tone_hz)
        await came.hangup()
        await met.wait("closed")
    finally:
        await lab.tidy()


async def test_call_from_outside_rings_the_group(down: Standing) -> None:
    for number in ("201", "202"):
        await down.phones[number].behave(answer_after_s=None)
    came = await down.lab.gateway.dial(
        f"sip:0312340600@{down.lab.addresses.box_lan}:{SIP_PORT}", "0398765432"
    )
    first, second = await down.rings("201"), await down.rings("202")
    await second.answer()
    await first.wait("closed")
    await came.wait_hears(down.phones["202"].tone_hz)
    await second.hangup()
    await came.wait("ended")


async def test_call_from_outside_may_not_leave_again(down: Standing) -> None:
    came = await down.lab.gateway.dial(f"sip:{OUTSIDE}@{down.lab.addresses.box_lan}:{SIP_PORT}", "0398765432")
    await came.wait("ended")
    assert came.cause.startswith(("403", "404"))
    assert [call.number for call in down.gateway_calls() if call is not came] == []


async def test_caller_from_outside_who_gives_up_stops_the_ringing(down: Standing) -> None:
    await down.phones["201"].behave(answer_after_s=None)
    came = await down.lab.gateway.dial(
        f"sip:0312340201@{down.lab.addresses.box_lan}:{SIP_PORT}", "0398765432"
    )
    ringing = await down.rings("201")
    await came.hangup()
    await ringing.wait("closed")


async def test_call_from_outside_follows_the_forwarding(down: Standing) -> None:
    await down.publish({"201": {"forward_busy": "202"}})
    await down.phones["201"].behave(refuse=True)
    came = await down.lab.gateway.dial(
        f"sip:0312340201@{down.lab.addresses.box_lan}:{SIP_PORT}", "0398765432"
    )
    met = await down.rings("202")
    await came.wait_hears(down.phones["202"].tone_hz)
    await met.wait_hears(down.lab.gateway.tone_hz)


async def test_cloud_and_site_call_each_other(up: Standing) -> None:
    there = up.lab.cloud_phones["901"]
    placed = await up.phones["201"].call("901")
    await hear_each_other(placed, there.current())
    await placed.hangup()
    back = await there.call("201")
    await hear_each_other(back, up.phones["201"].current())
