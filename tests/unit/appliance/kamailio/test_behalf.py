"""Calls that FreeSWITCH places for an extension whose owner it knows: that extension's rights, and its number shown."""

from dataclasses import replace

import pytest

from appliance.kamailio.actions import StepKind
from appliance.kamailio.facts import call_facts
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from tests.helpers.site_view import site

OUTSIDE = "0312345678"
FACTS = CallFacts(Origin.MEDIA, "media", OUTSIDE, "0398765432")


def ends(facts: CallFacts) -> tuple[StepKind, int]:
    last = decide(facts, site(call_control="local")).steps[0]
    return last.kind, last.code


def test_an_extension_s_call_leaves_by_the_trunk_and_nobody_s_does_not() -> None:
    assert ends(FACTS) == (StepKind.REJECT, 403)
    assert ends(replace(FACTS, behalf="201"))[0] in (StepKind.GATEWAY, StepKind.CLOUD)
    assert ends(replace(FACTS, behalf="999")) == (StepKind.REJECT, 403)


def test_the_called_side_sees_the_extension_and_not_whoever_called_the_box() -> None:
    inside = decide(replace(FACTS, dialled="202", behalf="201"), site(call_control="local")).steps[0]
    assert inside.caller is not None
    assert inside.caller.user == "201"


@pytest.mark.parametrize("origin", [Origin.PHONE, Origin.GATEWAY, Origin.UPSTREAM, Origin.STRANGER])
def test_nobody_but_freeswitch_can_name_an_extension(origin: Origin) -> None:
    found = call_facts(
        origin, "203", lambda _: OUTSIDE, lambda name: ["201"] if name == "X-Kyusai-Behalf" else []
    )
    assert found.behalf == ""
