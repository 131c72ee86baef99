"""A remembered plan is the one that would be made now; whatever it rests on changes it."""

from dataclasses import replace

import pytest

from appliance.kamailio.actions import StepKind
from appliance.kamailio.memory import Memory
from appliance.kamailio.request import CallFacts
from appliance.kamailio.routing import decide
from appliance.model import CallControl, LinkState
from tests.helpers.site_view import SiteView, extension, from_cloud, from_gateway, from_phone, site

OUTSIDE = from_phone("0312345678", "202")


def test_same_call_gets_the_same_plan_without_deciding_again() -> None:
    memory, view = Memory(), site()
    first = memory.decide(from_phone("202"), view)
    assert memory.decide(from_phone("202"), view) is first
    assert first == decide(from_phone("202"), view)


@pytest.mark.parametrize(
    "facts", [from_phone("202"), from_phone("202", "203"), from_phone("202", anonymous=True), OUTSIDE]
)
def test_calls_that_differ_in_any_fact_have_plans_of_their_own(facts: CallFacts) -> None:
    memory, view = Memory(), site()
    for other in (from_phone("202"), from_cloud("202"), from_gateway("+81312340202"), OUTSIDE):
        memory.decide(other, view)
    assert memory.decide(facts, view) == decide(facts, view)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (site(link=LinkState.UP), site(link=LinkState.DOWN)),
        (site(all_calls=0), site(all_calls=99)),
        (site(extension_calls={"202": 0}), site(extension_calls={"202": 4})),
        (site(gateway_calls={"gw1": 0}), site(gateway_calls={"gw1": 2})),
    ],
    ids=["link", "calls of the site", "calls of the extension", "calls on the gateway"],
)
@pytest.mark.parametrize("control", list(CallControl))
def test_plan_is_made_anew_when_the_moment_has_changed(
    before: SiteView, after: SiteView, control: CallControl
) -> None:
    policy = replace(before.policy, call_control=control, offline_outside_calls_max=9)
    before, after = replace(before, policy=policy), replace(after, policy=policy)
    memory = Memory()
    for view in (before, after, before):
        assert memory.decide(OUTSIDE, view) == decide(OUTSIDE, view)


def test_slower_line_is_given_its_time_in_a_plan_that_was_made_before() -> None:
    memory, view = Memory(), site()
    before = memory.decide(from_phone("202"), view)
    view.lives = {"cloud": 1_200}
    after = memory.decide(from_phone("202"), view)
    assert (before.steps[0].life_ms, after.steps[0].life_ms) == (600, 1_200)


def test_new_version_of_the_site_forgets_every_plan() -> None:
    memory = Memory()
    memory.decide(from_phone("202"), site(call_control=CallControl.LOCAL))
    changed = site(extension("202", do_not_disturb=True), call_control=CallControl.LOCAL)
    assert memory.decide(from_phone("202"), changed) == decide(from_phone("202"), changed)
    assert memory.decide(from_phone("202"), changed).steps[0].kind is StepKind.REJECT
