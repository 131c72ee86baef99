"""The pace at which registrations are renewed upstream: what a returning cloud would feel is a storm."""

from hypothesis import given
from hypothesis import strategies as st

from agent.recovery import RENEWALS_PER_S, START_SPREAD_S, Pace


def test_renewals_are_spread_over_their_number() -> None:
    pace = Pace(total=200, began_s=0.0)
    given_out = [pace.due(second / 10) for second in range(200)]
    assert sum(given_out) == 200
    assert max(given_out) <= 3
    assert pace.done
    assert pace.span_s == 199 / RENEWALS_PER_S


def test_boxes_begin_at_different_moments() -> None:
    early, late = Pace(10, 0.0, jitter=0.0), Pace(10, 0.0, jitter=1.0)
    assert early.due(0.1) == 3
    assert late.due(START_SPREAD_S - 0.1) == 0
    assert late.due(START_SPREAD_S) == 1


def test_nothing_to_renew_is_done_at_once() -> None:
    pace = Pace(0, 0.0)
    assert pace.done
    assert pace.due(100.0) == 0


@given(
    st.integers(0, 2000),
    st.floats(0, 1),
    st.lists(st.floats(0.001, 5.0), min_size=1, max_size=60),
)
def test_no_second_ever_gets_more_than_the_rate(total: int, jitter: float, waits: list[float]) -> None:
    pace, now_s, handed = Pace(total, 0.0, jitter), 0.0, 0
    for wait_s in waits:
        now_s += wait_s
        handed += pace.due(now_s)
        assert handed <= min(total, 1 + now_s * RENEWALS_PER_S)
    assert pace.due(now_s + total / RENEWALS_PER_S + START_SPREAD_S + 1) == total - handed
