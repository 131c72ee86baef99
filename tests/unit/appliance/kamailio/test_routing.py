"""Plans of whole calls. A wrong plan leaves a caller without a connection, or lets somebody else pay for one."""

from dataclasses import replace

import pytest

from appliance.kamailio.actions import PASS_OVER, CallerId, Outcome, Plan, StepKind
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.route import EVERY, UNANSWERED, UNREACHABLE
from appliance.kamailio.routing import decide
from appliance.model import LinkState
from tests.helpers.routing_plans import (
    DOWN,
    LOCAL,
    MOBILE,
    SITE_CALLER,
    cloud,
    contacts,
    gateway,
    outline,
    reject,
)
from tests.helpers.site_view import (
    CLOUD,
    GATEWAY,
    OTHER_GATEWAY,
    SECOND,
    SiteView,
    extension,
    from_cloud,
    from_gateway,
    from_phone,
    from_stranger,
    group,
    site,
)

WHOLE_PLANS = [
    pytest.param(
        from_phone("202"),
        site(),
        Plan(
            "extension",
            "202",
            (
                cloud("202"),
                contacts("202", after=UNREACHABLE, follows=(0,)),
                reject(480, "nobody_available", (0, 1)),
            ),
            record=True,
        ),
        id="extension, cloud in control, link up",
    ),
    pytest.param(
        from_phone("202"),
        site(link=DOWN),
        Plan(
            "extension",
            "202",
            (
                contacts("202"),
                cloud("202", "cloud_last_resort", after=UNREACHABLE, follows=(0,)),
                reject(480, "nobody_available", (0, 1)),
            ),
            record=True,
        ),
        id="extension, link down",
    ),
    pytest.param(
        from_phone("202"),
        site(call_control=LOCAL),
        Plan("extension", "202", (contacts("202"), reject(480, "nobody_available", (0,))), record=True),
        id="extension, the box in control",
    ),
    pytest.param(
        from_phone("600", "203"),
        site(link=DOWN, upstreams=()),
        Plan(
            "group",
            "600",
            (
                contacts("201", "202", reason="group_all", caller=CallerId("203", "Takahashi")),
                reject(480, "nobody_available", (0,), EVERY),
            ),
            record=True,
        ),
        id="group rung together; a member records",
    ),
    pytest.param(
        from_phone("601", "204"),
        site(group("601", overflow="201"), upstreams=()),
        Plan(
            "group",
            "601",
            (
                contacts("202", reason="group_turn", ring_s=15, caller=CallerId("204", "Lobby")),
                contacts(
                    "203",
                    reason="group_turn",
                    ring_s=15,
                    caller=CallerId("204", "Lobby"),
                    after=EVERY,
                    follows=(0,),
                ),
                contacts(
                    "201",
                    reason="overflow.extension",
                    caller=CallerId("204", "Lobby"),
                    after=EVERY,
                    follows=(0, 1),
                ),
                reject(480, "nobody_available", (0, 1, 2), EVERY),
            ),
            record=True,
        ),
        id="group rung in turn, then its overflow",
    ),
    pytest.param(
        from_phone("202", "203"),
        site(
            extension("202", forward_busy="203", forward_no_answer=MOBILE, no_answer_s=12),
            upstreams=(),
        ),
        Plan(
            "extension",
            "202",
            (
                contacts("202", ring_s=12, caller=CallerId("203", "Takahashi")),
                contacts(
                    "203",
                    reason="forward_busy.extension",
                    caller=CallerId("203", "Takahashi"),
                    after=frozenset({Outcome.BUSY}),
                    follows=(0,),
                ),
                reject(480, "nobody_available", (1,)),
                gateway(
                    "09011112222",
                    "forward_no_answer.gateway",
                    CallerId("0312340202", "Suzuki"),
                    after=UNANSWERED,
                    follows=(0,),
                ),
                reject(503, "no_gateway", (3,)),
                reject(480, "nobody_available", (0,)),
            ),
        ),
        id="forwarding when busy and when nobody answers are branches of their own",
    ),
    pytest.param(
        from_phone(f"0184{MOBILE[1:]}"),
        site(gateways=(GATEWAY, OTHER_GATEWAY), emergency_gateways=("gw1", "gw2")),
        Plan(
            "mobile",
            "+819011112222",
            (
                cloud("018409011112222", caller=CallerId("201", "Sato", privacy=True)),
                gateway(
                    "09011112222", caller=CallerId("0312340201", "Sato", True), after=PASS_OVER, follows=(0,)
                ),
                replace(
                    gateway("+819011112222", caller=CallerId("+81312340201", "Sato", True)),
                    target="gw2",
                    after=PASS_OVER,
                    follows=(1,),
                ),
                reject(503, "no_gateway", (0, 1, 2)),
            ),
            record=True,
        ),
        id="outside number, number withheld, each peer in its own format",
    ),
    pytest.param(
        from_phone("7201"),
        site(link=DOWN),
        Plan(
            "remote_extension",
            "7201",
            (
                gateway("0664001201", "public_number"),
                cloud("7201", "cloud_last_resort", after=UNREACHABLE, follows=(0,)),
                reject(503, "no_gateway", (0, 1)),
            ),
            record=True,
        ),
        id="another site's extension goes out as its public number",
    ),
    pytest.param(
        from_phone("0184110"),
        site(link=DOWN, gateways=(OTHER_GATEWAY, GATEWAY)),
        Plan(
            "emergency",
            "110",
            (
                gateway("110", "emergency", SITE_CALLER, preempt=True),
                replace(
                    gateway("110", "emergency_other_gateway", CallerId("+81312340000"), preempt=True),
                    target="gw2",
                    after=EVERY,
                    follows=(0,),
                ),
                cloud("110", "emergency_cloud", SITE_CALLER, after=EVERY, follows=(0, 1)),
                reject(503, "no_emergency_route", (0, 1, 2), EVERY),
            ),
            record=True,
            emergency=True,
        ),
        id="emergency call, never withheld",
    ),
    pytest.param(
        from_gateway("0312340202"),
        site(),
        Plan(
            "extension",
            "202",
            (
                cloud("202", caller=CallerId("09011112222")),
                contacts("202", caller=CallerId("09011112222"), after=UNREACHABLE, follows=(0,)),
                reject(480, "nobody_available", (0, 1)),
            ),
        ),
        id="call from the gateway: the cloud first, then the telephone",
    ),
    pytest.param(
        from_cloud("202", "7201"),
        site(),
        Plan(
            "extension",
            "202",
            (
                contacts("202", reason="from_cloud", caller=CallerId("7201")),
                reject(480, "nobody_available", (0,)),
            ),
        ),
        id="call from the cloud rings the telephone and nothing else",
    ),
    pytest.param(
        from_stranger("09011112222"),
        site(),
        Plan("unknown", "09011112222", (reject(403, "stranger"),)),
        id="stranger",
    ),
]


