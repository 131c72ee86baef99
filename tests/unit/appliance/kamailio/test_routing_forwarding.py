"""Forwarding and groups. A wrong plan rings the wrong telephone, or goes round for ever."""

import pytest

from appliance.kamailio.actions import StepKind
from appliance.kamailio.request import CallFacts
from appliance.kamailio.routing import STEPS_MAX, decide
from appliance.kamailio.view import Extension
from tests.helpers.routing_plans import ABROAD, DOWN, MOBILE, outline
from tests.helpers.site_view import SiteView, extension, from_phone, group, site

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
