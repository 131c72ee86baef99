"""Who decides: the box that is the site's PBX at all times (`call_control: local`), and the cloud that challenges the
telephones itself (`upstream_auth: passthrough`), each with the line up, cut, and given back.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.lab import Lab, Parts
from tests.lab.phone import Phone
from tests.lab.processes import wait_until
from tests.lab.standing import Standing, hear_each_other
from tests.lab.worker import OrderRefused

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTSIDE = "0312345678"
ELSEWHERE = {"number": "901", "public_number": "+81664001901", "site": "osaka-1"}

LIFE_MS = 1_800
"""For a sign of life of the cloud. Longer than by default, so that it can be told from what a busy machine takes."""

LOCAL_S = 1.5
"""A call that waits for nobody rings within this."""

FIRST_CALL_S = LIFE_MS / 1000 + LOCAL_S
"""The first call after a cut that nobody has noticed."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own() -> AsyncIterator[Standing]:
    async with Standing(
        Lab(
            Parts(phones=4),
            document={
                "call_control": "local",
                "remote_extensions": [ELSEWHERE],
                "link": {"life_ms": LIFE_MS},
            },
        )
    ) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module", params=["UP", "DOWN"])
async def pbx(own: Standing, request: pytest.FixtureRequest) -> AsyncIterator[Standing]:
    """The box in control, with the line up and cut."""
    await own.line(str(request.param))
    yield own
    await own.tidy()


@pytest_asyncio.fixture(loop_scope="module")
async def up(own: Standing) -> AsyncIterator[Standing]:
    yield own
    await own.tidy()


async def test_calls_within_the_site_are_the_boxs_alone(pbx: Standing) -> None:
    asked = await pbx.lab.cloud.requests("INVITE")
    placed, met = await pbx.talk("201", "202", "202")
    assert placed.post_dial_delay_s < LOCAL_S
    await met.hold()
    await placed.wait_hears()
    await met.resume()
    await hear_each_other(placed, met)
    await met.transfer("203")
    await hear_each_other(pbx.phones["201"].current(), pbx.phones["203"].current())
    assert await pbx.lab.cloud.requests("INVITE") == asked


async def test_forwarding_and_groups_are_the_boxs_alone(pbx: Standing) -> None:
    await pbx.publish({"202": {"forward_busy": "600"}})
    await pbx.phones["202"].behave(refuse=True)
    for member in ("201", "203"):
        await pbx.phones[member].behave(answer_after_s=None)
    placed = await pbx.phones["204"].dial("202")
    ringing = await pbx.rings("203")
    await ringing.answer()
    await hear_each_other(placed, ringing)


async def test_outside_call_takes_the_gateway_whether_the_line_is_up_or_not(pbx: Standing) -> None:
    placed = await pbx.phones["201"].call(OUTSIDE)
    seen = await pbx.at_gateway()
    assert (seen.number, seen.identity) == (OUTSIDE, "0312340201")
    await placed.wait_hears(pbx.lab.gateway.tone_hz)
    await seen.wait_hears(pbx.phones["201"].tone_hz)


async def test_outside_call_takes_the_cloud_as_a_trunk_when_the_gateway_cannot(up: Standing) -> None:
    await up.lab.gateway.refuse(OUTSIDE, 503)
    try:
        placed = await up.phones["201"].call(OUTSIDE)
        seen = await up.at_gateway(up.lab.carrier)
        await placed.wait_hears(up.lab.carrier.tone_hz)
        await seen.wait_hears(up.phones["201"].tone_hz)
    finally:
        await up.lab.gateway.refuse(OUTSIDE, 0)


async def test_another_sites_extension_goes_by_the_cloud_and_by_its_public_number_once_that_is_cut(
    up: Standing,
) -> None:
    far = up.lab.cloud_phones["901"]
    placed = await up.phones["201"].call("901")
    await hear_each_other(placed, far.current())
    await placed.hangup()
    await up.lab.link.cut("drop")  # the box does not know of it yet
    placed = await up.phones["201"].call("901")
    assert (await up.at_gateway()).number == "0664001901"
    await placed.wait_hears(up.lab.gateway.tone_hz)
    assert placed.post_dial_delay_s < FIRST_CALL_S
    await up.lab.link.restore()


async def test_call_from_the_cloud_meets_the_boxs_own_forwarding(up: Standing) -> None:
    await up.publish({"202": {"forward_always": "203"}})
    placed = await up.lab.cloud_phones["901"].call("202")
    await hear_each_other(placed, up.phones["203"].current())


