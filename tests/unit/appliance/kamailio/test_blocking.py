"""Callers that nobody wants. What is wrong here puts a nuisance through, or keeps the fire brigade from calling back."""

from dataclasses import replace

import pytest

from appliance.feature_codes import FEATURES, Code
from appliance.kamailio.actions import StepKind
from appliance.kamailio.blocking import matches
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.routing import decide
from appliance.kamailio.view import Extension
from appliance.model import CallControl
from tests.helpers.site_view import SiteView, from_phone, site

CODES = tuple(Code(one.id, one.code, one.takes) for one in FEATURES)
CALLER = "0398765432"


def view(*changed: Extension, **changes: object) -> SiteView:
    held = {"call_control": CallControl.LOCAL, "codes": CODES, "mailboxes": ("201",)} | changes
    return site(*changed, **held)  # type: ignore[arg-type]


def outside(caller: str = CALLER, dialled: str = "0312340201", anonymous: bool = False) -> CallFacts:
    return CallFacts(Origin.GATEWAY, "gw1", dialled, caller, anonymous)


def sato(**changes: object) -> Extension:
    return Extension("201", "Sato", "+81312340201", **changes)  # type: ignore[arg-type]


def first(facts: CallFacts, at: SiteView) -> tuple[StepKind, tuple[str, ...], int]:
    step = decide(facts, at).steps[0]
    return step.kind, step.users, step.code


RUNG = (StepKind.CONTACTS, ("201",), 0)


@pytest.mark.parametrize(
    ("block", "number", "meant"),
    [
        ("0398765432", "0398765432", True),
        ("0398765432", "03987654321", False),
        ("0398765432", "039876543", False),
        ("050*", "05012345678", True),
        ("050*", "050", True),
        ("050*", "05", False),
        ("090????0000", "09012340000", True),
        ("090????0000", "09012340001", False),
        ("+1*", "+12125551234", True),
        ("+1*", "12125551234", False),
    ],
)
def test_a_block_means_numbers_as_people_write_them(block: str, number: str, meant: bool) -> None:
    assert matches(block, number) is meant


@pytest.mark.parametrize("block", [CALLER, "+81398765432", "03*", "+813987654??"])
def test_a_caller_is_blocked_in_whatever_form_the_number_was_written(block: str) -> None:
    at = view(sato(blocked=(block,)))
    assert first(outside(), at) == (StepKind.REJECT, (), 603)
    assert first(outside("+81398765432"), at) == (StepKind.REJECT, (), 603)
    assert first(outside("0355556666" if block != "03*" else "0611112222"), at) == RUNG


def test_a_colleague_can_be_blocked() -> None:
    assert first(from_phone("201", "202"), view(sato(blocked=("202",)))) == (StepKind.REJECT, (), 603)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("reject", (StepKind.REJECT, (), 603)),
        ("busy", (StepKind.REJECT, (), 486)),
        ("announcement", (StepKind.MEDIA, ("say-caller_blocked",), 0)),
        ("voicemail", (StepKind.MEDIA, ("*98201",), 0)),
    ],
)
def test_what_becomes_of_the_caller(action: str, expected: object) -> None:
    assert first(outside(), view(sato(blocked=(CALLER,), block_action=action))) == expected
    assert first(outside(), view(sato(blocked=(CALLER,)), block_action=action)) == expected


def test_without_a_box_voicemail_is_a_refusal() -> None:
    at = view(Extension("202", blocked=(CALLER,), block_action="voicemail"))
    assert first(outside(dialled="202"), at) == (StepKind.REJECT, (), 603)


@pytest.mark.parametrize(("caller", "anonymous"), [("anonymous", False), ("", False), (CALLER, True)])
def test_callers_without_a_number_are_told_to_show_it(caller: str, anonymous: bool) -> None:
    at = view(sato(reject_anonymous=True))
    assert first(outside(caller, anonymous=anonymous), at) == (StepKind.REJECT, (), 433)
    assert first(outside(), at) == RUNG
    assert first(replace(from_phone("201", "202"), anonymous=True), at) == RUNG


def test_the_whole_site_blocks_callers_to_groups_and_applications_too() -> None:
    at = view(blocked=(CALLER,))
    assert first(outside(dialled="0312340600"), at) == (StepKind.REJECT, (), 603)
    assert first(outside("0611112222", dialled="0312340600"), at)[0] is StepKind.CONTACTS


def test_whoever_may_call_back_after_an_emergency_call_is_let_through_even_where_nobody_is_to_disturb() -> (
    None
):
    at = view(sato(blocked=("03*",), reject_anonymous=True, do_not_disturb=True), blocked=("03*",))
    assert first(outside(), at)[0] is StepKind.REJECT
    at.emergency_ago_s = 3_599
    assert first(outside(), at) == RUNG
    assert first(outside("anonymous"), at) == RUNG
    assert first(from_phone("201", "202"), at)[0] is StepKind.REJECT
    at.emergency_ago_s = 3_601
    assert first(outside(), at)[0] is StepKind.REJECT


def test_an_emergency_number_itself_is_never_blocked() -> None:
    assert first(outside("119"), view(sato(blocked=("1*",)))) == RUNG


def orders(dialled: str, at: SiteView) -> tuple[StepKind, tuple[str, ...]]:
    step = decide(from_phone(dialled), at).steps[0]
    return step.kind, step.users


def test_the_last_caller_is_blocked_and_let_through_again() -> None:
    at = view(sato(blocked_too="0311112222"))
    at.callers = {"201": CALLER}
    assert orders("*60", at) == (StepKind.SET, ("201", f"0311112222 {CALLER}"))
    assert orders("*64", at) == (StepKind.SET, ("201", ""))


@pytest.mark.parametrize("last", ["", "anonymous", "Bob", "119"])
def test_who_has_no_number_and_who_helps_in_an_emergency_cannot_be_blocked(last: str) -> None:
    at = view()
    at.callers = {"201": last}
    assert orders("*60", at)[0] is StepKind.MEDIA
