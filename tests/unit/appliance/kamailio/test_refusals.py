"""Who hears why a call is refused, and what reply follows."""

from dataclasses import replace

import pytest

from appliance.kamailio import refusals
from appliance.kamailio.actions import Outcome, Plan, Step, StepKind, advance
from appliance.model import NumberKind

PLAN = Plan(
    NumberKind.EXTENSION,
    "202",
    (Step(StepKind.CONTACTS, "", ("202",), "extension"), Step(StepKind.REJECT, "", (), "nobody", code=480)),
)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_reply_follows_whatever_becomes_of_the_word(outcome: Outcome) -> None:
    longer = refusals.spoken(PLAN, 486, "busy", "phone")
    assert longer is not None
    assert longer.steps[2].users == ("refuse-486",)
    assert advance(longer, 2, outcome) == 3
    assert (longer.steps[3].kind, longer.steps[3].code) == (StepKind.REJECT, 486)
    assert refusals.spoken(longer, 486, "busy", "phone") is None


@pytest.mark.parametrize("origin", ["upstream", "media", "stranger"])
def test_machines_and_strangers_get_the_reply_at_once(origin: str) -> None:
    assert refusals.spoken(PLAN, 486, "busy", origin) is None


def test_emergency_calls_and_codes_without_a_sentence_wait_for_nothing() -> None:
    assert refusals.spoken(replace(PLAN, emergency=True), 486, "busy", "phone") is None
    assert refusals.spoken(PLAN, 482, "forward_loop", "phone") is None
