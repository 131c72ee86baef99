"""A branch's case means the same to the simulator and to FreeSWITCH."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.freeswitch.flow import Case, Saying
from appliance.freeswitch.flow_cases import expression, holds, said

VALUES = st.text("0123456789+*.ab\n%$", max_size=6) | st.integers(0, 20_000).map(str)


@given(
    st.builds(
        Case,
        matches=st.sampled_from(["", "0[0-9]+", "a|b.*"]),
        then=st.just("x"),
        values=st.lists(st.sampled_from(["201", "+81", "a.b", "*1"]), max_size=2).map(tuple),
        prefixes=st.lists(st.sampled_from(["03", "+", "1.", "20"]), max_size=2).map(tuple),
        at_least=st.none() | st.integers(0, 9_999),
    ).filter(lambda case: bool(case.asks)),
    VALUES,
)
def test_both_agree(case: Case, value: str) -> None:
    if "\n" in value:  # "." of a prefix does not pass it; no value of a call holds one
        assert not re.search(expression(case), value)
    else:
        assert bool(re.search(expression(case), value)) == holds(case, value)


@pytest.mark.parametrize(
    ("saying", "value", "expected"),
    [
        ("number", "007", "7"),
        ("number", "0", "0"),
        ("number", "1*2", ""),
        ("number", "1" * 13, ""),
        ("digits", "1*2#", "1*2#"),
        ("amount", "1980", "1980"),
        ("date", "20260503", "2026-05-03"),
        ("date", "2026-05-03", "2026-05-03"),
        ("date", "5-3", ""),
        ("time", "0905", "09:05"),
        ("time", "9:05", ""),
        ("telephone", "+81312345678", "+81312345678"),
        ("digits", "12\n", ""),
    ],
)
def test_what_can_be_said_is_said_as_the_phrases_want_it(saying: str, value: str, expected: str) -> None:
    assert said(Saying(saying), value) == expected


@pytest.mark.parametrize("value", ["110\n", "\n110", "110\n\n"])
def test_a_line_feed_behind_a_number_is_not_that_number(value: str) -> None:
    assert not re.search(expression(Case("", "x", values=("110",))), value)
