"""When a staged rollout goes on and when it stops. A failure brings a bad change to every site, or a good one to none."""

from itertools import product

import pytest

from appliance.errors import KyusaiError
from cloudsync.rollout import (
    TRANSITIONS,
    Effect,
    Event,
    Policy,
    SiteOutcome,
    SiteState,
    State,
    advance,
    judge,
    patched,
    site_state,
)

POLICY = Policy(errors_max=0, soak_s=600, patience_s=3600)
WAITING, APPLIED, FAILED = SiteState


def outcomes(*states: SiteState, ring: int = 0) -> list[SiteOutcome]:
    return [SiteOutcome(f"site-{ring}-{number}", ring, state) for number, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "age_s", "event"),
    [
        pytest.param((APPLIED, APPLIED), 601, Event.RING_WELL, id="all well"),
        pytest.param((APPLIED, APPLIED), 599, Event.WAIT, id="not watched long enough"),
        pytest.param((APPLIED, WAITING), 601, Event.WAIT, id="one has not answered"),
        pytest.param((APPLIED, WAITING), 3601, Event.RING_WELL, id="one is left behind"),
        pytest.param((WAITING, WAITING), 10**6, Event.WAIT, id="nobody proves anything"),
        pytest.param((APPLIED, FAILED), 1, Event.TOO_MANY_ERRORS, id="one failed, at once"),
    ],
)
def test_a_ring_is_judged(states: tuple[SiteState, ...], age_s: float, event: Event) -> None:
    assert judge(outcomes(*states), 0, 2, POLICY, ring_age_s=age_s, accepted=0) is event


def test_the_last_ring_ends_it_and_a_late_failure_of_an_earlier_ring_counts() -> None:
    second = outcomes(APPLIED, ring=1)
    well = outcomes(APPLIED) + second
    assert judge(well, 1, 2, POLICY, ring_age_s=601, accepted=0) is Event.LAST_WELL
    late = outcomes(FAILED) + second
    assert judge(late, 1, 2, POLICY, ring_age_s=601, accepted=0) is Event.TOO_MANY_ERRORS
    assert judge(late, 1, 2, POLICY, ring_age_s=601, accepted=1) is Event.LAST_WELL


def test_the_threshold_is_the_number_of_errors_that_do_not_stop_it() -> None:
    policy = Policy(errors_max=2, soak_s=0, patience_s=0)
    for failed, event in ((2, Event.RING_WELL), (3, Event.TOO_MANY_ERRORS)):
        ring = outcomes(APPLIED, *[FAILED] * failed)
        assert judge(ring, 0, 2, policy, ring_age_s=1, accepted=0) is event


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_state_and_event_is_decided_or_refused(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        after, effect = advance(state, event)
        assert (effect is Effect.PUBLISH_NEXT) == (event is Event.RING_WELL)
        assert after is State.RUNNING or event not in (Event.WAIT, Event.RING_WELL, Event.RESUME)
        return
    with pytest.raises(KyusaiError, match=f"the rollout is {state}"):
        advance(state, event)


def test_nothing_leads_out_of_finished() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is State.FINISHED]


@pytest.mark.parametrize(
    ("told", "state"),
    [
        pytest.param([], WAITING, id="no box"),
        pytest.param([(None, None)], WAITING, id="a box that never reported"),
        pytest.param([(6, "applied")], WAITING, id="an older version"),
        pytest.param([(7, "applied")], APPLIED, id="applied"),
        pytest.param([(8, "refused")], APPLIED, id="a later version was published by hand"),
        pytest.param([(7, "applied"), (7, "rolled_back")], FAILED, id="one of two boxes"),
        pytest.param([(7, "refused")], FAILED, id="refused"),
    ],
)
def test_a_sites_outcome_is_that_of_its_boxes(
    told: list[tuple[int | None, str | None]], state: SiteState
) -> None:
    assert site_state(7, told) is state


def test_a_change_is_a_merge_patch() -> None:
    before = {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    assert patched(before, {"a": {"b": None, "e": 3}, "d": [9]}) == {"a": {"c": 2, "e": 3}, "d": [9]}
    assert before == {"a": {"b": 1, "c": 2}, "d": [1, 2]}
