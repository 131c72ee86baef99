"""What holds for every plan of every site, whoever calls and whatever he dials."""

import re
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from appliance.kamailio.actions import PASS_OVER, Outcome, Plan, StepKind, advance
from appliance.kamailio.call import WORTH_TRYING
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import STEPS_MAX, decide
from appliance.kamailio.view import Extension, Group
from appliance.model import CallControl, LinkState, UpstreamAuth
from tests.helpers.site_view import ALLOW, CLOUD, GATEWAY, OTHER_GATEWAY, SECOND, SiteView, site

WRITABLE = re.compile(r"[0-9A-Za-z*#+._-]{1,40}")

PEOPLE = ("201", "202", "203", "204")
KNOWN = (
    *PEOPLE,
    "600",
    "601",
    "7201",
    "009011112222",
    "00312345678",
    "0010442071234567",
    "00120444113",
    "0117",
)
EMERGENCY = ("110", "0119", "184118", "0184110", "1860119", "+81110")
HOSTILE = (
    "",
    "0",
    "999",
    "0312340201",
    "+81312340600",
    "sato",
    "a b",
    "1\r\nVia: x",
    "%00",
    "9" * 60,
    "*97",
    "0003",
)

dialled = (
    st.sampled_from((*KNOWN, *EMERGENCY, *HOSTILE))
    | st.text(max_size=40)
    | st.text("0123456789*#+", max_size=20)
)
target = st.sampled_from(("", "", *KNOWN, "110", "0"))
origins = st.sampled_from(list(Origin))


@st.composite
def sites(draw: st.DrawFn) -> SiteView:
    """A site with any link states, any forwarding, any mode, gateways or none."""
    people = [
        Extension(
            number,
            public_number=draw(st.sampled_from(("", f"+81312340{number}"))),
            allow=draw(st.sampled_from(((), ALLOW, (*ALLOW, "international", "special")))),
            forward_always=draw(target),
            forward_busy=draw(target),
            forward_no_answer=draw(target),
            do_not_disturb=draw(st.booleans()),
        )
        for number in PEOPLE
    ]
    groups = [
        Group(
            number,
            "",
            draw(st.sampled_from(("all", "turn"))),
            draw(st.sampled_from((PEOPLE, ()))),
            20,
            draw(target),
        )
        for number in ("600", "601")
    ]
    states = st.sampled_from(list(LinkState))
    return site(
        *people,
        *groups,
        link=draw(states),
        links={"second": draw(states)},
        gateway_calls={"gw1": draw(st.integers(0, 3))},
        all_calls=draw(st.integers(0, 3)),
        call_control=draw(st.sampled_from(CallControl)),
        upstream_auth=draw(st.sampled_from(UpstreamAuth)),
        upstreams=draw(st.sampled_from(((), (CLOUD,), (CLOUD, SECOND), (SECOND, CLOUD)))),
        gateways=draw(st.sampled_from(((), (GATEWAY,), (GATEWAY, OTHER_GATEWAY), (OTHER_GATEWAY,)))),
        offline_international=draw(st.booleans()),
        offline_outside_calls_max=draw(st.integers(0, 2)),
        outside_prefix=draw(st.sampled_from(("", "0", "9"))),
    )


@st.composite
def calls(draw: st.DrawFn) -> CallFacts:
    """A call by anybody to anything."""
    origin = draw(origins)
    ids = {Origin.PHONE: (*PEOPLE, "299"), Origin.UPSTREAM: ("cloud", "second"), Origin.GATEWAY: ("gw1",)}
    return CallFacts(
        origin,
        draw(st.sampled_from(ids.get(origin, ("",)))),
        draw(dialled),
        draw(st.sampled_from(("201", "+819011112222", "", "anonymous")) | st.text(max_size=20)),
        draw(st.booleans()),
        draw(st.sampled_from(((), ("202",), ("203", "600"), tuple("abcdef")))),
    )


def reachable(plan: Plan, index: int) -> Iterator[int]:
    """Indices that some course of outcomes leads to from `index`."""
    for outcome in Outcome:
        later = advance(plan, index, outcome)
        if later is not None:
            yield later
            yield from reachable(plan, later)


@given(calls(), sites())
def test_every_plan_ends_in_a_refusal_whatever_fails(facts: CallFacts, view: SiteView) -> None:
    plan = decide(facts, view)
    assert 1 <= len(plan.steps) <= STEPS_MAX
    assert plan == decide(facts, view)
    for index, step in enumerate(plan.steps):
        assert (step.kind is StepKind.REJECT) == bool(step.code)
        assert bool(step.after) == bool(index)
        assert all(earlier < index for earlier in step.follows)
        if step.kind is not StepKind.REJECT:
            assert all(advance(plan, index, outcome) is not None for outcome in PASS_OVER)
    assert plan.steps[-1].code in {403, 404, 480, 482, 484, 503}


@given(calls(), sites())
def test_every_step_names_somebody_that_a_request_can_carry(facts: CallFacts, view: SiteView) -> None:
    for step in decide(facts, view).steps:
        assert step.reason
        assert all(map(WRITABLE.fullmatch, step.users))
        assert bool(step.users) == (step.kind is not StepKind.REJECT)


@given(st.sampled_from(EMERGENCY), st.sampled_from((*PEOPLE, "299")), sites())
def test_emergency_number_takes_an_emergency_gateway_first(number: str, caller: str, view: SiteView) -> None:
    view.policy = replace(view.policy, gateways=(OTHER_GATEWAY, GATEWAY), outside_prefix="0")
    plan = decide(CallFacts(Origin.PHONE, caller, number, caller, True), view)
    assert plan.emergency
    first = plan.steps[0]
    assert (first.kind, first.target, first.preempt) == (StepKind.GATEWAY, "gw1", True)
    assert first.users in {("110",), ("118",), ("119",)}
    assert first.caller is not None and (first.caller.user, first.caller.privacy) == ("0312340000", False)


@given(calls(), sites())
def test_stranger_and_gateway_never_reach_a_gateway_and_cloud_never_the_cloud(
    facts: CallFacts, view: SiteView
) -> None:
    kinds = {step.kind for step in decide(facts, view).steps}
    if facts.origin in (Origin.STRANGER, Origin.GATEWAY):
        assert StepKind.GATEWAY not in kinds
    if facts.origin is Origin.STRANGER:
        assert kinds == {StepKind.REJECT}
    if facts.origin is Origin.UPSTREAM:
        assert StepKind.CLOUD not in kinds


@given(calls(), sites())
def test_upstream_that_looks_down_comes_after_everything_local(facts: CallFacts, view: SiteView) -> None:
    plan = decide(facts, view)
    for index, step in enumerate(plan.steps):
        if step.kind is StepKind.CLOUD and view.link(step.target) not in WORTH_TRYING:
            local = {plan.steps[later].kind for later in reachable(plan, index)}
            assert not local & {StepKind.CONTACTS, StepKind.GATEWAY}


@given(st.text("0123456789+*#", min_size=1, max_size=20), sites())
def test_extension_without_any_class_pays_for_nothing_it_dials(number: str, view: SiteView) -> None:
    lobby = Extension("204")
    view.extensions = {"204": lobby}
    view.groups, view.remotes = {}, {}
    plan = decide(CallFacts(Origin.PHONE, "204", number, "204"), view)
    assert plan.emergency or not any(step.kind is StepKind.GATEWAY for step in plan.steps)
