"""What the centre is told of calls that were really made: the codec that was agreed on, and how well they were heard."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.helpers.fault_lab import cdrs_of
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.site_document import extension
from tests.lab.standing import hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODECS = {"PCMU": "pcmu", "PCMA": "pcma", "G722": "g722/16000/1", "opus": "opus/48000/2"}
RECORDED = 209
"""Extensions from here on are recorded, so their audio goes through rtpengine; the others' is direct."""
TRAVELLER = "217"
"""Calls a telephone behind the cloud."""
REPORTS_S = 12.0
"""Telephones report every 5 s (RFC 3550 6.2), and rtpengine can judge them from the second report on."""
LOSS = 0.1


def caller_of(codec: str, recorded: bool) -> str:
    return str((RECORDED if recorded else 201) + 2 * list(CODECS).index(codec))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=17, gateway=False, carrier=False, centre=True, agent=True)
    lab = Lab(parts)
    lab.document["extensions"] = [
        extension(number, password, record="all" if RECORDED <= int(number) < int(TRAVELLER) else "none")
        for number, password in lab.passwords.items()
    ]
    for name, codec in CODECS.items():
        for recorded in (False, True):
            first = int(caller_of(name, recorded))
            for number in (str(first), str(first + 1)):
                lab.phones[number] = lab.make_phone(number, codecs=(codec,))
    async with lab:
        await lab.box.wait_link_state("UP")
        yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cdrs(lab: Lab) -> dict[str, dict[str, Any]]:
    """One call of each codec, direct and anchored, and one by a lossy line, all at once; their CDRs by the caller."""
    placed: dict[str, PhoneCall] = {}
    for recorded in (False, True):
        for codec in CODECS:
            caller = caller_of(codec, recorded)
            placed[caller] = await lab.phones[caller].call(str(int(caller) + 1))
            await hear_each_other(placed[caller], lab.phones[str(int(caller) + 1)].current())
    placed[TRAVELLER] = await lab.phones[TRAVELLER].call("901")
    await lab.link.loss(LOSS)
    await asyncio.sleep(REPORTS_S)
    await lab.link.restore()
    await asyncio.gather(*(call.hangup() for call in placed.values()))
    by_call_id = await cdrs_of(lab, list(placed.values()))
    return {caller: by_call_id[call.call_id] for caller, call in placed.items()}


@pytest.mark.parametrize("recorded", [False, True], ids=["direct", "anchored"])
@pytest.mark.parametrize("codec", list(CODECS))
async def test_cdr_names_the_codec_of_the_call(cdrs: dict[str, Any], codec: str, recorded: bool) -> None:
    cdr = cdrs[caller_of(codec, recorded)]
    assert (cdr["disposition"], cdr["codec"]) == ("answered", codec)


@pytest.mark.parametrize("codec", list(CODECS))
async def test_clean_call_through_the_box_has_a_good_score(cdrs: dict[str, Any], codec: str) -> None:
    quality = cdrs[caller_of(codec, recorded=True)]["quality"]
    assert quality is not None
    assert quality["mos"] >= 4.0
    assert quality["loss"] < 0.01
    assert quality["jitter_ms"] < 50


@pytest.mark.parametrize("codec", list(CODECS))
async def test_direct_call_has_none_because_the_box_hears_nothing_of_it(
    cdrs: dict[str, Any], codec: str
) -> None:
    assert cdrs[caller_of(codec, recorded=False)]["quality"] is None


async def test_call_by_a_lossy_line_says_how_much_was_lost(cdrs: dict[str, Any]) -> None:
    cdr = cdrs[TRAVELLER]
    assert cdr["codec"] == "PCMU"
    assert LOSS / 3 < cdr["quality"]["loss"] < 3 * LOSS
    clean = cdrs[caller_of("PCMU", recorded=True)]["quality"]
    assert cdr["quality"]["mos"] < clean["mos"]
