"""A plan kept beside the transaction is the plan that was made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.kamailio.actions import CallerId, Outcome, Plan, Step, StepKind
from appliance.kamailio.plan_codec import decode, encode

text = st.text(max_size=8)
callers = st.builds(CallerId, user=text, display=text, privacy=st.booleans())
steps = st.builds(
    Step,
    kind=st.sampled_from(StepKind),
    target=text,
    users=st.lists(text, max_size=3).map(tuple),
    reason=text,
    after=st.frozensets(st.sampled_from(Outcome)),
    caller=st.none() | callers,
    life_ms=st.integers(0, 5000),
    ring_s=st.integers(0, 300),
    preempt=st.booleans(),
    code=st.integers(0, 699),
    follows=st.lists(st.integers(0, 9), max_size=3).map(tuple),
)
plans = st.builds(
    Plan,
    kind=text,
    number=text,
    steps=st.lists(steps, max_size=4).map(tuple),
    record=st.booleans(),
    emergency=st.booleans(),
)


@given(plans)
def test_plan_comes_back_as_it_was(plan: Plan) -> None:
    assert decode(encode(plan)) == plan


@given(plans)
def test_text_is_one_line_that_an_avp_can_hold(plan: Plan) -> None:
    line = encode(plan)
    assert line.isascii()
    assert "\n" not in line and "\0" not in line


@pytest.mark.parametrize(
    "spoilt", ["", "[]", "{}", "[[1,2,3,4],[[1]]]", '[["a","b",true,false],null]', "nonsense"]
)
def test_other_text_is_refused(spoilt: str) -> None:
    with pytest.raises(ValueError):
        decode(spoilt)
