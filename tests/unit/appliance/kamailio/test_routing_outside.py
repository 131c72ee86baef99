"""Calls with the outside: which gateway, who may, emergency calls. A wrong plan costs somebody money, or help."""

from dataclasses import replace

import pytest

from appliance.kamailio.request import CallFacts
from appliance.kamailio.routing import decide
from appliance.model import LinkState
from tests.helpers.routing_plans import ABROAD, DOWN, LOCAL, MOBILE, SITE_CALLER, gateway, outline
from tests.helpers.site_view import (
    ALLOW,
    CLOUD,
    GATEWAY,
    OTHER_GATEWAY,
    SECOND,
    SiteView,
    extension,
    from_phone,
    site,
)

NO_INTERNATIONAL = site(extension("201", allow=(*ALLOW, "international")), link=DOWN)

OUTSIDE = [
    pytest.param(
        from_phone(MOBILE),
        site(call_control=LOCAL),
        [
            "gateway gw1 09011112222 gateway",
            "cloud cloud 009011112222 cloud_trunk",
            "503 no_gateway",
        ],
        id="the box in control: gateway, then the cloud as a trunk",
    ),
    pytest.param(
        from_phone(MOBILE),
        site(call_control=LOCAL, gateways=(replace(GATEWAY, kinds=("emergency", "local")),)),
        ["cloud cloud 009011112222 cloud_trunk", "503 no_gateway"],
        id="the box in control, no gateway carries mobile numbers",
    ),
    pytest.param(
        from_phone("7201"),
        site(call_control=LOCAL),
        ["cloud cloud 7201 cloud_trunk", "gateway gw1 0664001201 public_number", "503 no_gateway"],
        id="the box in control: another site by the trunk, then as a public number",
    ),
    pytest.param(
        from_phone("7201"),
        site(call_control=LOCAL, link=DOWN),
        ["gateway gw1 0664001201 public_number", "cloud cloud 7201 cloud_last_resort", "503 no_gateway"],
        id="the box in control, trunk down: another site as a public number",
    ),
    pytest.param(
        from_phone("7201", "204"),
        site(link=DOWN, upstreams=()),
        ["gateway gw1 0664001201 public_number", "503 no_gateway"],
        id="another site needs no class of service",
    ),
    pytest.param(
        from_phone(MOBILE),
        site(link=DOWN, gateways=()),
        ["cloud cloud 009011112222 cloud_last_resort", "503 no_gateway"],
        id="no gateway at all: a cloud that looks down is better than nothing",
    ),
    pytest.param(
        from_phone(MOBILE),
        site(gateways=(GATEWAY, OTHER_GATEWAY), gateway_calls={"gw1": 2}, upstreams=()),
        ["gateway gw2 +819011112222 gateway", "gateway gw1 09011112222 gateway", "503 no_gateway"],
        id="a full gateway comes after one that is not",
    ),
    pytest.param(
        from_phone(MOBILE, "204"), site(link=DOWN), ["403 class_of_service"], id="class of service, link down"
    ),
    pytest.param(
        from_phone(MOBILE, "204"),
        site(),
        ["cloud cloud 009011112222 cloud_control", "403 class_of_service"],
        id="class of service: the cloud has its own say",
    ),
    pytest.param(
        from_phone(MOBILE, "204"),
        site(call_control=LOCAL),
        ["403 class_of_service"],
        id="class of service, the box in control",
    ),
    pytest.param(
        from_phone(MOBILE, "299"), site(link=DOWN), ["403 class_of_service"], id="extension that is gone"
    ),
    pytest.param(from_phone(ABROAD), NO_INTERNATIONAL, ["403 offline_international"], id="abroad, offline"),
    pytest.param(
        from_phone(ABROAD),
        site(extension("201", allow=("international",))),
        ["cloud cloud 0010442071234567 cloud_control", "403 offline_international"],
        id="abroad, the cloud fails within the call",
    ),
    pytest.param(
        from_phone(ABROAD),
        site(extension("201", allow=("international",)), link=DOWN, offline_international=True),
        [
            "gateway gw1 010442071234567 gateway",
            "cloud cloud 0010442071234567 cloud_last_resort",
            "503 no_gateway",
        ],
        id="abroad, offline, allowed",
    ),
    pytest.param(
        from_phone(ABROAD),
        site(extension("201", allow=("international",)), call_control=LOCAL),
        [
            "gateway gw1 010442071234567 gateway",
            "cloud cloud 0010442071234567 cloud_trunk",
            "503 no_gateway",
        ],
        id="abroad, the box in control, not offline",
    ),
    pytest.param(
        from_phone(ABROAD),
        site(extension("201", allow=("international",)), call_control=LOCAL, link=DOWN),
        ["403 offline_international"],
        id="abroad, the box in control, offline",
    ),
    pytest.param(
        from_phone(MOBILE),
        site(link=DOWN, offline_outside_calls_max=3, all_calls=3),
        ["403 offline_calls_limit"],
        id="the site's calls at once",
    ),
    pytest.param(
        from_phone(MOBILE),
        site(link=DOWN, extension_calls={"201": 4}),
        ["403 extension_calls_limit"],
        id="the extension's calls at once",
    ),
]


@pytest.mark.parametrize(("facts", "view", "expected"), OUTSIDE)
def test_outside_call_goes_or_is_refused(facts: CallFacts, view: SiteView, expected: list[str]) -> None:
    assert outline(decide(facts, view)) == expected


EMERGENCY = [
    pytest.param(site(), id="link up"),
    pytest.param(site(call_control=LOCAL), id="the box in control"),
    pytest.param(site(link=DOWN, offline_outside_calls_max=1, all_calls=9), id="limits reached"),
    pytest.param(site(gateway_calls={"gw1": 2}), id="gateway full"),
]


@pytest.mark.parametrize("view", EMERGENCY)
@pytest.mark.parametrize("caller", ["201", "204", "299"])
def test_emergency_call_takes_the_emergency_gateway_first(view: SiteView, caller: str) -> None:
    plan = decide(from_phone("110", caller, anonymous=True), view)
    assert plan.steps[0] == gateway("110", "emergency", SITE_CALLER, preempt=True)
    assert plan.emergency


def test_emergency_call_without_any_gateway_takes_the_clouds_and_is_reported() -> None:
    links = {"second": LinkState.UP}
    plan = decide(from_phone("119"), site(gateways=(), upstreams=(CLOUD, SECOND), link=DOWN, links=links))
    assert outline(plan) == [
        "cloud second 119 emergency_cloud",
        "cloud cloud 119 emergency_cloud",
        "503 no_emergency_route",
    ]
    assert plan.emergency


def test_emergency_call_without_any_way_is_refused_and_reported() -> None:
    plan = decide(from_phone("119"), site(gateways=(), upstreams=()))
    assert (outline(plan), plan.emergency) == (["503 no_emergency_route"], True)
