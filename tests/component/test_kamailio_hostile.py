"""What does not belong here gets the right refusal or silence; the site's own phones are served whatever the others do."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from appliance.kamailio.flood import LAN_MAX, OUTSIDE_MAX
from tests.helpers.registrar_box import RegistrarBox, registrar_box
from tests.helpers.torture import TORTURE, Torture
from tests.lab.addresses import SIP_PORT
from tests.lab.sipua import Ua

pytestmark = pytest.mark.asyncio(loop_scope="module")

SILENCE_S = 0.4


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig() -> AsyncIterator[RegistrarBox]:
    async with registrar_box(10) as made:
        network = f"{made.addresses.network}.0/24"
        made.publish(lan_networks=[network])
        async with made.phone("201", 1) as ua:
            assert (await ua.register(600)).code == 200
        yield made


async def is_served(rig: RegistrarBox) -> None:
    """Every worker answers: as many requests as there are workers, several times over."""
    async with rig.phone("201", 1) as ua:
        for _ in range(12):
            assert (await ua.request("OPTIONS", f"sip:{rig.addresses.box_lan}", timeout_s=2)).code == 200


def burst(address: str, rig: RegistrarBox, count: int, lines: str) -> int:
    """Send `count` requests at once from a bare socket; gives how many were answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        port = sock.getsockname()[1]
        answers = 0
        sock.setblocking(False)
        for number in range(count):
            head = lines.format(number=number, address=address, port=port, box=rig.addresses.box_lan)
            text = head.replace("\n", "\r\n") + "Content-Length: 0\r\n\r\n"
            sock.sendto(text.encode(), (rig.addresses.box_lan, SIP_PORT))
            time.sleep(0.0005)
        end = time.monotonic() + SILENCE_S
        while time.monotonic() < end:
            try:
                sock.recv(65536)
                answers += 1
            except BlockingIOError:
                time.sleep(0.005)
    return answers


REGISTER = """\
REGISTER sip:{box} SIP/2.0
Via: SIP/2.0/UDP {address}:{port};branch=z9hG4bKflood{number}
Max-Forwards: 70
From: <sip:{number}@{box}>;tag=f{number}
To: <sip:{number}@{box}>
Call-ID: flood-{number}@{address}
CSeq: 1 REGISTER
Contact: <sip:{number}@{address}:{port}>
"""
OPTIONS = REGISTER.replace("REGISTER", "OPTIONS")


async def test_flood_of_a_stranger_on_the_lan_falls_silent(rig: RegistrarBox) -> None:
    answers = await asyncio.to_thread(burst, rig.addresses.phone(60), rig, LAN_MAX + 100, REGISTER)
    assert 0 < answers <= LAN_MAX
    await is_served(rig)


async def test_stranger_from_elsewhere_gets_a_few_answers_only(rig: RegistrarBox) -> None:
    network = rig.addresses.network
    rig.publish(lan_networks=["192.0.2.0/24"])
    await asyncio.sleep(0.2)
    answers = await asyncio.to_thread(burst, f"{network}.161", rig, OUTSIDE_MAX + 30, OPTIONS)
    rig.publish(lan_networks=[f"{network}.0/24"])
    await asyncio.sleep(0.2)
    assert 0 < answers <= OUTSIDE_MAX


async def test_registered_phone_is_answered_however_much_it_sends(rig: RegistrarBox) -> None:
    async with rig.phone("202", 2) as ua:
        assert (await ua.register(600)).code == 200
    count = LAN_MAX + 200
    assert await asyncio.to_thread(burst, rig.addresses.phone(2), rig, count, OPTIONS) == count


async def test_peer_of_the_site_document_is_answered_however_much_it_sends(rig: RegistrarBox) -> None:
    count = LAN_MAX + 200
    assert await asyncio.to_thread(burst, rig.addresses.gateway, rig, count, OPTIONS) == count


