"""The box's wall clock jumps while it works: durations stay true, the records say that the clock was wrong, nothing is lost."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from cloudsync.service.clocks import AGAIN_FIRST_S
from tests.helpers.fault_lab import LOCAL, cdrs_of, recordings_of
from tests.lab.clock import Clock
from tests.lab.lab import Lab, Parts
from tests.lab.phone import PhoneCall
from tests.lab.processes import StateNotReached, wait_until
from tests.lab.standing import hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESYNC_S = 5.5
"""Kamailio compares its timers with the wall clock every five seconds; a call that is being set up at that moment may end."""

DURATION_OFF_MS = 2_000
"""Between the box's view of a call and the telephone's, on a busy machine. The clock jumps by hours."""

CORRECTED_S = AGAIN_FIRST_S + 60.0
"""The centre looks at a boot again after `AGAIN_FIRST_S` when one of its records was still on its way."""

NEAR_S = 1_200.0
"""A time so near to now was told by the true clock: longer than this test may take, shorter than any jump."""

ARRIVE_S = 90.0
"""For what the centre must come to know or to work out."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab() -> AsyncIterator[Lab]:
    parts = Parts(phones=2, centre=True, agent=True, media=True, **LOCAL)
    lab = Lab(parts, document={"record": "all"})
    try:
        lab.clock = Clock(lab.box)  # type: ignore[attr-defined]
    except (OSError, subprocess.CalledProcessError) as error:
        lab._claim.release()
        pytest.skip(f"no clock can be made: {error}")
    async with lab:
        yield lab


async def talk(lab: Lab) -> PhoneCall:
    placed = await lab.phones["201"].call("202")
    await hear_each_other(placed, lab.phones["202"].current())
    return placed


async def step(lab: Lab, off_s: float, ahead: bool) -> None:
    """Let the clock jump. After a step ahead the telephones register again, as they do by themselves within their time."""
    lab.clock.jump(off_s)  # type: ignore[attr-defined]
    await asyncio.sleep(RESYNC_S if ahead else 1)
    for phone in lab.phones.values():  # one after the other: two REGISTERs at once may overtake each other
        await phone.unregister()
        await phone.register()


def is_near(utc: str) -> bool:
    """Whether a time is about now."""
    return abs((datetime.now(UTC) - datetime.fromisoformat(utc)).total_seconds()) < NEAR_S


async def shown_at_their_time(lab: Lab, calls: list[PhoneCall]) -> None:
    """The centre's list has each call at the time when it was made, by the box's word on how far its clock was off: also one
    that the agent wrote down when its clock was right again."""
    seen: list[object] = []

    async def right() -> bool:
        rows = {row["body"]["call_id"]: row for row in await lab.centre.records("cdr")}
        found = [rows[call.call_id] for call in calls]
        began = [(row["times"] or row["body"])["start_utc"] for row in found]
        told = [row["time_source"] for row in found]
        seen[:] = [datetime.now(UTC), [row["at_utc"] for row in found], began, told]
        return told == ["set", "set", None] and all(map(is_near, [*began, *(row["at_utc"] for row in found)]))

    try:
        await wait_until(right, "the calls stand at the time when they were made", CORRECTED_S)
    except StateNotReached as error:
        raise AssertionError(f"{error}: {seen}") from None


@pytest.mark.parametrize("jump", [timedelta(hours=2), timedelta(days=-1)], ids=["ahead", "back"])
async def test_clock_that_jumps_within_a_call_leaves_its_duration_true_and_its_record_honest(
    lab: Lab, jump: timedelta
) -> None:
    calls = [await talk(lab)]
    await asyncio.sleep(1)
    await step(lab, jump.total_seconds(), ahead=jump > timedelta(0))
    await hear_each_other(calls[0], lab.phones["202"].current())
    await calls[0].hangup()
    calls.append(await talk(lab))
    await calls[1].hangup()
    await step(lab, 0, ahead=jump < timedelta(0))
    calls.append(await talk(lab))
    await asyncio.sleep(1)
    await calls[2].hangup()
    records = await cdrs_of(lab, calls, ARRIVE_S)
    for call in calls:
        told_ms = records[call.call_id]["billsec_ms"]
        true_ms = 1000 * (call.times["closed"] - call.times["established"])
        assert abs(told_ms - true_ms) < DURATION_OFF_MS
    clocks = [records[call.call_id]["clock_ok"] for call in calls]
    assert clocks == [False, True, True], (
        "a wrong time that does not change within a call is not known for one"
    )
    assert is_near(records[calls[2].call_id]["start_utc"])
    await shown_at_their_time(lab, calls)
    found = await recordings_of(lab, [calls[0], calls[2]], ARRIVE_S)
    assert {call: (len(several), several[0].hash_ok) for call, several in found.items()} == {
        call.call_id: (1, True) for call in (calls[0], calls[2])
    }
