"""Free addressing with telephones at a box that has no FreeSWITCH and whose line is cut: logging in, being called, calling for
help, a restart, wrong PINs; and the PIN is written down nowhere.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from appliance.digest import pin_sha256
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until
from tests.lab.site_document import REALM, extension

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIN = "582036174"
WRONG = "917364582"
PERSON, DESK, COLLEAGUE = "201", "203", "202"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=4, cloud=False, cloud_phones=0, carrier=False)
    lab = Lab(parts, {"call_control": "local", "hot_desk": {"tries": 3, "lock_s": 60}})
    lab.document["emergency"] = {
        "numbers": ["110", "118", "119"],
        "caller": "+81312340000",
        "gateways": ["gw1"],
    }
    with_pin = {number: {"pin_sha256": pin_sha256(number, REALM, PIN)} for number in (PERSON, "204")}
    forwarded = {"204": {"forward_no_answer": PERSON, "no_answer_s": 5}}
    lab.document["extensions"] = [
        extension(number, password, **(with_pin.get(number, {}) | forwarded.get(number, {})))
        for number, password in lab.passwords.items()
    ]
    async with lab:
        yield lab


async def told(lab: Lab, number: str, dialled: str) -> PhoneCall:
    """What the telephone shows after a code."""
    call = await lab.phones[number].dial(dialled)
    return await call.wait("closed")


async def answered_at(lab: Lab, dialled: str, number: str) -> None:
    """A call of a colleague's is answered there, and nowhere else."""
    before = {name: len(phone.calls) for name, phone in lab.phones.items() if name != COLLEAGUE}
    call = await lab.phones[COLLEAGUE].call(dialled, 15)
    after = {name: len(phone.calls) for name, phone in lab.phones.items() if name != COLLEAGUE}
    await call.hangup()
    assert [name for name in after if after[name] > before[name]] == [number]


async def test_the_person_is_called_at_the_desk_and_calls_as_himself_over_a_restart(lab: Lab) -> None:
    shown = await told(lab, DESK, f"*11*{PERSON}*{PIN}")
    assert shown.cause == "480 Logged in"
    await answered_at(lab, PERSON, DESK)
    await answered_at(lab, DESK, DESK)
    out = await lab.phones[DESK].call("0312345678")
    assert lab.gateway.calls[-1].identity == "0312340201"
    await out.hangup()
    await lab.box.stop("kamailio")
    await lab.box.start("kamailio")

    async def loaded() -> bool:
        try:
            return bool(await lab.box.rpc.call("htable.get", "kept", f"desk:{PERSON}"))
        except (RuntimeError, OSError):
            return False

    await wait_until(loaded, "who sits where is loaded")
    await answered_at(lab, PERSON, DESK)


async def test_a_call_that_is_forwarded_to_the_person_finds_the_desk(lab: Lab) -> None:
    await lab.phones["204"].behave(answer_after_s=None)
    before = len(lab.phones[DESK].calls)
    call = await lab.phones[COLLEAGUE].call("204")
    assert len(lab.phones[DESK].calls) == before + 1
    await call.hangup()
    await lab.phones["204"].behave(answer_after_s=0.0)


async def test_a_call_for_help_tells_the_telephone_not_the_person(lab: Lab) -> None:
    call = await lab.phones[DESK].call("119")
    assert lab.gateway.calls[-1].number == "119"
    assert lab.gateway.calls[-1].identity == "0312340000"
    await call.hangup()

    def told_whose() -> bool:
        return f'"origin_id":"{DESK}"' in rows(lab, '"dialled":"119"')

    await wait_until(told_whose, "the journal names the telephone")


async def test_after_logging_out_everybody_is_at_his_own_telephone(lab: Lab) -> None:
    assert (await told(lab, DESK, "*12")).cause == "480 Logged out"
    await answered_at(lab, PERSON, PERSON)
    assert (await told(lab, DESK, "*12")).code == 404


async def test_wrong_pins_lock_the_person_and_are_told(lab: Lab) -> None:
    for _ in range(3):
        assert (await told(lab, DESK, f"*11*204*{WRONG}")).cause == "403 Wrong pin"
    assert (await told(lab, DESK, f"*11*204*{PIN}")).cause == "403 Locked after wrong pins"
    assert (await told(lab, DESK, f"*11*{COLLEAGUE}*{PIN}")).cause == "403 Wrong pin"
    await wait_until(lambda: "hot_desk_locked" in rows(lab, "hot_desk"), "the journal tells of the lock")


async def test_the_pin_is_written_down_nowhere(lab: Lab) -> None:
    await wait_until(
        lambda: "*11****" in rows(lab, "start"), "what was dialled is in the journal, masked", 10
    )
    for path in lab.folder.rglob("*"):
        if path.is_file() and not path.name.startswith("phone-"):
            content = path.read_bytes()
            assert PIN.encode() not in content, path
            assert WRONG.encode() not in content, path


def rows(lab: Lab, word: str) -> str:
    """Rows of the journal that hold a word."""
    uri = f"{Path(lab.box.layout.journal).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=2)) as database:
        found = database.execute("SELECT event || data FROM event").fetchall()
    return "\n".join(row for (row,) in found if word in row)
