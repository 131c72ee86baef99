"""How a step's end is read: a wrong reading rings nobody, or rings the wrong people."""

import pytest

from appliance.kamailio.actions import PASS_OVER, Outcome, Plan, Step, StepKind
from appliance.kamailio.outcome import (
    CLOUD_PROGRESS_LIMIT_S,
    GATEWAY_PROGRESS_LIMIT_S,
    LIFE_MIN_MS,
    Ending,
    Limits,
    limits_of,
    outcome_of,
)

CLOUD, CONTACTS, GATEWAY = StepKind.CLOUD, StepKind.CONTACTS, StepKind.GATEWAY
SILENT = Ending(408, replied=False, timer=True)
TRYING_ONLY = Ending(408, timer=True)
RANG_OUT = Ending(408, rang=True, timer=True)


@pytest.mark.parametrize(
    ("kind", "ending", "outcome"),
    [
        (CLOUD, SILENT, Outcome.NO_LIFE),
        (GATEWAY, SILENT, Outcome.NO_LIFE),
        (CONTACTS, SILENT, Outcome.NO_CONTACT),
        (CLOUD, Ending(503, replied=False), Outcome.NO_LIFE),  # a repetition could not be sent
        (CLOUD, TRYING_ONLY, Outcome.OVERLOADED),
        (CONTACTS, TRYING_ONLY, Outcome.NO_CONTACT),
        (CLOUD, RANG_OUT, Outcome.NO_ANSWER),
        (CONTACTS, RANG_OUT, Outcome.NO_ANSWER),
        (CLOUD, Ending(408), Outcome.NO_CONTACT),
        (CLOUD, Ending(408, rang=True), Outcome.NO_ANSWER),
        (CLOUD, Ending(480), Outcome.NO_CONTACT),
        (CLOUD, Ending(480, rang=True), Outcome.NO_ANSWER),
        (CLOUD, Ending(404), Outcome.NO_CONTACT),
        (CLOUD, Ending(404, rang=True), Outcome.REFUSED),
        (CONTACTS, Ending(486), Outcome.BUSY),
        (CONTACTS, Ending(600), Outcome.BUSY),
        (CONTACTS, Ending(603), Outcome.REFUSED),
        (CLOUD, Ending(403), Outcome.REFUSED),
        (CLOUD, Ending(500), Outcome.OVERLOADED),
        (GATEWAY, Ending(503), Outcome.OVERLOADED),
        (CONTACTS, Ending(503), Outcome.NO_CONTACT),
        (CLOUD, Ending(302), Outcome.REFUSED),
    ],
)
def test_ending_of_a_step_has_its_outcome(kind: StepKind, ending: Ending, outcome: Outcome) -> None:
    assert outcome_of(kind, ending) is outcome


def test_telephone_is_never_taken_for_a_target_that_failed() -> None:
    assert not {outcome_of(CONTACTS, Ending(code)) for code in range(300, 700)} & PASS_OVER


def test_answer_is_no_outcome() -> None:
    with pytest.raises(ValueError, match="200"):
        outcome_of(CLOUD, Ending(200))


def _plan(first: Step, fallback: bool = True) -> Plan:
    last = Step(StepKind.REJECT, "", (), "end", after=PASS_OVER, code=480)
    return Plan("extension", "202", (first, last) if fallback else (first,))


@pytest.mark.parametrize(
    ("kind", "fallback", "progress_ms"),
    [
        (CLOUD, True, CLOUD_PROGRESS_LIMIT_S * 1000),
        (CLOUD, False, 120_000),
        (GATEWAY, True, GATEWAY_PROGRESS_LIMIT_S * 1000),
        (CONTACTS, True, 120_000),
    ],
)
def test_only_a_step_with_a_fallback_is_hurried(kind: StepKind, fallback: bool, progress_ms: int) -> None:
    step = Step(kind, "x", ("202",), "why", life_ms=600, ring_s=120)
    assert limits_of(_plan(step, fallback), 0) == Limits(600, progress_ms, 120_000)


def test_short_ringing_time_also_bounds_the_wait_for_progress() -> None:
    step = Step(CLOUD, "x", ("202",), "why", ring_s=5)
    assert limits_of(_plan(step), 0).progress_ms == 5_000


def test_life_time_never_falls_below_what_the_timers_can_keep() -> None:
    step = Step(CLOUD, "x", ("202",), "why", life_ms=10)
    assert limits_of(_plan(step), 0).life_ms == LIFE_MIN_MS