@pytest.mark.parametrize(("facts", "view", "expected"), WHOLE_PLANS)
def test_call_gets_its_whole_plan(facts: CallFacts, view: SiteView, expected: Plan) -> None:
    assert decide(facts, view) == expected


@pytest.mark.parametrize(
    ("state", "first", "last"),
    [
        (LinkState.UP, "cloud cloud 202 cloud_control", "contacts 202 extension"),
        (LinkState.SUSPECT, "cloud cloud 202 cloud_control", "contacts 202 extension"),
        (LinkState.UNKNOWN, "cloud cloud 202 cloud_control", "contacts 202 extension"),
        (LinkState.DOWN, "contacts 202 extension", "cloud cloud 202 cloud_last_resort"),
        (LinkState.RECOVERING, "contacts 202 extension", "cloud cloud 202 cloud_last_resort"),
    ],
)
def test_link_state_decides_who_is_tried_first(state: LinkState, first: str, last: str) -> None:
    assert outline(decide(from_phone("202"), site(link=state))) == [first, last, "480 nobody_available"]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        pytest.param(
            site(upstreams=(CLOUD, SECOND), links={"second": LinkState.UP}),
            [
                "cloud cloud 202 cloud_control",
                "cloud second +81312340202 cloud_control",
                "contacts 202 extension",
                "480 nobody_available",
            ],
            id="both up",
        ),
        pytest.param(
            site(link=DOWN, upstreams=(CLOUD, SECOND), links={"second": LinkState.UP}),
            [
                "cloud second +81312340202 cloud_control",
                "contacts 202 extension",
                "cloud cloud 202 cloud_last_resort",
                "480 nobody_available",
            ],
            id="first down",
        ),
    ],
)
def test_several_upstreams_are_tried_in_order(view: SiteView, expected: list[str]) -> None:
    assert outline(decide(from_phone("202"), view)) == expected


