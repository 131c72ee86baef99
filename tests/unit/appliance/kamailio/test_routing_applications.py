"""Calls to and from applications that FreeSWITCH answers, and what happens where it is away."""

from dataclasses import replace

import pytest

from appliance.kamailio.actions import CallerId, Step, StepKind
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.route import EVERY
from appliance.kamailio.routing import decide
from appliance.kamailio.view import Application
from tests.helpers.routing_plans import LOCAL, SATO
from tests.helpers.site_view import SiteView, from_gateway, from_phone, site

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


def test_what_a_caller_of_an_application_enters_is_no_emergency_call_and_an_extension_s_order_is() -> None:
    entered = CallFacts(Origin.MEDIA, "media", "110", "0398765432")
    plan = decide(entered, applications())
    assert ([step.kind for step in plan.steps], plan.emergency) == ([StepKind.REJECT], False)
    ordered = decide(replace(entered, behalf="201"), applications())
    assert (ordered.steps[0].kind, ordered.emergency) == (StepKind.GATEWAY, True)
