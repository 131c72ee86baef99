"""Plans of whole calls. A wrong plan leaves a caller without a connection, or lets somebody else pay for one."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from appliance.kamailio.actions import PASS_OVER, CallerId, Outcome, Plan, Step, StepKind
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.route import EVERY, UNANSWERED, UNREACHABLE
from appliance.kamailio.routing import STEPS_MAX, decide
from appliance.kamailio.view import Application, Extension
from appliance.model import CallControl, LinkState, UpstreamAuth
from tests.helpers.site_view import (
    ALLOW,
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

LOCAL = CallControl.LOCAL
DOWN = LinkState.DOWN

SATO = CallerId("201", "Sato")
SATO_OUTSIDE = CallerId("0312340201", "Sato")
SITE_CALLER = CallerId("0312340000")
MOBILE = "009011112222"


def cloud(user: str, reason: str = "cloud_control", caller: CallerId | None = SATO, **more: object) -> Step:
    return Step(
        StepKind.CLOUD,
        "cloud",
        (user,),
        reason,
        caller=caller,
        life_ms=600,
        ring_s=120,
        **more,  # type: ignore[arg-type]
    )


def gateway(user: str, reason: str = "gateway", caller: CallerId = SATO_OUTSIDE, **more: object) -> Step:
    return Step(
        StepKind.GATEWAY,
        "gw1",
        (user,),
        reason,
        caller=caller,
        life_ms=1_000,
        ring_s=120,
        **more,  # type: ignore[arg-type]
    )


def contacts(
    *users: str, reason: str = "extension", ring_s: int = 120, caller: CallerId = SATO, **more: object
) -> Step:
    return Step(
        StepKind.CONTACTS,
        "",
        users,
        reason,
        caller=caller,
        life_ms=4_000,
        ring_s=ring_s,
        **more,  # type: ignore[arg-type]
    )


def reject(
    code: int, reason: str, follows: tuple[int, ...] = (), after: frozenset[Outcome] = UNANSWERED
) -> Step:
    return Step(
        StepKind.REJECT, "", (), reason, after=after if follows else frozenset(), code=code, follows=follows
    )


def outline(plan: Plan) -> list[str]:
    """A plan in short: "kind target users reason" of each step, "code reason" of a refusal."""
    return [
        f"{step.code} {step.reason}"
        if step.kind is StepKind.REJECT
        else " ".join(filter(None, (step.kind, step.target, ",".join(step.users), step.reason)))
        for step in plan.steps
    ]


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


NO_INTERNATIONAL = site(extension("201", allow=(*ALLOW, "international")), link=DOWN)
ABROAD = "0010442071234567"

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


FORWARDING = [
    pytest.param(
        site(extension("202", forward_always="203"), upstreams=()),
        ["contacts 203 forward_always.extension", "contacts 202 extension", "480 nobody_available"],
        id="always; the desk rings when the substitute cannot be reached",
    ),
    pytest.param(
        site(extension("202", forward_always=MOBILE), upstreams=()),
        ["gateway gw1 09011112222 forward_always.gateway", "contacts 202 extension", "480 nobody_available"],
        id="always, outside",
    ),
    pytest.param(
        site(extension("202", forward_always=ABROAD), upstreams=()),
        ["contacts 202 extension", "480 nobody_available"],
        id="always, where its class of service does not reach",
    ),
    pytest.param(
        site(extension("202", forward_always="110"), upstreams=()),
        ["contacts 202 extension", "480 nobody_available"],
        id="never to an emergency number",
    ),
    pytest.param(
        site(extension("202", forward_always="203"), extension("203", forward_always="202"), upstreams=()),
        ["482 forward_loop"],
        id="two forward to each other",
    ),
    pytest.param(
        site(
            extension("202", forward_no_answer="203"), extension("203", forward_no_answer="202"), upstreams=()
        ),
        [
            "contacts 202 extension",
            "contacts 203 forward_no_answer.extension",
            "480 nobody_available",
            "480 nobody_available",
        ],
        id="two substitute for each other",
    ),
    pytest.param(
        site(extension("202", do_not_disturb=True), upstreams=()), ["480 do_not_disturb"], id="do not disturb"
    ),
    pytest.param(
        site(extension("202", do_not_disturb=True, forward_busy="203"), upstreams=()),
        ["contacts 203 forward_do_not_disturb.extension", "480 nobody_available"],
        id="do not disturb, forwarded when busy",
    ),
    pytest.param(
        site(extension("202", do_not_disturb=True), link=DOWN),
        ["480 do_not_disturb"],
        id="do not disturb is not undone by a cloud that looks down",
    ),
]


@pytest.mark.parametrize(("view", "expected"), FORWARDING)
def test_forwarding_leads_on(view: SiteView, expected: list[str]) -> None:
    assert outline(decide(from_phone("202"), view)) == expected


def chain(length: int) -> list[Extension]:
    """Extensions 300, 301, ... each forwarding always to the next."""
    return [Extension(f"{300 + i}", forward_always=f"{301 + i}") for i in range(length)] + [
        Extension(f"{300 + length}")
    ]


@pytest.mark.parametrize(
    ("length", "first"),
    [(5, "contacts 305 " + "forward_always." * 5 + "extension"), (6, "480 too_many_forwards")],
)
def test_forwarding_ends_after_five(length: int, first: str) -> None:
    assert outline(decide(from_phone("300"), site(*chain(length), upstreams=())))[0] == first


@pytest.mark.parametrize(
    ("forwards", "expected"),
    [
        (("203", "202"), ["482 forward_loop"]),
        (tuple("abcdef"), ["480 too_many_forwards"]),
        (tuple("abcde"), ["contacts 202 extension", "480 nobody_available"]),
    ],
)
def test_call_that_was_forwarded_elsewhere_is_counted(forwards: tuple[str, ...], expected: list[str]) -> None:
    assert outline(decide(from_phone("202", forwards=forwards), site(upstreams=()))) == expected


def test_forwarding_that_branches_everywhere_stays_within_the_plan() -> None:
    web = [
        Extension(
            f"{400 + i}",
            forward_busy=f"{400 + (2 * i + 1) % 64}",
            forward_no_answer=f"{400 + (2 * i + 2) % 64}",
        )
        for i in range(64)
    ]
    plan = decide(from_phone("400"), site(*web, upstreams=()))
    assert len(plan.steps) == STEPS_MAX
    assert (plan.steps[-1].kind, plan.steps[-1].code) == (StepKind.REJECT, 480)


GROUPS = [
    pytest.param(
        from_phone("600"),
        site(extension("202", do_not_disturb=True), upstreams=()),
        ["480 nobody_available"],
        id="the caller and who is not to be disturbed are left out",
    ),
    pytest.param(
        from_phone("600", "203"),
        site(extension("202", do_not_disturb=True), extension("201", forward_always="203"), upstreams=()),
        ["contacts 201 group_all", "480 nobody_available"],
        id="a member's own forwarding does not count",
    ),
    pytest.param(
        from_phone("600", "203"),
        site(group("600", overflow=MOBILE), upstreams=()),
        ["contacts 201,202 group_all", "gateway gw1 09011112222 overflow.gateway", "503 no_gateway"],
        id="overflow to the outside, as the site document says",
    ),
    pytest.param(
        from_phone("600", "203"),
        site(group("600", overflow="110"), upstreams=()),
        ["contacts 201,202 group_all", "480 nobody_available"],
        id="never overflow to an emergency number",
    ),
    pytest.param(
        from_phone("600", "203"),
        site(group("600", overflow="601"), group("601", overflow="600"), upstreams=()),
        [
            "contacts 201,202 group_all",
            "contacts 202 overflow.group_turn",
            "480 nobody_available",
        ],
        id="overflow in a ring",
    ),
    pytest.param(
        from_phone("600", "203"),
        site(group("600", members=("998", "999")), upstreams=()),
        ["480 nobody_available"],
        id="nobody left in the group",
    ),
    pytest.param(
        from_phone("600", "203"),
        site(),
        ["cloud cloud 600 cloud_control", "contacts 201,202 group_all", "480 nobody_available"],
        id="the cloud in control",
    ),
]


@pytest.mark.parametrize(("facts", "view", "expected"), GROUPS)
def test_group_rings(facts: CallFacts, view: SiteView, expected: list[str]) -> None:
    assert outline(decide(facts, view)) == expected


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
    ("facts", "changed", "expected"),
    [
        pytest.param(from_phone("203", "202"), (), False, id="nobody wants it"),
        pytest.param(from_phone("203", "201"), (), True, id="the caller"),
        pytest.param(from_phone("201", "202"), (), True, id="the called"),
        pytest.param(from_phone("600", "203"), (), True, id="a member of the group"),
        pytest.param(
            from_phone("203", "202"), (extension("202", record="outside"),), False, id="outside only: inside"
        ),
        pytest.param(
            from_phone(MOBILE, "202"), (extension("202", record="outside"),), True, id="outside only: out"
        ),
        pytest.param(from_gateway("202"), (extension("202", record="outside"),), True, id="outside only: in"),
        pytest.param(
            from_cloud("202"), (extension("202", record="outside"),), True, id="outside only: in by cloud"
        ),
        pytest.param(
            from_cloud("202", "7201"),
            (extension("202", record="outside"),),
            False,
            id="outside only: another site",
        ),
        pytest.param(
            from_phone("7201", "202"),
            (extension("202", record="outside"),),
            False,
            id="outside only: to another site",
        ),
        pytest.param(
            from_phone("202", "203"),
            (extension("202", record="outside", forward_busy=MOBILE),),
            True,
            id="outside only: may be forwarded out",
        ),
        pytest.param(from_phone("110", "202"), (extension("202", record="outside"),), True, id="emergency"),
        pytest.param(
            from_phone("202", "203"),
            (extension("202", do_not_disturb=True, record="all"),),
            True,
            id="cloud may ring it",
        ),
        pytest.param(
            from_phone("204", "201"), (extension("204", do_not_disturb=True),), True, id="caller records"
        ),
    ],
)
def test_call_is_recorded_when_anybody_in_it_is(
    facts: CallFacts, changed: Iterable[Extension], expected: bool
) -> None:
    assert decide(facts, site(*changed)).record is expected


def test_refused_call_is_not_recorded() -> None:
    assert decide(from_phone(MOBILE, "204"), site(extension("204", record="all"), link=DOWN)).record is False


CALLERS = [
    pytest.param(
        from_phone(MOBILE, "203"), site(upstreams=()), CallerId("0312340000", "Takahashi"), id="gateway's own"
    ),
    pytest.param(
        from_phone(MOBILE, "203"),
        site(upstreams=(), gateways=(replace(GATEWAY, caller=""),)),
        CallerId("anonymous", privacy=True),
        id="no number to show",
    ),
    pytest.param(
        from_phone(MOBILE, "203"),
        site(upstreams=(), gateways=(replace(GATEWAY, number_format="extension"),)),
        CallerId("203", "Takahashi"),
        id="a gateway that thinks in extensions",
    ),
    pytest.param(
        from_phone(MOBILE, anonymous=True),
        site(upstreams=()),
        CallerId("0312340201", "Sato", True),
        id="private",
    ),
    pytest.param(
        from_phone(f"0186{MOBILE[1:]}", anonymous=True),
        site(upstreams=()),
        SATO_OUTSIDE,
        id="186 beats private",
    ),
    pytest.param(
        from_phone("202"),
        site(upstream_auth=UpstreamAuth.PASSTHROUGH),
        None,
        id="the cloud challenges the phone",
    ),
    pytest.param(
        from_phone("202"),
        site(
            extension("202", forward_always=MOBILE),
            upstream_auth=UpstreamAuth.PASSTHROUGH,
            call_control=LOCAL,
            gateways=(),
        ),
        CallerId("202", "Suzuki"),
        id="a forwarded call shows who forwards it",
    ),
    pytest.param(
        from_phone("202", "299"),
        site(upstreams=(SECOND,), links={"second": LinkState.UP}),
        CallerId("+81312340000"),
        id="extension that is gone",
    ),
    pytest.param(
        from_gateway("600"),
        site(
            extension("201", do_not_disturb=True),
            extension("202", do_not_disturb=True),
            group("600", overflow=MOBILE),
            upstreams=(SECOND,),
            links={"second": LinkState.UP},
            call_control=LOCAL,
        ),
        CallerId("+81312340000"),
        id="a group's overflow shows the trunk's own number",
    ),
    pytest.param(
        from_gateway("202", "+442071234567"),
        site(link=DOWN),
        CallerId("+442071234567"),
        id="caller from abroad",
    ),
    pytest.param(
        from_gateway("202", "+819011112222"),
        site(link=DOWN),
        CallerId("09011112222"),
        id="caller in national form",
    ),
    pytest.param(
        from_gateway("202", anonymous=True),
        site(link=DOWN),
        CallerId("anonymous", privacy=True),
        id="caller withheld",
    ),
    pytest.param(
        from_gateway("202", ""),
        site(link=LinkState.UP),
        CallerId("anonymous"),
        id="caller unknown, to the cloud",
    ),
    pytest.param(
        from_phone("110", "203"),
        site(emergency_caller="", gateways=(replace(GATEWAY, caller=""),)),
        CallerId("203"),
        id="emergency without any number: the extension, rather than nobody",
    ),
]


@pytest.mark.parametrize(("facts", "view", "expected"), CALLERS)
def test_first_step_shows_the_caller(facts: CallFacts, view: SiteView, expected: CallerId | None) -> None:
    assert decide(facts, view).steps[0].caller == expected


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


# applications


RECEPTION = Application("700", "flow", fallback="600")
CLOSED = Application("701", "announcement")


def media(number: str, kind: str, caller: CallerId = SATO, **more: object) -> Step:
    return Step(
        StepKind.MEDIA,
        kind,
        (number,),
        "application",
        caller=caller,
        life_ms=500,
        ring_s=10,
        **more,  # type: ignore[arg-type]
    )


def applications(**changes: object) -> SiteView:
    return site(call_control=LOCAL, applications=(RECEPTION, CLOSED), **changes)


def test_an_application_is_answered_by_freeswitch_and_refused_in_words_where_that_is_away() -> None:
    plan = decide(from_phone("701"), applications())
    assert (plan.kind, plan.number) == ("application", "701")
    assert plan.steps == (
        media("701", "announcement"),
        Step(StepKind.REJECT, "", (), "applications_out_of_order", EVERY, code=480, follows=(0,)),
    )


def test_a_fallback_takes_the_call_that_freeswitch_does_not() -> None:
    plan = decide(from_phone("700"), applications())
    assert [(step.kind, step.reason) for step in plan.steps] == [
        (StepKind.MEDIA, "application"),
        (StepKind.CONTACTS, "application_away.group_all"),
        (StepKind.REJECT, "nobody_available"),
    ]


def test_an_outside_caller_reaches_an_application_by_its_public_number() -> None:
    view = replace(applications(), public={"+81312340700": "700"})
    plan = decide(from_gateway("0312340700", "09011112222"), view)
    assert plan.steps[0] == media("700", "flow", CallerId("09011112222"))


def test_where_the_cloud_controls_calls_it_is_asked_first() -> None:
    view = site(applications=(CLOSED,))
    kinds = [step.kind for step in decide(from_phone("701"), view).steps]
    assert kinds == [StepKind.CLOUD, StepKind.MEDIA, StepKind.REJECT]


@pytest.mark.parametrize(
    ("dialled", "first"),
    [
        ("202", StepKind.CONTACTS),
        ("600", StepKind.CONTACTS),
        ("701", StepKind.MEDIA),
        ("09011112222", StepKind.GATEWAY),
        ("09033334444", StepKind.REJECT),
        ("69", StepKind.REJECT),
    ],
)
def test_freeswitch_reaches_the_site_s_numbers_and_those_outside_that_flows_name(
    dialled: str, first: StepKind
) -> None:
    view = applications(application_calls=("09011112222", "600"))
    facts = CallFacts(Origin.MEDIA, "media", dialled, "201")
    assert decide(facts, view).steps[0].kind is first
