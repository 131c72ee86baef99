"""Something else answers in the centre's place, or the centre itself fails: the box goes on, says so, and loses nothing."""

import os
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.helpers.fault_lab import LOCAL, cdrs_of, heard_both_ways, metric, recordings_of
from tests.helpers.odd_centre import ANSWERS, OddCentre
from tests.lab.box import kyusai
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = {
    "a login page": "confused",
    "half an answer": "confused",
    "half a JSON": "confused",
    "401": "confused",
    "403": "confused",
    "500": "busy",
}
"""How the box counts each: a refusal without the centre's own words may be a proxy's, and is tried again."""

ENGLISH = {**os.environ, "KYUSAI_LANG": "en", "COLUMNS": "200"}
WORDS = {"confused": "made no sense", "busy": "unable to serve"}
"""What `kyusai status` says of it."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=2, centre=True, agent=True, media=True, **LOCAL)
    async with Lab(parts, document={"record": "all"}) as lab:
        yield lab


HANGS_S = 10.0
"""Of a centre that says nothing no request is given up sooner: a call done by then has not waited for it."""


async def short_call(lab: Lab) -> PhoneCall:
    call = await lab.phones["201"].call("202")
    await heard_both_ways(lab, call, "202")
    return await call.hangup()


async def failures(lab: Lab, kind: str) -> float:
    """Requests with call records that have failed so."""
    return await metric(lab, "kyusai_centre_failures_total", task="records", kind=kind)


async def test_box_goes_on_whatever_answers_in_the_centres_place_and_loses_nothing(lab: Lab) -> None:
    calls = [await short_call(lab)]
    await cdrs_of(lab, calls)
    await lab.centre.stop()
    async with OddCentre(lab) as odd:
        for said, kind in KINDS.items():
            odd.say = ANSWERS[said]
            before = await failures(lab, kind)
            calls.append(await short_call(lab))

            async def counted(kind: str = kind, before: float = before) -> bool:
                return await failures(lab, kind) > before

            await wait_until(counted, f"{said} is counted as {kind}")
            shown = await kyusai("status", "--box", lab.box.toml, env=ENGLISH)
            assert WORDS[kind] in " ".join(shown.split()), said

        async def all_wait() -> bool:
            return bool((await lab.box.status())["spool"]["waiting"] >= len(KINDS))

        await wait_until(all_wait, "the records wait")
    await lab.centre.start()
    calls.append(await short_call(lab))
    await everything_arrived_once(lab, calls)


async def test_centre_that_hangs_holds_up_nothing_and_what_waited_arrives(lab: Lab) -> None:
    await lab.centre.stop()
    async with OddCentre(lab) as odd:
        calls = [await short_call(lab)]
        await wait_until(lambda: odd.requests, "the box asks")
        began_s = time.monotonic()
        calls.append(await short_call(lab))
        assert time.monotonic() - began_s < HANGS_S, "the call waited for the centre"
        status = await lab.box.status()
        assert (status["kamailio"]["alive"], status["spool"]["parked"]) == (True, 0)
    await lab.centre.start()
    calls.append(await short_call(lab))
    await everything_arrived_once(lab, calls)


async def everything_arrived_once(lab: Lab, calls: list[PhoneCall]) -> None:
    """Records and recordings of the calls are at the centre, once each, and nothing fails any more."""
    await cdrs_of(lab, calls)
    found = await recordings_of(lab, calls)
    assert {call: (len(several), several[0].hash_ok) for call, several in found.items()} == {
        call.call_id: (1, True) for call in calls
    }
    records = await lab.centre.records()
    assert [one for one, count in Counter(record["id"] for record in records).items() if count > 1] == []
    status = await lab.box.status()
    assert (status["spool"]["waiting"], status["spool"]["parked"]) == (0, 0)
    assert [one for one in status["centre"]["failing"] if one["task"] in ("records", "recordings")] == []
