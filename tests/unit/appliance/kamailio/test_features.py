"""Plans of feature codes. A wrong one lets a stranger use a telephone's features, or hides an emergency number."""

from dataclasses import replace

import pytest

from appliance.feature_codes import FEATURES, Code
from appliance.kamailio.actions import Outcome, StepKind, advance
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


def steps(dialled: str, at: SiteView) -> list[tuple[StepKind, str, tuple[str, ...], int]]:
    return [(step.kind, step.target, step.users, step.code) for step in decide(from_phone(dialled), at).steps]


def test_a_setting_is_made_then_told_aloud_and_in_words_where_freeswitch_is_dead() -> None:
    plan = decide(from_phone("*78"), view())
    assert steps("*78", view()) == [
        (StepKind.SET, "do_not_disturb", ("201", "1"), 0),
        (StepKind.MEDIA, "say", ("say-do_not_disturb_on",), 0),
        (StepKind.REJECT, "", (), 480),
    ]
    assert advance(plan, 0, Outcome.DONE) == 1
    assert advance(plan, 1, Outcome.NO_LIFE) == 2
    assert plan.steps[2].reason == "do_not_disturb_on_done"


@pytest.mark.parametrize(
    ("dialled", "prompt", "code"),
    [
        ("*72", "no_such_number", 484),
        ("*72119", "not_allowed", 403),
        ("*72201", "not_allowed", 482),
        ("*7299", "no_such_number", 404),
        ("*72*78", "no_such_number", 404),
        ("*72*98203", "no_such_number", 404),
        ("*72001012125551234", "not_allowed", 403),
    ],
)
def test_a_forwarding_that_must_not_be_sets_nothing(dialled: str, prompt: str, code: int) -> None:
    found = steps(dialled, view())
    assert [(kind, users, at) for kind, _, users, at in found] == [
        (StepKind.MEDIA, (f"say-{prompt}",), 0),
        (StepKind.REJECT, (), code),
    ]


@pytest.mark.parametrize("target", ["202", "600", "009011112222", "7201", "*98202"])
def test_a_forwarding_to_what_the_caller_may_call_is_set(target: str) -> None:
    assert steps(f"*72{target}", view())[0] == (StepKind.SET, "forward_always", ("201", target), 0)


def test_a_forwarding_that_would_come_back_is_refused() -> None:
    at = view()
    at.extensions = {**at.extensions, "202": replace(at.extensions["202"], forward_always="201")}
    assert steps("*72202", at)[-1][3] == 482
    assert steps("*90202", at)[0][0] is StepKind.SET


def test_a_call_from_an_application_sets_nothing() -> None:
    flow = CallFacts(Origin.MEDIA, "", "*78", "201")
    assert decide(flow, view()).steps[0].kind is StepKind.REJECT
