"""What the benchmarks say of their measurements is what they measured."""

import pytest

from tests.bench.figures import delays, quantile, spread, table


def test_spread_of_rounds_names_median_least_most_and_count() -> None:
    assert spread([3.0, 1.0, 2.0004]) == {"median": 2.0, "min": 1.0, "max": 3.0, "rounds": 3}


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.05, 1), (0.5, 10), (0.51, 11), (0.95, 19), (0.951, 20), (1.0, 20)]
)
def test_quantile_is_a_measured_value_that_enough_others_do_not_exceed(share: float, expected: int) -> None:
    assert quantile(list(range(20, 0, -1)), share) == expected


def test_quantile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        quantile([], 0.5)


def test_delays_keep_the_worst() -> None:
    assert delays([1.0] * 99 + [850.4]) == {"p50": 1, "p95": 1, "max": 850}
    assert delays([]) == {"p50": None, "p95": None, "max": None}


def test_table_columns_are_as_wide_as_their_widest_text() -> None:
    assert table(["kind", "ms"], [["drop", 612], ["reject", 5]]).split("\n") == [
        "kind     ms",
        "-----------",
        "drop    612",
        "reject    5",
    ]
