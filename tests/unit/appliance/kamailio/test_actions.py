"""A plan that leads to the wrong step rings the wrong telephone, or ends a call that could have been connected."""

from dataclasses import replace

import pytest

from appliance.kamailio.actions import PASS_OVER, Outcome, Plan, Step, StepKind, advance

EVERY = frozenset(Outcome)


def step(kind: StepKind, after: frozenset[Outcome] = frozenset(), follows: tuple[int, ...] = ()) -> Step:
    return Step(kind, "", (), "test", after=after, follows=follows)


CLOUD_THEN_PHONE = Plan(
    "extension",
    "202",
    (
        step(StepKind.CLOUD),
        step(StepKind.CONTACTS, PASS_OVER | {Outcome.NO_CONTACT}, follows=(0,)),
        step(StepKind.GATEWAY, frozenset({Outcome.BUSY})),
        step(StepKind.REJECT, PASS_OVER | {Outcome.NO_CONTACT}),
    ),
)


@pytest.mark.parametrize("outcome", sorted(Outcome))
def test_cloud_that_fails_leads_to_phones_and_its_answer_ends_the_call(outcome: Outcome) -> None:
    assert advance(CLOUD_THEN_PHONE, 0, outcome) == (
        1 if outcome in PASS_OVER | {Outcome.NO_CONTACT} else None
    )


@pytest.mark.parametrize("outcome", sorted(Outcome))
def test_cloud_that_cannot_find_an_outside_number_is_believed(outcome: Outcome) -> None:
    plan = replace(CLOUD_THEN_PHONE, kind="mobile")
    assert advance(plan, 0, outcome) == (1 if outcome in PASS_OVER else None)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.BUSY, 2),
        (Outcome.NO_CONTACT, 3),
        (Outcome.NO_LIFE, 3),
        (Outcome.REFUSED, None),
        (Outcome.NO_ANSWER, None),
    ],
)
def test_phones_lead_to_the_first_later_step_for_their_outcome(
    outcome: Outcome, expected: int | None
) -> None:
    assert advance(CLOUD_THEN_PHONE, 1, outcome) == expected


def test_gateway_answering_busy_ends_the_call() -> None:
    assert advance(CLOUD_THEN_PHONE, 2, Outcome.BUSY) is None


def test_branch_is_entered_only_from_the_step_it_follows() -> None:
    plan = Plan(
        "extension",
        "202",
        (
            step(StepKind.CONTACTS),
            step(StepKind.CONTACTS, frozenset({Outcome.BUSY}), follows=(0,)),
            step(StepKind.REJECT, frozenset({Outcome.NO_ANSWER}), follows=(1,)),
            step(StepKind.CONTACTS, frozenset({Outcome.NO_ANSWER, Outcome.BUSY}), follows=(0,)),
        ),
    )
    assert [advance(plan, 0, Outcome.BUSY), advance(plan, 0, Outcome.NO_ANSWER)] == [1, 3]
    assert [advance(plan, 1, Outcome.BUSY), advance(plan, 1, Outcome.NO_ANSWER)] == [None, 2]


@pytest.mark.parametrize("outcome", sorted(Outcome))
def test_emergency_call_goes_on_whatever_a_gateway_answers(outcome: Outcome) -> None:
    steps = (step(StepKind.GATEWAY), step(StepKind.CLOUD, EVERY), step(StepKind.REJECT, EVERY))
    plan = Plan("emergency", "110", steps, emergency=True)
    assert [advance(plan, index, outcome) for index in range(3)] == [1, 2, None]
