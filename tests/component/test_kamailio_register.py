"""A phone that cannot register cannot be called. Each test registers against a real Kamailio on loopback."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing

import pytest
import pytest_asyncio

from tests.helpers.registrar_box import RegistrarBox, registrar_box
from tests.lab import sipmsg
from tests.lab.processes import wait_until
from tests.lab.sipmsg import Message
from tests.lab.sipua import Ua

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAVED_WITHIN_S = 3.0
WRONG = "not-the-password"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig() -> AsyncIterator[RegistrarBox]:
    async with registrar_box(40, call_control="local", upstreams=[]) as made:
        yield made


def granted_s(answer: Message, contact: str) -> int:
    """Expiry that a 200 names for a contact."""
    for value in answer.all("contact"):
        for one in value.split(", "):
            if contact in one:
                return int(one.partition("expires=")[2].split(";")[0])
    raise AssertionError(f"{contact} is not in {answer.all('contact')}")


def saved_rows(rig: RegistrarBox, number: str) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(f"file:{rig.box.layout.bindings}?mode=ro", uri=True)) as database:
        query = "SELECT contact, expires FROM location WHERE username = ? ORDER BY contact"
        return database.execute(query, (number,)).fetchall()


async def answer_with(ua: Ua, algorithm: str) -> Message:
    """Register by one named algorithm of the challenge."""
    headers = [("Contact", f"<{ua.contact}>"), ("Expires", "600")]
    uri = f"sip:{ua.domain}"
    first = ua.start("REGISTER", uri, to=f"<sip:{ua.user}@{ua.domain}>", headers=headers)
    refused = await first.wait()
    offered = [sipmsg.challenge(value) for value in refused.all("www-authenticate")]
    chosen = next(one for one in offered if one.get("algorithm") == algorithm)
    given = sipmsg.authorization(chosen, "REGISTER", uri, ua.user, ua.password, "0a4f113b")
    again = ua.start(
        "REGISTER", uri, to=f"<sip:{ua.user}@{ua.domain}>", headers=[*headers, ("Authorization", given)]
    )
    return await again.wait()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_phone_that_knows_either_algorithm_registers(rig: RegistrarBox, algorithm: str) -> None:
    async with rig.phone("201", 1) as ua:
        assert (await answer_with(ua, algorithm)).code == 200


async def test_phone_registers_over_tcp_and_is_reached_by_its_connection(rig: RegistrarBox) -> None:
    async with rig.phone("202", 2, transport="tcp") as ua:
        assert (await ua.register(600)).code == 200
        (contact,) = (await rig.saved())["202"]
    assert contact["Received"].startswith(f"sip:{rig.addresses.phone(2)}:")
    assert contact["Received"].endswith(";transport=tcp")


async def test_wrong_password_is_asked_again_and_nothing_is_kept(rig: RegistrarBox) -> None:
    async with rig.phone("203", 3, password=WRONG) as ua:
        answer = await ua.register(600)
    assert answer.code == 401
    assert "stale" not in answer.get("www-authenticate")
    assert "203" not in await rig.saved()


async def test_unknown_user_is_answered_like_a_wrong_password(rig: RegistrarBox) -> None:
    async with (
        rig.phone("999", 4, password=WRONG) as stranger,
        rig.phone("203", 3, password=WRONG) as user,
    ):
        answers = [await stranger.register(600), await user.register(600)]
    shapes = [[name for name, _ in answer.headers] for answer in answers]
    assert [answer.code for answer in answers] == [401, 401]
    assert shapes[0] == shapes[1]


async def test_old_nonce_is_called_stale_when_the_password_is_right(rig: RegistrarBox) -> None:
    async with rig.phone("204", 5) as ua:
        headers = [("Contact", f"<{ua.contact}>")]
        uri = f"sip:{ua.domain}"
        old = {"realm": ua.domain, "nonce": f"{int(time.time()) - 4000:08x}" + "0" * 24, "qop": "auth"}
        given = sipmsg.authorization(old, "REGISTER", uri, ua.user, ua.password, "0a4f113b")
        made = ua.start(
            "REGISTER", uri, to=f"<sip:204@{ua.domain}>", headers=[*headers, ("Authorization", given)]
        )
        answer = await made.wait()
    assert answer.code == 401
    assert "stale=true" in answer.get("www-authenticate")


async def test_phone_may_not_register_somebody_elses_number(rig: RegistrarBox) -> None:
    async with rig.phone("205", 6) as ua:
        assert (await ua.register(600, aor_user="206")).code == 403
    assert "206" not in await rig.saved()


async def test_several_contacts_are_kept_and_the_oldest_makes_room(rig: RegistrarBox) -> None:
    async with AsyncExitStack() as stack:
        for index in range(11):
            ua = await stack.enter_async_context(rig.phone("207", 10 + index))
            assert (await ua.register(600)).code == 200
            if index == 0:
                await asyncio.sleep(1.1)  # usrloc dates contacts in whole seconds
    contacts = {contact["Address"] for contact in (await rig.saved())["207"]}
    assert len(contacts) == 10
    assert not any(rig.addresses.phone(10) in contact for contact in contacts)


async def test_expiry_is_spread_and_never_longer_than_asked(rig: RegistrarBox) -> None:
    granted = []
    for index in range(20):
        async with rig.phone(str(210 + index), 30 + index) as ua:
            granted.append(granted_s(await ua.register(600), ua.contact))
    assert all(480 <= seconds <= 600 for seconds in granted)
    assert len(set(granted)) > 5


@pytest.mark.parametrize(("asked_s", "low_s", "high_s"), [(5, 30, 30), (86_400, 2_880, 3_600)])
async def test_expiry_out_of_bounds_is_brought_within(
    rig: RegistrarBox, asked_s: int, low_s: int, high_s: int
) -> None:
    async with rig.phone("231", 51) as ua:
        assert low_s <= granted_s(await ua.register(asked_s), ua.contact) <= high_s


async def test_phone_that_unregisters_is_gone_from_memory_and_disk(rig: RegistrarBox) -> None:
    async with rig.phone("232", 52) as ua:
        await ua.register(600)
        await wait_until(lambda: saved_rows(rig, "232"), "the binding on disk", SAVED_WITHIN_S)
        assert (await ua.register(0)).code == 200
    assert "232" not in await rig.saved()
    await wait_until(lambda: not saved_rows(rig, "232"), "the binding gone from disk", SAVED_WITHIN_S)


async def test_phone_behind_nat_is_known_by_its_true_address(rig: RegistrarBox) -> None:
    async with rig.phone("233", 53, advertise="10.11.12.13") as ua:
        assert (await ua.register(600)).code == 200
        (contact,) = (await rig.saved())["233"]
    assert "10.11.12.13" in contact["Address"]
    assert contact["Received"] == f"sip:{rig.addresses.phone(53)}:5060"
    assert contact["CFlags"] == (1 << 6) + (1 << 7)


async def test_registration_asked_for_without_contact_lists_bindings(rig: RegistrarBox) -> None:
    async with rig.phone("234", 54) as ua:
        await ua.register(600)
        answer = await ua.request("REGISTER", f"sip:{ua.domain}", headers=[("To", f"<sip:234@{ua.domain}>")])
    assert answer.code == 200
    assert ua.contact in answer.get("contact")


async def test_registration_is_in_the_journal_once(rig: RegistrarBox) -> None:
    async with rig.phone("235", 55) as ua:
        for _ in range(3):
            assert (await ua.register(600)).code == 200

    def events() -> list[str]:
        with closing(sqlite3.connect(f"file:{rig.box.layout.journal}?mode=ro", uri=True)) as database:
            query = "SELECT json_extract(data, '$.action') FROM event WHERE event = 'registration' AND data LIKE '%235%'"
            return [row[0] for row in database.execute(query)]

    await wait_until(events, "the registration in the journal", SAVED_WITHIN_S)
    assert events() == ["registered"]


async def test_telephone_that_is_known_is_asked_in_the_same_words_as_a_new_one(rig: RegistrarBox) -> None:
    def asked(ua: Ua) -> list[list[str]]:
        challenges = [m for _, m in ua.received if not m.is_request and m.code == 401]
        return [
            [value.replace(nonce_in(value), "") for value in m.all("www-authenticate")] for m in challenges
        ]

    def nonce_in(value: str) -> str:
        return value.partition('nonce="')[2].partition('"')[0]

    async with rig.phone("236", 56) as ua:
        assert (await ua.register(600)).code == 200
        await asyncio.sleep(0.5)  # the box tells its routes of the site within two looks at it
        assert (await ua.register(600)).code == 200
        first, second = asked(ua)
        assert first == second
        assert len(first) == 2
        assert not any("stale" in value for value in second)
        call = await ua.invite(f"sip:237@{rig.addresses.box_lan}")
        assert (await call.wait()).code == 480
    assert "conversion" not in await rig.log()


async def test_address_that_becomes_a_gateway_is_no_longer_asked_for_a_password() -> None:
    async with (
        registrar_box(3, call_control="local", upstreams=[]) as rig,
        rig.phone("201", 1) as ua,
        rig.phone("201", 1, password="", port=5070) as trunk,
    ):
        assert (await ua.register(600)).code == 200

        async def code() -> int:
            call = await trunk.invite(f"sip:202@{rig.addresses.box_lan}")
            return (await call.wait()).code

        assert await code() == 407
        gateway = {
            "id": "gw9",
            "uri": f"sip:{ua.address}:5070",
            "network": "lan",
            "kinds": ["emergency", "local"],
            "number_format": "national",
            "caller": "+81312340000",
            "identity": "pai",
            "max_calls": 2,
        }
        emergency = {"numbers": ["110", "118", "119"], "caller": "+81312340000", "gateways": ["gw9"]}
        rig.publish(gateways=[gateway], emergency=emergency)

        async def is_taken() -> bool:
            return await code() in (404, 480)

        await wait_until(is_taken, "the gateway's call is taken as one", SAVED_WITHIN_S)
