"""What anybody can bring about happens a few times at once and then at a steady rate."""

from appliance.kamailio.allowance import Allowance


def test_burst_is_allowed_and_then_so_many_a_minute() -> None:
    allowance = Allowance(burst=3, per_minute=6)
    assert [allowance.take(1_000) for _ in range(5)] == [True, True, True, False, False]
    assert [allowance.take(1_000 + 10_000 * n) for n in (1, 1, 2)] == [True, False, True]


def test_a_flood_for_an_hour_gets_the_burst_and_the_rate() -> None:
    allowance = Allowance(burst=100, per_minute=20)
    taken = sum(allowance.take(now_ms) for now_ms in range(0, 3_600_000, 10))
    assert taken == 100 + 60 * 20 - 1


def test_long_rest_gives_no_more_than_the_burst() -> None:
    allowance = Allowance(burst=2, per_minute=60)
    allowance.take(0)
    assert [allowance.take(10**9) for _ in range(3)] == [True, True, False]