FROM_PEERS = [
    pytest.param(
        from_cloud("+81312340600"),
        site(),
        ["contacts 201,202 group_all", "480 nobody_available"],
        id="cloud to group",
    ),
    pytest.param(from_cloud("7201"), site(), ["404 not_of_this_site"], id="cloud to another site"),
    pytest.param(from_cloud("09011112222"), site(), ["403 no_relay"], id="cloud to the outside"),
    pytest.param(from_cloud("999"), site(), ["404 not_of_this_site"], id="cloud to nobody"),
    pytest.param(
        from_cloud("202"),
        site(extension("202", forward_always="203", do_not_disturb=True)),
        ["contacts 202 from_cloud", "480 nobody_available"],
        id="the cloud in control has dealt with forwarding",
    ),
    pytest.param(
        from_cloud("202"),
        site(extension("202", forward_always=MOBILE), call_control=LOCAL),
        ["gateway gw1 09011112222 forward_always.gateway", "contacts 202 extension", "480 nobody_available"],
        id="the box in control forwards, never back to the cloud",
    ),
    pytest.param(
        from_cloud("110"),
        site(),
        ["gateway gw1 110 emergency", "503 no_emergency_route"],
        id="emergency call by way of the cloud does not go back there",
    ),
    pytest.param(
        from_gateway("+81312340201"),
        site(link=DOWN),
        ["contacts 201 extension", "cloud cloud 201 cloud_last_resort", "480 nobody_available"],
        id="gateway to extension, link down",
    ),
    pytest.param(
        from_gateway("0312340600"),
        site(call_control=LOCAL),
        ["contacts 201,202 group_all", "480 nobody_available"],
        id="gateway to group, the box in control",
    ),
    pytest.param(from_gateway("09011112222"), site(), ["404 not_of_this_site"], id="gateway to the outside"),
    pytest.param(
        from_gateway("7201"), site(link=DOWN), ["404 not_of_this_site"], id="gateway to another site"
    ),
    pytest.param(from_gateway("110"), site(), ["404 not_of_this_site"], id="gateway to an emergency number"),
    pytest.param(
        from_gateway("0312340000"),
        site(),
        ["cloud cloud 0312340000 cloud_control", "404 not_of_this_site"],
        id="gateway to the trunk's own number, which only the cloud answers",
    ),
    pytest.param(
        from_gateway("202"),
        site(extension("202", forward_always=MOBILE), call_control=LOCAL),
        [
            "cloud cloud 009011112222 forward_always.cloud_trunk",
            "contacts 202 extension",
            "480 nobody_available",
        ],
        id="a call from a gateway is forwarded by the trunk, not by a gateway",
    ),
    pytest.param(
        from_gateway("202"),
        site(extension("202", forward_always=MOBILE), link=DOWN, call_control=LOCAL),
        ["contacts 202 extension", "480 nobody_available"],
        id="a call from a gateway rings the desk when only a gateway could forward it",
    ),
]


@pytest.mark.parametrize(("facts", "view", "expected"), FROM_PEERS)
def test_call_from_a_peer_reaches_the_site_only(
    facts: CallFacts, view: SiteView, expected: list[str]
) -> None:
    assert outline(decide(facts, view)) == expected


REFUSED = [
    pytest.param("", ["484 incomplete_number"], id="nothing dialled"),
    pytest.param("999", ["404 unknown_number"], id="nobody's number"),
    pytest.param("00312", ["484 incomplete_number"], id="start of a number"),
    pytest.param("a b", ["404 unknown_number"], id="no number"),
]


@pytest.mark.parametrize(("dialled", "expected"), REFUSED)
def test_number_that_means_nothing_is_refused(dialled: str, expected: list[str]) -> None:
    assert outline(decide(from_phone(dialled), site(link=DOWN))) == expected


@pytest.mark.parametrize(
    ("dialled", "asked"),
    [
        ("999", True),
        ("*97", True),
        ("voicemail", True),
        ("a b", False),
        ("x" * 33, False),
        ("1\r\nX: y", False),
    ],
)
def test_cloud_in_control_is_asked_about_plain_numbers_and_names_only(dialled: str, asked: bool) -> None:
    expected = [f"cloud cloud {dialled} cloud_control"] if asked else []
    assert outline(decide(from_phone(dialled), site())) == [*expected, "404 unknown_number"]


@pytest.mark.parametrize(
    ("stated", "measured", "expected"), [(750, 0, 750), (600, 1_200, 1_200), (600, 90, 600)]
)
def test_life_limit_of_the_upstream_is_the_policys_or_what_a_slow_line_needs(
    stated: int, measured: int, expected: int
) -> None:
    view = replace(site(upstream_life_ms=stated), lives={"cloud": measured})
    assert decide(from_phone("202"), view).steps[0].life_ms == expected


def test_unknown_origin_is_covered_for_every_origin() -> None:
    for origin in Origin:
        assert decide(CallFacts(origin, "cloud", "202", "201"), site()).steps[-1].kind is StepKind.REJECT
