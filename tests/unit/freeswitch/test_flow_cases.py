"""A branch's case means the same to the simulator and to FreeSWITCH."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.freeswitch.flow import Case
from appliance.freeswitch.flow_cases import expression, holds

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


@pytest.mark.parametrize("value", ["110\n", "\n110", "110\n\n"])
def test_a_line_feed_behind_a_number_is_not_that_number(value: str) -> None:
    assert not re.search(expression(Case("", "x", values=("110",))), value)
