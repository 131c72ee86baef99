"""What is killed in the runs on PostgreSQL. A failure means that a campaign leaves out what it says that it does."""

from collections import Counter

from tests.crash.postgres import DOWN_S, FIRST_S, KILLS, RUNS, Victim, plan


def test_same_seed_gives_the_same_kills_and_another_seed_others() -> None:
    assert [plan(1, n) for n in range(9)] == [plan(1, n) for n in range(9)]
    assert [plan(1, n) for n in range(9)] != [plan(2, n) for n in range(9)]


def test_a_campaign_kills_everything_that_can_be_killed_at_every_time() -> None:
    kills = [kill for number in range(RUNS) for kill in plan(20261121, number)]
    counted = Counter(kill.victim for kill in kills)
    assert all(counted[victim] >= RUNS // 5 for victim in Victim)
    assert all(FIRST_S[0] <= kill.after_s <= FIRST_S[1] and kill.down_s <= DOWN_S[1] for kill in kills)
    assert {len(plan(20261121, number)) for number in range(RUNS)} == set(range(KILLS[0], KILLS[1] + 1))