# the cloud challenges the telephones itself


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def foreign() -> AsyncIterator[Standing]:
    lab = Lab(
        Parts(phones=4, register=False),
        document={"upstream_auth": "passthrough", "link": {"life_ms": LIFE_MS}},
    )
    async with Standing(lab) as site:
        await lab.cloud.passthrough(lab.passwords)
        await site.lab.register(["201", "202", "203"])
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def cloud(foreign: Standing) -> AsyncIterator[Standing]:
    yield foreign
    await foreign.tidy()
    await foreign.lab.cloud.passthrough(foreign.lab.passwords)


async def known_to_the_cloud(site: Standing) -> set[str]:
    return {binding.aor.partition("@")[0] for binding in await site.lab.cloud.bindings() if binding.path}


async def test_registrations_and_calls_are_the_clouds_while_it_is_there(cloud: Standing) -> None:
    assert await known_to_the_cloud(cloud) == {"201", "202", "203"}
    asked = await cloud.lab.cloud.requests("INVITE")
    await cloud.talk("201", "202", "202")
    # Challenged, asked again with the answer, and back to the site: the cloud has decided.
    assert await cloud.lab.cloud.requests("INVITE") - asked >= 2


async def test_password_that_the_cloud_does_not_take_registers_nobody(cloud: Standing) -> None:
    wrong = cloud.lab.make_phone("204", password="a guess", address=cloud.lab.addresses.phone(40))  # noqa: S106
    await wrong.start()
    try:
        with pytest.raises(OrderRefused, match="401"):
            await wrong.register()
    finally:
        await wrong.stop()
    assert "204" not in await known_to_the_cloud(cloud)


async def anew(phone: Phone) -> None:
    """Register again. The stack would send the end of the old registration beside the new one, in either order."""
    await phone.unregister()
    await phone.register()


async def test_outage_and_failback_of_a_cloud_that_challenges(cloud: Standing) -> None:
    lab, one = cloud.lab, cloud.phones["201"]
    placed, met = await cloud.talk("201", "202", "202")
    await lab.link.cut("drop")  # the box does not know of it yet
    first = await cloud.phones["203"].dial("201")
    await first.wait("established")
    assert first.post_dial_delay_s < FIRST_CALL_S
    await hear_each_other(first, one.current())
    await first.hangup()

    await cloud.line("DOWN")
    # A telephone that refreshes, and one that the box has never seen: it answers to the box's own hash.
    await asyncio.gather(anew(cloud.phones["202"]), cloud.phones["204"].register())
    (binding,) = (await lab.box.rpc.call("ul.lookup", "location", "204"))["Contacts"]
    assert binding["Contact"]["Expires"] <= 120  # so that the cloud hears of it soon after the outage
    second = await cloud.phones["204"].call("203")
    assert second.post_dial_delay_s < LOCAL_S
    await hear_each_other(second, cloud.phones["203"].current())
    await second.hangup()
    wrong = lab.make_phone("203", password="a guess", address=lab.addresses.phone(41))  # noqa: S106
    await wrong.start()
    try:
        with pytest.raises(OrderRefused, match="401"):
            await wrong.register()
    finally:
        await wrong.kill()
    await hear_each_other(placed, met)

    await cloud.line("UP")
    await hear_each_other(placed, met)
    await placed.hangup()
    await anew(cloud.phones["204"])

    async def known() -> bool:
        return "204" in await known_to_the_cloud(cloud)

    await wait_until(known, "the cloud knows the telephone that came during the outage")
    asked = await lab.cloud.requests("INVITE")
    await cloud.talk("202", "204", "204")
    assert await lab.cloud.requests("INVITE") - asked >= 2


async def test_caller_who_is_not_registered_proves_himself_to_the_box_during_an_outage(
    cloud: Standing,
) -> None:
    await cloud.line("DOWN")
    stranger = cloud.lab.make_phone("204", address=cloud.lab.addresses.phone(42))
    await stranger.start()
    try:
        placed = await stranger.call("201")
        await hear_each_other(placed, cloud.phones["201"].current())
        await placed.hangup()
    finally:
        await stranger.kill()
    wrong = cloud.lab.make_phone("204", password="a guess", address=cloud.lab.addresses.phone(43))  # noqa: S106
    await wrong.start()
    try:
        refused = await wrong.dial("201")
        await refused.wait("closed")
        assert refused.code in (401, 403, 407)
    finally:
        await wrong.kill()
