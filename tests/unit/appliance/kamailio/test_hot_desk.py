"""Logging in at another telephone. What is wrong here lets a stranger call as somebody else, or writes a PIN down."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from appliance.digest import pin_sha256
from appliance.feature_codes import FEATURES, Code
from appliance.kamailio.actions import StepKind
from appliance.kamailio.desks import Desks, phone_tries
from appliance.kamailio.kept import Kept
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.login import ends_at, masked
from appliance.kamailio.routing import decide
from appliance.kamailio.view import Extension
from appliance.model import CallControl
from tests.helpers.ksr_double import KsrDouble
from tests.helpers.site_view import SiteView, from_phone, policy, site

CODES = tuple(Code(one.id, one.code, one.takes) for one in FEATURES)
PIN = "4711"
SATO = Extension("201", "Sato", pin_sha256=pin_sha256("201", "tokyo-1.example", PIN))


def view(**changes: object) -> SiteView:
    return site(SATO, **{"call_control": CallControl.LOCAL, "codes": CODES} | changes)  # type: ignore[arg-type]


def steps(dialled: str, at: SiteView) -> list[tuple[StepKind, str, tuple[str, ...], int]]:
    plan = decide(from_phone(dialled, "204"), at)
    return [(step.kind, step.target, step.users, step.code) for step in plan.steps]


@pytest.mark.parametrize("dialled", ["*11*201*4711", "*11201*4711", "*11*201*4711#"])
def test_the_right_pin_makes_the_telephone_the_persons(dialled: str) -> None:
    assert steps(dialled, view())[0] == (StepKind.SET, "hot_desk_in", ("201", "204"), 0)


@pytest.mark.parametrize("dialled", ["*11*201*4712", "*11*202*4711", "*11*299*4711"])
def test_a_wrong_pin_and_an_extension_without_one_sound_the_same(dialled: str) -> None:
    found = steps(dialled, view())
    assert [one[0] for one in found] == [StepKind.SET, StepKind.MEDIA, StepKind.REJECT]
    assert (found[0][1], found[1][2], found[2][3]) == ("hot_desk_wrong", ("say-hot_desk_wrong",), 403)


@pytest.mark.parametrize("wrong", [{"201": 5}, {"phone:204": 15}])
def test_after_too_many_wrong_ones_even_the_right_pin_is_refused(wrong: dict[str, int]) -> None:
    at = view()
    at.wrong = wrong
    assert steps("*11*201*4711", at)[0] == (StepKind.MEDIA, "say", ("say-hot_desk_locked",), 0)


@pytest.mark.parametrize("control", list(CallControl))
def test_no_pin_reaches_the_cloud_or_a_record(control: CallControl) -> None:
    plan = decide(from_phone("*11*201*4711", "204"), view(call_control=control))
    assert "4711" not in repr(plan)
    assert all(step.kind is not StepKind.CLOUD for step in plan.steps)


@pytest.mark.parametrize(
    ("dialled", "shown"),
    [("*11*201*4711", "*11****"), ("*11x", "*11****"), ("*11", "*11"), ("*12", "*12"), ("201", "201")],
)
def test_of_a_login_the_code_alone_is_shown(dialled: str, shown: str) -> None:
    assert masked(dialled, policy(codes=CODES)) == shown


def test_only_who_is_logged_in_can_log_out() -> None:
    assert steps("*12", view())[0][0] is StepKind.MEDIA
    seated = replace(from_phone("*12", "201"), device="204")
    step = decide(seated, view()).steps[0]
    assert (step.kind, step.target, step.users) == (StepKind.SET, "hot_desk_out", ("201", "204"))


def desks(now: list[int]) -> Desks:
    ksr = KsrCall(KsrDouble())
    kept = Kept(ksr)
    return Desks(ksr, kept, lambda: now[0])


def test_a_person_sits_at_one_desk_and_a_desk_has_one_person() -> None:
    of = desks([1_000])
    of.log_in("201", "204", 0)
    of.log_in("201", "205", 0)
    assert (of.person_at("204"), of.person_at("205"), of.phone_of("201")) == ("", "201", "205")
    of.log_in("202", "205", 0)
    assert (of.person_at("205"), of.phone_of("201"), of.phone_of("202")) == ("202", "", "205")
    of.log_out("205")
    assert (of.person_at("205"), of.phone_of("202")) == ("", "")


def test_a_login_ends_at_its_time() -> None:
    now = [1_000]
    of = desks(now)
    of.log_in("201", "204", 2_000)
    assert of.phone_of("201") == "204"
    now[0] = 2_000
    assert (of.phone_of("201"), of.person_at("204")) == ("", "")


def test_wrong_pins_are_forgotten_after_a_while_and_after_the_right_one() -> None:
    now = [1_000]
    of = desks(now)
    assert [of.tried("201", 60) for _ in range(3)] == [1, 2, 3]
    now[0] += 59
    assert of.tries("201", 60) == 3
    now[0] += 1
    assert of.tries("201", 60) == 0
    of.tried("201", 60)
    of.tried(phone_tries("204"), 60)
    of.log_in("201", "204", 0)
    assert (of.tries("201", 60), of.tries(phone_tries("204"), 60)) == (0, 0)


@pytest.mark.parametrize(
    ("ends", "now", "expected"),
    [
        (-1, "2026-05-11T10:00", ""),
        (20 * 60, "2026-05-11T10:00", "2026-05-11T11:00"),
        (20 * 60, "2026-05-11T11:00", "2026-05-12T11:00"),
        (0, "2026-05-11T14:59", "2026-05-11T15:00"),
    ],
)
def test_people_are_logged_out_at_the_sites_own_time(ends: int, now: str, expected: str) -> None:
    at = int(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp())
    found = ends_at(policy(time_zone="Asia/Tokyo", hot_desk_ends=ends), at)
    assert (datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%dT%H:%M") if found else "") == expected
