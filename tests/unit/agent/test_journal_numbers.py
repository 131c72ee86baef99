"""Numbers of the call journal with a flipped bit among them. A failure here passes over calls, or takes some twice."""

import pytest

from agent.journal_numbers import fitting, in_a_row


@pytest.mark.parametrize(
    ("numbers", "after", "last_given", "whole"),
    [
        ([], 9, 9, True),
        ([], 9, 12, False),
        ([], 9, None, True),
        ([10, 11, 12], 9, 12, True),
        ([10, 11, 12], 9, None, True),
        ([501, 502], 0, 600, True),
        ([501, 503], 0, 600, False),
        ([11, 12], 9, 12, False),
        ([10, 8203, 12], 9, 12, False),
        ([8203], 0, 11, False),
    ],
)
def test_next_numbers_are_told_from_a_gap(
    numbers: list[int], after: int, last_given: int | None, whole: bool
) -> None:
    assert in_a_row(numbers, after, last_given) is whole


@pytest.mark.parametrize(
    ("numbers", "last_given", "out_of_place"),
    [
        pytest.param([], 0, [], id="nothing"),
        pytest.param([5, 6, 7, 8], 8, [], id="as it should be"),
        pytest.param([5, 6, 8199, 8], 8, [2], id="far ahead"),
        pytest.param([5, 6, 3, 8], 8, [2], id="behind"),
        pytest.param([5, 6, 7, 8200], 8, [3], id="the last one, far ahead"),
        pytest.param([8197, 6, 7, 8], 8, [0], id="the first one"),
        pytest.param([8197], 5, [0], id="the only one"),
        pytest.param([5, 6, 7, 8], 2, [], id="what was given last is damaged itself"),
        pytest.param([5, 6, 7, 8], None, [], id="what was given last cannot be read"),
        pytest.param([5, 6, 9, 10], 10, [], id="a gap is no damage"),
    ],
)
def test_number_that_does_not_fit_its_place_is_found(
    numbers: list[int], last_given: int | None, out_of_place: list[int]
) -> None:
    assert sorted(set(range(len(numbers))) - fitting(numbers, last_given)) == out_of_place
