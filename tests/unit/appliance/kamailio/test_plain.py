"""Which calls Kamailio may carry by itself: nobody's recording, emergency or forwarding gets lost that way."""

from dataclasses import replace

import pytest

from appliance.kamailio.actions import Plan
from appliance.kamailio.plain import is_plain
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from appliance.model import CallControl
from tests.helpers.site_view import from_cloud, from_gateway, from_phone, site

LOCAL = site(call_control=CallControl.LOCAL)


@pytest.mark.parametrize(
    ("facts", "plain"),
    [
        (from_phone("202", "203"), True),
        (from_phone("202", "203", anonymous=True), True),
        (from_phone("203", "203"), False),
        (from_phone("201", "203"), False),
        (from_phone("600", "203"), False),
        (from_phone("601", "203"), True),
        (from_phone("110", "203"), False),
        (from_phone("00312345678", "203"), False),
        (from_phone("999", "203"), False),
        (from_cloud("202"), False),
        (from_gateway("+81312340202"), False),
    ],
    ids=[
        "a telephone",
        "a telephone, withheld",
        "itself",
        "a recorded telephone",
        "a group rung together",
        "the first of a group in turn",
        "emergency",
        "outside",
        "nobody",
        "from the cloud",
        "from a gateway",
    ],
)
def test_only_a_call_from_telephone_to_telephone_is_plain(facts: CallFacts, plain: bool) -> None:
    assert is_plain(facts, decide(facts, LOCAL)) is plain


def test_call_that_the_cloud_is_asked_about_first_is_not_plain() -> None:
    facts = from_phone("202", "203")
    assert not is_plain(facts, decide(facts, site(call_control=CallControl.CLOUD)))


@pytest.mark.parametrize("change", [{"record": True}, {"emergency": True}])
def test_plan_that_is_recorded_or_urgent_is_not_plain(change: dict[str, bool]) -> None:
    facts = from_phone("202", "203")
    plan: Plan = replace(decide(facts, LOCAL), **change)
    assert not is_plain(facts, plan)


@pytest.mark.parametrize("origin", [origin for origin in Origin if origin is not Origin.PHONE])
def test_plan_is_plain_for_telephones_alone(origin: Origin) -> None:
    facts = from_phone("202", "203")
    assert not is_plain(replace(facts, origin=origin), decide(facts, LOCAL))
