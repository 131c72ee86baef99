"""Who may take whose call, and how the two find each other."""

from dataclasses import replace

import pytest

from appliance.kamailio.actions import Plan, Step, StepKind, advance
from appliance.kamailio.lamp_calls import Ringing
from appliance.kamailio.pickup import (
    BY_CALL,
    Order,
    address,
    asked_by_lamp,
    asked_of,
    mark_of,
    taken,
    taken_plan,
    token_of,
    waiting_step,
)
from appliance.kamailio.view import Extension, Group
from tests.helpers.site_view import SiteView, policy

GROUPS = {"201": "front", "202": "front", "203": "back", "204": "", "205": ""}
VIEW = SiteView(
    policy(),
    extensions={number: Extension(number, pickup_group=group) for number, group in GROUPS.items()},
    groups={"600": Group("600", "Sales", "all", ("202", "205"))},
)
FIRST = Ringing("a#1", "a", "f", ("202",), "202", "203")
SECOND = Ringing("b#1", "b", "f", ("203",), "203")
HUNTED = Ringing("c#1", "c", "f", ("202", "205"), "600")
ALL = (FIRST, SECOND, HUNTED)


@pytest.mark.parametrize(
    ("by", "of", "who", "found"),
    [
        ("201", "202", "group", FIRST),
        ("201", "", "group", FIRST),
        ("201", f"{BY_CALL}a", "group", FIRST),
        ("201", "203", "group", None),
        ("201", "203", "site", SECOND),
        ("201", "600", "group", HUNTED),
        ("204", "202", "group", None),
        ("204", "", "site", None),
        ("205", "", "group", HUNTED),
        ("202", "202", "group", HUNTED),
        ("203", "", "group", None),
        ("201", "202", "off", None),
        ("999", "202", "site", None),
        ("201", f"{BY_CALL}gone", "site", None),
    ],
)
def test_telephone_gets_the_oldest_call_that_it_asks_for_and_may_have(
    by: str, of: str, who: str, found: Ringing | None
) -> None:
    view = replace(VIEW, policy=replace(VIEW.policy, pickup=who))
    assert taken(Order("0" * 16, by, of), ALL, view) == found


def test_order_goes_through_a_queue() -> None:
    order = Order(token_of("c#1"), "201", "202")
    assert Order.of_text(order.text()) == order
    for text in ("", "7", "[1,2]", "{}"):
        with pytest.raises(ValueError):
            Order.of_text(text)


def test_both_meet_at_the_same_place_and_the_call_record_names_who_picked_up() -> None:
    token = token_of("picker#1")
    ringing = Plan("extension", "202", (Step(StepKind.CONTACTS, "", ("202",), "extension"),))
    plan = taken_plan(ringing, 0, mark_of(Order(token, "203")))
    assert plan is not None
    waits = waiting_step("202", "feature")
    assert (address(waits, "picker#1"), asked_of(waits)) == (f"pickup-{token}", "202")
    assert asked_of(plan.steps[1]) is None
    assert address(plan.steps[1], "ringing#1") == f"picked-{token}-202"
    assert plan.steps[1].users[-1] == "203"
    assert [advance(plan, 1, outcome) for outcome in plan.steps[1].after] == [None]


@pytest.mark.parametrize("mark", ["", "preempted", "pickup x 203", "pickup 0123456789abcdef 20a", "told"])
def test_call_that_nobody_picks_up_goes_on(mark: str) -> None:
    assert taken_plan(Plan("extension", "202", ()), 0, mark) is None


@pytest.mark.parametrize(
    ("replaces", "named"),
    [
        ("abc@host;to-tag=kyusai;from-tag=f;early-only", True),
        ("abc@host;from-tag=kyusai;to-tag=f", True),
        ("abc@host;to-tag=x;from-tag=f", False),
        ("", False),
    ],
)
def test_key_with_a_lamp_names_its_call(replaces: str, named: bool) -> None:
    plan = asked_by_lamp(replaces)
    assert (plan is not None) is named
    if plan is not None:
        assert asked_of(plan.steps[0]) == f"{BY_CALL}abc@host"
