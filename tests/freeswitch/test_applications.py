"""Applications between telephones: dial by name, and what callers and called can ask of the box."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from appliance import site
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.site_document import extension

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

PEOPLE = {
    "202": {"display": "Sato Haruka", "kana": "さとう はるか"},
    "203": {"display": "Sato Ken", "kana": "さとう けん"},
    "204": {"display": "Suzuki Mei", "kana": "すずき めい"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=4, cloud_phones=0, cloud=False, gateway=False, carrier=False, freeswitch=True)
    document = {
        "call_control": "local",
        "feature_codes": {"language": "en"},
        "applications": [
            {"number": "710", "kind": "directory", "language": "en"},
            {"number": "711", "kind": "directory", "language": "ja"},
        ],
    }
    lab = Lab(parts, document)
    lab.document["extensions"] = [
        extension(number, password, **PEOPLE.get(number, {})) for number, password in lab.passwords.items()
    ]
    async with lab:
        yield lab


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def tidy(lab: Lab) -> AsyncIterator[None]:
    yield
    for phone in lab.phones.values():
        await phone.behave(answer_after_s=0.0)
        for call in phone.calls:
            if call.state != "closed":
                await call.hangup()


async def hears(
    lab: Lab, call: PhoneCall, prompt: str, language: str = "en", timeout_s: float = 20.0
) -> None:
    assert lab.box.freeswitch is not None
    plan = site.loads(lab.box.layout.document(lab.version).read_bytes()).media
    await call.wait_hears_prompt(lab.box.freeswitch.prompt(plan, prompt, language), timeout_s)


def tone(lab: Lab, number: str) -> int:
    return lab.phones[number].tone_hz


async def test_letters_find_two_people_and_the_second_is_called(lab: Lab) -> None:
    call = await lab.phones["201"].call("710")
    await hears(lab, call, "dir_spell")
    await call.dtmf("728")
    await hears(lab, call, "name-203")
    await call.dtmf("2")
    await call.wait_hears(tone(lab, "202"), timeout_s=15)
    assert lab.phones["202"].current().peer.startswith("sip:201@")


async def test_a_reading_is_found_by_the_rows_of_its_kana(lab: Lab) -> None:
    call = await lab.phones["201"].call("711")
    await hears(lab, call, "dir_spell", "ja")
    await call.dtmf("332")
    await hears(lab, call, "name-204", "ja")
    await call.dtmf("1")
    await call.wait_hears(tone(lab, "204"), timeout_s=15)


async def test_whoever_is_not_in_the_directory_is_not_found_and_the_caller_is_asked_again(lab: Lab) -> None:
    call = await lab.phones["201"].call("710")
    await hears(lab, call, "dir_spell")
    await call.dtmf("999")
    await hears(lab, call, "dir_nobody")


async def test_a_caller_who_cannot_be_connected_hears_why_before_the_code(lab: Lab) -> None:
    await lab.phones["204"].behave(refuse=True)
    await lab.phones["203"].unregister()
    for dialled, said, code in (
        ("299", "no_such_number", 404),
        ("0101234567890", "ref_not_permitted", 403),
        ("204", "ref_busy", 486),
        ("203", "ref_unreachable", 480),
    ):
        call = await lab.phones["201"].dial(dialled)
        await hears(lab, call, said)
        await call.wait("closed", 15)
        assert (call.code, "established" in call.times) == (code, False), dialled
    await lab.phones["203"].register()
    await lab.publish(refusals="plain")
    plain = await lab.phones["201"].dial("299")
    await plain.wait("closed", 5)
    assert (plain.code, "progress" in plain.times) == (404, False)
    await lab.publish(refusals="spoken")


async def test_nothing_of_all_this_was_a_fault_in_freeswitch_s_log(lab: Lab) -> None:
    assert lab.box.freeswitch is not None
    assert "\n".join(lab.box.freeswitch.faults()) == ""
