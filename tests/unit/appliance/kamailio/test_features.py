"""Plans of feature codes. A wrong one lets a stranger use a telephone's features, or hides an emergency number."""

from dataclasses import replace

import pytest

from appliance.feature_codes import FEATURES, Code
from appliance.kamailio.actions import StepKind
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from appliance.model import CallControl
from tests.helpers.site_view import SiteView, from_cloud, from_gateway, from_phone, site

CODES = tuple(Code(one.id, one.code, one.takes) for one in FEATURES)


def view(**changes: object) -> SiteView:
    held = {"call_control": CallControl.LOCAL, "codes": CODES, "mailboxes": ("202",)} | changes
    return site(**held)  # type: ignore[arg-type]


def first(facts: CallFacts, at: SiteView) -> tuple[StepKind, str, tuple[str, ...], int]:
    step = decide(facts, at).steps[0]
    return step.kind, step.target, step.users, step.code


def test_a_feature_of_freeswitch_is_called_by_its_id_whatever_its_code() -> None:
    assert first(from_phone("*43"), view()) == (StepKind.MEDIA, "echo", ("feature-echo",), 0)
    changed = tuple(replace(one, code="*45") if one.id == "echo" else one for one in CODES)
    assert first(from_phone("*45"), view(codes=changed)) == (StepKind.MEDIA, "echo", ("feature-echo",), 0)


def test_a_message_is_left_where_there_is_a_box_and_refused_aloud_where_there_is_none() -> None:
    assert first(from_phone("*98202"), view()) == (StepKind.MEDIA, "voicemail", ("*98202",), 0)
    plan = decide(from_phone("*98203"), view())
    assert [(step.kind, step.users, step.code) for step in plan.steps] == [
        (StepKind.MEDIA, ("say-no_such_number",), 0),
        (StepKind.REJECT, (), 404),
    ]


def test_a_changed_code_for_messages_leads_to_the_same_box() -> None:
    changed = tuple(replace(one, code="*45") if one.id == "voicemail_leave" else one for one in CODES)
    assert first(from_phone("*45202"), view(codes=changed)) == (StepKind.MEDIA, "voicemail", ("*98202",), 0)


def test_a_feature_is_told_who_calls_even_where_others_are_not() -> None:
    plan = decide(replace(from_phone("*65"), anonymous=True), view())
    assert plan.steps[0].caller is not None
    assert (plan.steps[0].caller.user, plan.steps[0].caller.privacy) == ("201", False)


@pytest.mark.parametrize("facts", [from_gateway("*43"), from_cloud("*43")])
def test_nobody_outside_uses_a_feature(facts: CallFacts) -> None:
    assert decide(facts, view()).steps[0].kind is StepKind.REJECT


def test_a_flow_may_leave_messages_and_use_no_other_feature() -> None:
    flow = CallFacts(Origin.MEDIA, "", "*98202", "201")
    assert first(flow, view()) == (StepKind.MEDIA, "voicemail", ("*98202",), 0)
    assert decide(replace(flow, dialled="*43"), view()).steps[0].kind is StepKind.REJECT


def test_an_emergency_number_behind_a_prefix_of_stars_is_one_before_it_is_a_code() -> None:
    plan = decide(from_phone("*9110"), view(outside_prefix="*9"))
    assert plan.emergency