async def test_scanner_hears_nothing(rig: RegistrarBox) -> None:
    for name in ("friendly-scanner", "sipcli/v1.8", "SIPVicious"):
        lines = OPTIONS + f"User-Agent: {name}\n"
        assert await asyncio.to_thread(burst, rig.addresses.phone(62), rig, 3, lines) == 0


async def test_wrong_passwords_cost_a_stranger_his_answers(rig: RegistrarBox) -> None:
    silent = 0
    async with rig.phone("203", 63, password="guess") as ua:  # noqa: S106 - wrong on purpose
        for _ in range(LAN_MAX // 5):
            try:
                await ua.register(600, timeout_s=SILENCE_S)
            except TimeoutError:
                silent += 1
                break
    assert silent
    async with rig.phone("203", 3) as owner:
        assert (await owner.register(600)).code == 200


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("OPTIONS", 200),
        ("SUBSCRIBE", 489),
        ("MESSAGE", 405),
        ("PUBLISH", 405),
        ("NOTIFY", 405),
        ("REFER", 405),
        ("BYE", 481),
        ("NEWMETHOD", 501),
    ],
)
async def test_request_outside_a_call_is_answered_by_the_box(
    rig: RegistrarBox, method: str, code: int
) -> None:
    async with rig.phone("204", 4) as ua:
        answer = await ua.request(method, f"sip:someone@{rig.addresses.gateway}")
    assert answer.code == code
    if code in (200, 405, 501):
        assert "INVITE" in answer.get("allow")


async def test_nothing_is_relayed_for_a_stranger(rig: RegistrarBox) -> None:
    async with (
        Ua("victim", rig.addresses.phone(70)) as victim,
        Ua("eve", rig.addresses.phone(64), (rig.addresses.box_lan, SIP_PORT)) as eve,
    ):
        target = f"sip:victim@{rig.addresses.phone(70)}:5060"
        route = [("Route", f"<sip:{rig.addresses.box_lan};lr>, <{target};lr>")]
        for method in ("OPTIONS", "MESSAGE", "INVITE", "SUBSCRIBE", "REGISTER", "INFO"):
            await eve.request(method, target)
            await eve.request(method, target, headers=route)
        assert victim.received == []


async def test_stranger_who_calls_is_asked_who_he_is(rig: RegistrarBox) -> None:
    async with rig.phone("205", 65, password="") as eve:
        answer = await eve.request("INVITE", f"sip:0312345678@{rig.addresses.box_lan}")
    assert answer.code == 407
    assert "Digest" in answer.get("proxy-authenticate")


async def test_request_that_has_gone_too_far_is_refused(rig: RegistrarBox) -> None:
    lines = OPTIONS.replace("Max-Forwards: 70", "Max-Forwards: 0")
    assert await asyncio.to_thread(burst, rig.addresses.phone(66), rig, 1, lines) == 1
    async with rig.phone("206", 6) as ua:
        ua.send(
            lines.replace("\n", "\r\n")
            .format(number=1, address=rig.addresses.phone(6), port=5060, box=rig.addresses.box_lan)
            .encode()
            + b"\r\n",
            (rig.addresses.box_lan, SIP_PORT),
        )
        await asyncio.sleep(SILENCE_S)
        assert [message.code for _, message in ua.received] == [483]


@pytest.mark.parametrize("case", TORTURE, ids=lambda case: case.name)
async def test_torture_message_gets_the_right_answer_or_silence(rig: RegistrarBox, case: Torture) -> None:
    before = await rig.processes()
    async with rig.phone("207", 67) as ua:
        ua.send(case.message, (rig.addresses.box_lan, SIP_PORT))
        end = time.monotonic() + SILENCE_S
        while time.monotonic() < end and not ua.received:
            await asyncio.sleep(0.01)
        codes = [message.code for _, message in ua.received]
        print(ua.received)
    assert (codes[:1] or [0])[0] in case.codes
    assert await rig.processes() == before
    await is_served(rig)


async def test_nothing_of_this_was_a_bug_of_ours(rig: RegistrarBox) -> None:
    log = await rig.log()
    assert "Traceback" not in log
