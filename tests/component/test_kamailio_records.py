"""What the real Kamailio writes down for call records: codecs as they are agreed on, and of invented calls next to nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from appliance.kamailio.dialogs import STRANGE_BURST
from tests.lab import addresses, sipmsg
from tests.lab.bare_box import BareBox, site_document
from tests.lab.processes import wait_until
from tests.lab.sipcall import Dialog, Incoming, Transaction
from tests.lab.sipua import Ua

OFFERED = "9 0 8 101"
RTPMAPS = {"9": "G722/8000", "0": "PCMU/8000", "8": "PCMA/8000", "96": "opus/48000/2"}


def description(address: str, payloads: str) -> str:
    """An SDP with these payload types and their names."""
    maps = [f"a=rtpmap:{number} {RTPMAPS[number]}" for number in payloads.split() if number in RTPMAPS]
    return "\r\n".join([sipmsg.sdp(address, 4000, payloads).rstrip(), *maps, ""])


class Callee:
    """A telephone that answers every offer with `payloads`."""

    def __init__(self, payloads: str) -> None:
        self.payloads = payloads
        self.ua: Ua | None = None
        self.dialog: Dialog | None = None

    def __call__(self, incoming: Incoming) -> None:
        """Answer at once."""
        if incoming.request.method not in ("INVITE", "UPDATE"):
            incoming.reply(200)
            return
        address = incoming.ua.contact.split("@")[1].split(":")[0]
        if not sipmsg.tag_of(incoming.request.get("to")):
            self.dialog = incoming.dialog()
        incoming.reply(200, body=description(address, self.payloads))


@asynccontextmanager
async def call(
    payloads: str, offer: str | None = None
) -> AsyncIterator[tuple[BareBox, Ua, Callee, Transaction]]:
    """201 talks to 202, which answers with `payloads`."""
    claim, callee = addresses.claim(), Callee(payloads)
    try:
        document = site_document(claim.addresses, call_control="local")
        async with (
            BareBox(claim.addresses, claim.folder, document) as box,
            box.phone("201", 1) as a,
            box.phone("202", 2, on_request=callee) as b,
        ):
            callee.ua = b
            for ua in (a, b):
                assert (await ua.register()).code == 200
            body = description(a.address, OFFERED) if offer is None else offer
            placed = await a.invite(f"sip:202@{box.addresses.box_lan}", body=body)
            assert (await placed.wait()).code == 200
            yield box, a, callee, placed
            assert box.faults() == []
    finally:
        claim.release()


async def codecs(box: BareBox, count: int) -> list[str]:
    """Codecs in the journal, in order, once there are so many rows that name one."""

    def found() -> list[str]:
        named = [data["codec"] for _, _, data in box.journal() if "codec" in data]
        return named if len(named) >= count else []

    result = await wait_until(found, f"{count} codecs in the journal")
    assert isinstance(result, list)
    return result


def change(ua: Ua, dialog: Dialog, payloads: str, method: str = "INVITE") -> Transaction:
    """Offer other codecs within a call."""
    headers = [("Contact", f"<{ua.contact}>"), ("Content-Type", "application/sdp")]
    body = description(ua.address, payloads)
    return ua.start(method, dialog.target, dialog=dialog, headers=headers, body=body)


@pytest.mark.parametrize(
    ("payloads", "codec"), [("0 101", "PCMU"), ("8", "PCMA"), ("9 0", "G722"), ("101 96 0", "opus")]
)
async def test_answer_in_the_journal_names_the_codec_agreed_on(payloads: str, codec: str) -> None:
    async with call(payloads) as (box, a, _, placed):
        assert await codecs(box, 1) == [codec]
        assert (await a.bye(a.dialog(placed))).code == 200


async def test_codec_changed_within_the_call_and_back_is_written_down_each_time() -> None:
    async with call("0") as (box, a, callee, placed):
        dialog = a.dialog(placed)
        for payloads, method in (("9", "INVITE"), ("9", "INVITE"), ("96", "UPDATE"), ("0", "INVITE")):
            callee.payloads = payloads
            assert (await change(a, dialog, payloads, method).wait()).code == 200
        assert callee.ua and callee.dialog
        assert (await change(callee.ua, callee.dialog, "8").wait()).code == 486, "the caller changes nothing"
        assert (await a.bye(dialog)).code == 200
        assert await codecs(box, 4) == ["PCMU", "G722", "opus", "PCMU"]
        assert len({key for _, key, _ in box.journal()}) == 1


async def test_callee_that_changes_the_codec_is_written_down_for_the_same_call() -> None:
    async with call("0") as (box, a, callee, placed):
        a._on_request = Callee("8")
        assert callee.ua and callee.dialog
        assert (await change(callee.ua, callee.dialog, "8").wait()).code == 200
        assert await codecs(box, 2) == ["PCMU", "PCMA"]
        assert len({key for _, key, _ in box.journal()}) == 1
        assert (await a.bye(a.dialog(placed))).code == 200


async def test_codec_of_a_call_without_an_offer_is_that_of_the_acknowledgement() -> None:
    async with call("9 0 8", offer="") as (box, a, _, placed):
        dialog = a.dialog(placed)
        ack = a._request(
            "ACK",
            dialog.target,
            dialog.remote,
            [("Content-Type", "application/sdp")],
            description(a.address, "8"),
            dialog,
        )
        a.send(ack.encode(), (box.addresses.box_lan, 5060))
        assert await codecs(box, 1) == ["PCMA"]
        assert (await a.bye(dialog)).code == 200


def invented(ua: Ua, box: BareBox, number: int) -> Dialog:
    """A dialog that never was, with a Route by way of the box."""
    here = f"{box.addresses.box_lan}:5060"
    return Dialog(
        f"invented-{number}@{ua.address}",
        f"<sip:201@{ua.domain}>;tag=a{number}",
        f"<sip:202@{ua.domain}>;tag=b{number}",
        f"sip:202@{ua.address}:9",
        [f"<sip:{here};lr>"],
    )


async def test_invented_byes_and_transfers_fill_the_journal_with_a_bounded_number_of_rows() -> None:
    claim = addresses.claim()
    try:
        document = site_document(claim.addresses, call_control="local")
        async with BareBox(claim.addresses, claim.folder, document) as box, box.phone("201", 1) as a:
            assert (await a.register()).code == 200
            workers = await _workers(box)
            sent = 2 * workers * STRANGE_BURST
            for number in range(sent):
                dialog, method = invented(a, box, number), "REFER" if number % 4 == 0 else "BYE"
                headers = [("Refer-To", "<sip:203@x>"), ("Contact", f"<{a.contact}>")]
                request = a._request(method, dialog.target, "", headers, "", dialog)
                a.send(request.encode(), (box.addresses.box_lan, 5060))
                if number % 50 == 0:
                    await asyncio.sleep(0.02)
            call_ = await a.invite(f"sip:299@{box.addresses.box_lan}")
            assert (await call_.wait()).code == 404
            await wait_until(lambda: any(event == "start" for event, _, _ in box.journal()), "the call")
            await asyncio.sleep(0.2)
            strange = [
                data for event, _, data in box.journal() if event == "transfer" or data.get("forgotten")
            ]
            assert 0 < len(strange) <= workers * (STRANGE_BURST + 2)
            assert box.faults() == []
    finally:
        claim.release()


async def _workers(box: BareBox) -> int:
    """Processes of Kamailio that may have taken in those messages."""
    rows: Any = await box.kamailio.rpc.call("core.ps")
    return sum(
        "udp receiver" in str(rows[at + 1]) and box.addresses.box_lan in str(rows[at + 1])
        for at in range(0, len(rows), 2)
    )
