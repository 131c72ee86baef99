"""Callers that the site or an extension does not want, by the gateway, at a box without FreeSWITCH whose line is cut."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.lab import Lab, Parts
from tests.lab.processes import wait_until
from tests.lab.site_document import extension

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUISANCE, WRONG_PLACE, CUSTOMER = "0399990000", "0611112222", "0398765432"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=3, cloud=False, cloud_phones=0, carrier=False)
    lab = Lab(parts, {"call_control": "local", "block": {"numbers": ["039999*"], "anonymous": True}})
    blocked = {"202": {"blocked": [f"+81{WRONG_PLACE[1:]}"], "block_action": "busy"}}
    lab.document["extensions"] = [
        extension(number, password, **blocked.get(number, {})) for number, password in lab.passwords.items()
    ]
    async with lab:
        yield lab


async def outcome(lab: Lab, number: str, caller: str) -> str:
    """How a call from outside to an extension comes out: "answered", or why it was refused."""
    call = await lab.gateway.dial(f"sip:0312340{number}@{lab.addresses.box_lan}:5060", caller)
    await wait_until(lambda: call.state in ("answered", "refused", "ended"), "answered or refused")
    if call.state == "answered":
        await call.hangup()
        return "answered"
    return call.cause


@pytest.mark.parametrize(
    ("number", "caller", "expected"),
    [
        ("201", CUSTOMER, "answered"),
        ("201", NUISANCE, "603"),
        ("201", "anonymous", "433"),
        ("202", WRONG_PLACE, "486"),
        ("201", WRONG_PLACE, "answered"),
    ],
)
async def test_a_caller_is_put_through_or_refused(lab: Lab, number: str, caller: str, expected: str) -> None:
    assert expected in await outcome(lab, number, caller)


async def test_after_a_call_for_help_everybody_outside_is_put_through_even_over_a_restart(lab: Lab) -> None:
    call = await lab.phones["203"].call("119", 10)
    await call.hangup()
    assert await outcome(lab, "201", NUISANCE) == "answered"
    assert await outcome(lab, "203", "anonymous") == "answered"
    await lab.box.stop("kamailio")
    await lab.box.start("kamailio")

    async def loaded() -> bool:
        try:
            return bool(await lab.box.rpc.call("htable.get", "kept", "emergency"))
        except (RuntimeError, OSError):
            return False

    await wait_until(loaded, "the call for help is remembered")
    assert await outcome(lab, "202", WRONG_PLACE) == "answered"
