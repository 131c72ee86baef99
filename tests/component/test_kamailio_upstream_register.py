"""The cloud learns which phones are at this site, without a phone ever waiting for the cloud."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from appliance.kamailio.upstream_registrations import PER_SECOND
from appliance.model import UPSTREAM_LIFE_MS
from tests.helpers.registrar_box import RegistrarBox, password_of, registrar_box
from tests.lab import sipmsg
from tests.lab.processes import wait_until
from tests.lab.sipcall import Incoming
from tests.lab.sipmsg import Message
from tests.lab.sipua import Ua

LOCAL_S = 0.5
"""A phone that waits for nobody has its answer within this, on a busy machine too; one that waits for a cloud that says nothing
waits for UPSTREAM_LIFE_MS (600 ms) at least."""

SOON_S = 30.0


class FakeCloud:
    """A cloud PBX at the address that the site document names. behaviour: what it does with a REGISTER."""

    def __init__(self, rig: RegistrarBox) -> None:
        self.registers: list[tuple[float, Message]] = []
        self.behaviour: Callable[[Incoming], None] = accept
        self.ua = Ua("cloud", rig.addresses.cloud_seen_by_box, on_request=self._request)

    def _request(self, incoming: Incoming) -> None:
        if incoming.request.method == "REGISTER":
            self.registers.append((time.monotonic(), incoming.request))
            self.behaviour(incoming)
        else:
            incoming.reply(200, "OK")

    def numbers(self) -> list[str]:
        """Whose registrations came, in order."""
        return [sipmsg.user_of(message.get("to")) for _, message in self.registers]


def accept(incoming: Incoming) -> None:
    """A cloud that trusts the box."""
    contact = incoming.request.get("contact").partition(";expires")[0]
    incoming.reply(200, "OK", [("Contact", f"{contact};expires=600")])


def silent(_: Incoming) -> None:
    """A cloud that is gone."""


def overloaded(incoming: Incoming) -> None:
    """A cloud that lives and cannot serve."""
    incoming.reply(503, "Service Unavailable")


def challenge(incoming: Incoming) -> None:
    """A cloud that challenges phones itself."""
    given = incoming.request.get("authorization")
    nonce = "00c0ffee"
    if given:
        user = sipmsg.challenge(given)["username"]
        asked = {"realm": "cloud.example", "nonce": nonce}
        wanted = sipmsg.authorization(
            asked, "REGISTER", sipmsg.challenge(given)["uri"], user, password_of(user), "x"
        )
        if sipmsg.challenge(given)["response"] == sipmsg.challenge(wanted)["response"]:
            contact = incoming.request.get("contact").partition(";expires")[0]
            expires = incoming.request.get("expires")
            incoming.reply(200, "OK", [("Contact", f"{contact};expires={expires}")] if expires != "0" else [])
            return
    incoming.reply(
        401, "Unauthorized", [("WWW-Authenticate", f'Digest realm="cloud.example", nonce="{nonce}"')]
    )


@asynccontextmanager
async def site(count: int = 10, **document: object) -> AsyncIterator[tuple[RegistrarBox, FakeCloud]]:
    async with registrar_box(count, **document) as rig:  # type: ignore[arg-type]
        cloud = FakeCloud(rig)
        async with cloud.ua:
            yield rig, cloud


async def register_all(rig: RegistrarBox, *, offline: bool = False) -> None:
    """offline: the link stays down for as long as that takes: what is told of it expires after five seconds."""
    for index, number in enumerate(rig.numbers):
        if offline and index % 10 == 0:
            await rig.box.set_link_state("DOWN")
        async with rig.phone(number, 1 + index % 90, port=5060 + index // 90) as ua:
            assert (await ua.register(600)).code == 200


# trusted: the box registers on the phone's behalf


async def test_phone_is_answered_at_once_and_the_cloud_is_told_afterwards() -> None:
    async with site() as (rig, cloud):
        cloud.behaviour = silent
        took_s = []
        for index, number in enumerate(rig.numbers[:5], 1):
            async with rig.phone(number, index) as ua:
                began = time.monotonic()
                assert (await ua.register(600)).code == 200
                took_s.append(time.monotonic() - began)
        assert min(took_s) < LOCAL_S  # one that waits longer may be the machine's doing
        await wait_until(lambda: cloud.registers, "a REGISTER at the cloud", SOON_S)
    message = cloud.registers[0][1]
    own = f"{rig.addresses.box_seen_by_cloud}:5060"
    assert sipmsg.uri_of(message.get("to")) == "sip:201@tokyo-1.example"
    assert sipmsg.uri_of(message.get("contact")) == f"sip:201@{own}"
    assert message.get("path") == f"<sip:{own};lr>"
    assert "path" in message.get("supported")
    assert message.get("expires") == "600"


async def test_known_phone_that_refreshes_does_not_reach_the_cloud_each_time() -> None:
    async with site() as (rig, cloud), rig.phone("201", 1) as ua:
        for _ in range(5):
            assert (await ua.register(600)).code == 200
            await asyncio.sleep(0.15)
        await wait_until(lambda: cloud.registers, "a REGISTER at the cloud", SOON_S)
        assert len({message.get("call-id") for _, message in cloud.registers}) == 1


async def test_phone_that_leaves_is_taken_off_the_cloud() -> None:
    async with site() as (rig, cloud), rig.phone("201", 1) as ua:
        await ua.register(600)
        await wait_until(lambda: cloud.registers, "a REGISTER at the cloud", SOON_S)
        await ua.register(0)
        await wait_until(
            lambda: cloud.registers[-1][1].get("expires") == "0", "a de-registration at the cloud", SOON_S
        )


async def test_link_that_is_down_carries_nothing_and_recovery_brings_all_at_a_pace() -> None:
    async with site(120) as (rig, cloud):
        await rig.box.set_link_state("DOWN")
        await asyncio.sleep(0.2)
        await register_all(rig, offline=True)
        await rig.box.set_link_state("DOWN")
        await asyncio.sleep(0.3)
        assert cloud.registers == []
        recovered = time.monotonic()
        await rig.box.set_link_state("RECOVERING")
        await asyncio.sleep(1.0)
        assert 0 < len(set(cloud.numbers())) <= 2 * PER_SECOND + 5
        await rig.box.set_link_state("UP")
        await wait_until(lambda: sorted(set(cloud.numbers())) == sorted(rig.numbers), "every number")
        assert cloud.registers[0][0] > recovered


async def test_restarted_box_tells_the_cloud_of_the_phones_it_remembers() -> None:
    async with site() as (rig, cloud):
        await register_all(rig)
        await asyncio.sleep(0.3)
        await rig.box.kill("kamailio")
        cloud.registers.clear()
        await rig.box.start("kamailio")
        await wait_until(lambda: sorted(set(cloud.numbers())) == sorted(rig.numbers), "every number")


# passthrough: the cloud challenges the phones itself

PASSTHROUGH = {"upstream_auth": "passthrough"}


async def test_relayed_phone_is_challenged_by_the_cloud_and_its_binding_is_learnt() -> None:
    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("201", 1) as ua:
        cloud.behaviour = challenge
        assert (await ua.register(600)).code == 200
        asked = [message for _, message in ua.received if message.code == 401]
        assert [sipmsg.challenge(message.get("www-authenticate"))["realm"] for message in asked] == [
            "cloud.example"
        ]
        assert cloud.registers[0][1].get("path") == f"<sip:{rig.addresses.box_seen_by_cloud}:5060;lr>"
        assert sipmsg.uri_of(cloud.registers[0][1].get("contact")) == ua.contact
        (contact,) = (await rig.saved())["201"]
        assert contact["Address"] == ua.contact
        assert 590 <= contact["Expires"] <= 600
        assert contact["Socket"] == f"udp:{rig.addresses.box_lan}:5060"


async def test_relayed_phone_behind_nat_is_known_by_its_true_address() -> None:
    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("201", 1, advertise="10.9.8.7") as ua:
        cloud.behaviour = challenge
        assert (await ua.register(600)).code == 200
        (contact,) = (await rig.saved())["201"]
    assert contact["Received"].startswith(f"sip:{rig.addresses.phone(1)}:5060")


async def test_phone_with_a_wrong_password_is_refused_by_the_cloud_and_not_kept() -> None:
    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("201", 1, password="guess") as ua:  # noqa: S106
        cloud.behaviour = challenge
        assert (await ua.register(600)).code == 401
        assert "201" not in await rig.saved()


async def test_relayed_phone_that_leaves_is_forgotten() -> None:
    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("201", 1) as ua:
        cloud.behaviour = challenge
        await ua.register(600)
        assert (await ua.register(0)).code == 200
        assert "201" not in await rig.saved()


@pytest.mark.parametrize("behaviour", [silent, overloaded])
async def test_known_phone_is_answered_by_the_box_when_the_cloud_cannot(
    behaviour: Callable[[Incoming], None],
) -> None:
    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("201", 1) as ua:
        cloud.behaviour = challenge
        assert (await ua.register(600)).code == 200
        cloud.behaviour = behaviour
        began = time.monotonic()
        assert (await ua.register(600)).code == 200
        assert time.monotonic() - began < UPSTREAM_LIFE_MS / 1000 + LOCAL_S
        assert [contact["Address"] for contact in (await rig.saved())["201"]] == [ua.contact]


async def test_cloud_at_the_end_of_a_slow_line_is_given_the_time_that_it_takes() -> None:
    def slowly(incoming: Incoming) -> None:
        asyncio.get_running_loop().call_later(0.85, challenge, incoming)

    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("201", 1) as ua:
        cloud.behaviour = slowly
        await rig.box.set_link_state("UP")
        await rig.box.rpc.call("htable.seti", "link", "cloud:life_ms", 4_000)
        assert (await ua.register(600)).code == 200
        assert all(message.get("authorization") for _, message in cloud.registers[-1:])
        assert [message.code for _, message in ua.received] == [401, 200]


async def test_box_without_a_configuration_waits_for_one_without_a_word() -> None:
    async with registrar_box(1, start=False) as rig:
        rig.box.layout.current.unlink()
        await rig.box.start("kamailio")
        async with rig.phone("201", 1) as ua:
            assert (await ua.register(600)).code == 503
            await asyncio.sleep(0.5)  # two turns of the process that registers upstream
            rig.publish()
            await asyncio.sleep(0.2)
            assert (await ua.register(600)).code == 200
        assert "Traceback" not in await rig.log()


async def test_known_phone_waits_for_nobody_while_the_link_is_down() -> None:
    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("201", 1) as ua:
        cloud.behaviour = challenge
        await ua.register(600)
        cloud.registers.clear()
        await rig.box.set_link_state("DOWN")
        began = time.monotonic()
        assert (await ua.register(600)).code == 200
        assert time.monotonic() - began < LOCAL_S
        assert cloud.registers == []


async def test_phone_that_comes_up_during_the_outage_proves_itself_to_the_box() -> None:
    async with site(**PASSTHROUGH) as (rig, cloud), rig.phone("202", 2) as ua:
        cloud.behaviour = silent
        assert (await ua.register(600)).code == 200
        assert "202" in await rig.saved()


async def test_impostor_is_refused_during_the_outage() -> None:
    async with site(**PASSTHROUGH) as (rig, cloud):
        cloud.behaviour = challenge
        async with rig.phone("201", 1) as ua:
            await ua.register(600)
        cloud.behaviour = silent
        async with rig.phone("201", 3, password="guess") as impostor:  # noqa: S106 - wrong on purpose
            assert (await impostor.register(600)).code == 401
        assert len((await rig.saved())["201"]) == 1
