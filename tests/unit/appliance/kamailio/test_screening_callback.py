"""Whose calls are screened, and when an extension that waits for a busy one is rung."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from appliance.kamailio import callback
from appliance.kamailio.actions import Plan, StepKind
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from tests.helpers.site_view import SiteView, site

OUTSIDE = CallFacts(Origin.GATEWAY, "gw1", "+81312340201", "0398765432")


def screened(wanted: str, facts: CallFacts) -> bool:
    called = site().extension("201")
    assert called is not None
    step = decide(facts, site(replace(called, screening=wanted), call_control="local")).steps[0]
    return (step.kind, step.target) == (StepKind.MEDIA, "screening")


@pytest.mark.parametrize(
    ("wanted", "named", "nameless"),
    [("off", False, False), ("unknown", False, True), ("outside", True, True)],
)
def test_who_is_asked_for_his_name(wanted: str, named: bool, nameless: bool) -> None:
    assert screened(wanted, OUTSIDE) is named
    assert screened(wanted, replace(OUTSIDE, caller="anonymous", anonymous=True)) is nameless
    assert not screened(wanted, CallFacts(Origin.PHONE, "202", "201", "202"))
    assert not screened(wanted, CallFacts(Origin.MEDIA, "media", "201", "0398765432", bare=True))


def asked(wishes: Mapping[tuple[str, str], str], talking: frozenset[str] = frozenset()) -> Plan:
    view: SiteView = replace(site(call_control="local"), wishes=wishes, talking=talking)
    return decide(CallFacts(Origin.MEDIA, "media", callback.user_of("201", "202"), "202", bare=True), view)


WISH = {(callback.PENDING, "201"): "202"}


def test_the_caller_s_own_telephone_rings_once_both_are_free() -> None:
    assert asked(WISH).steps[0].users == ("201",)
    for busy in ("201", "202"):
        assert asked(WISH, frozenset({busy})).steps[0].code == 486


@pytest.mark.parametrize("wish", ["", "-202", "203"], ids=["forgotten", "cancelled", "another"])
def test_nobody_rings_for_a_wish_that_is_gone(wish: str) -> None:
    assert asked({(callback.PENDING, "201"): wish}).steps[0].code == 404


def test_a_cancelled_wish_that_is_renewed_is_asked_for_by_what_asks_already() -> None:
    assert callback.argument("201", "202", "") == "201-202"
    assert callback.argument("201", "202", "-202") == callback.AGAIN
    assert callback.argument("201", "203", "-202") == "201-203"
    assert callback.argument("201", "", "") == ""
    assert callback.noted(callback.CANCEL, "202", "202") == "-202"
    assert callback.noted(callback.CANCEL, "202", "-202") == "-202"
    assert callback.noted(callback.CANCEL, "202", "") == ""
