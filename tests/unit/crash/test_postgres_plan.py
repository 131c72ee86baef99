"""What is killed in the runs on PostgreSQL. A failure means that a campaign leaves out what it says that it does."""

import asyncio
from collections import Counter

from tests.crash.postgres import DOWN_S, KILLS, LATE_S, REQUESTS, RUNS, Victim, plan
from tests.crash.requests import Requests


def test_same_seed_gives_the_same_kills_and_another_seed_others() -> None:
    assert [plan(1, n) for n in range(9)] == [plan(1, n) for n in range(9)]
    assert [plan(1, n) for n in range(9)] != [plan(2, n) for n in range(9)]


def test_a_campaign_kills_everything_that_can_be_killed_all_along_the_sending() -> None:
    plans = [plan(20261121, number) for number in range(RUNS)]
    kills = [kill for chosen in plans for kill in chosen]
    counted = Counter(kill.victim for kill in kills)
    assert all(counted[victim] >= RUNS // 5 for victim in Victim)
    assert all(0 <= kill.late_s <= LATE_S and kill.down_s <= DOWN_S[1] for kill in kills)
    assert {len(chosen) for chosen in plans} == set(range(KILLS[0], KILLS[1] + 1))
    firsts = {chosen[0].at_request * 4 // REQUESTS for chosen in plans}
    assert firsts == {0, 1, 2, 3}
    assert all(sum(kill.at_request for kill in chosen) < REQUESTS for chosen in plans)


def test_what_waits_for_a_request_goes_on_at_that_one_and_not_before() -> None:
    async def waits() -> list[bool]:
        requests, never = Requests(), asyncio.get_running_loop().create_future()
        requests.began()
        third = asyncio.create_task(requests.further(3, or_until=never))
        seen = []
        for _ in range(3):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(third.done())
            requests.began()
        await third
        return seen

    assert asyncio.run(waits()) == [False, False, False]


def test_what_waits_for_a_request_that_never_comes_goes_on_at_the_end() -> None:
    async def waits() -> None:
        over = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(over.set_result, None)
        async with asyncio.timeout(30):
            await Requests().further(1, or_until=over)

    asyncio.run(waits())
