"""When the box registers its telephones at the cloud: once, in time, at a pace, and never all again without an outage."""

import pytest

from appliance.kamailio.upstream_registrations import (
    EXPIRES_S,
    PER_SECOND,
    RETRY_FIRST_S,
    RETRY_MAX_S,
    SILENCE_S,
    UpstreamRegistrations,
)
from appliance.model import LinkState

SECOND_MS = 1000
CLOUD = "cloud"


def granted(count: int, link: LinkState = LinkState.UP) -> tuple[UpstreamRegistrations, int]:
    """That many numbers, all registered at the cloud for ten minutes, and the time at which the last one was."""
    plan, now_ms = UpstreamRegistrations(), 0
    numbers = [str(201 + index) for index in range(count)]
    for number in numbers:
        plan.want(CLOUD, number, now_ms)
    plan.link(CLOUD, link, now_ms)
    sent: list[str] = []
    while len(sent) < count:
        now_ms += SECOND_MS
        fresh = plan.due(CLOUD, now_ms)
        assert fresh, "the pace allows some every second"
        sent += fresh
        for number in fresh:
            plan.answered((CLOUD, number), 200, EXPIRES_S, now_ms, 0.5)
    assert sorted(sent) == numbers
    return plan, now_ms


def all_due(plan: UpstreamRegistrations, now_ms: int) -> int:
    """How many are due within the next ten seconds."""
    return sum(len(plan.due(CLOUD, now_ms + step * SECOND_MS)) for step in range(11))


@pytest.mark.parametrize("passing", [LinkState.SUSPECT, LinkState.UNKNOWN, LinkState.RECOVERING])
def test_doubt_that_passes_makes_no_number_due_again(passing: LinkState) -> None:
    plan, now_ms = granted(100)
    for state in (passing, LinkState.UP):
        plan.link(CLOUD, state, now_ms)
        assert all_due(plan, now_ms) == 0


def test_number_that_comes_while_the_link_is_in_doubt_is_sent() -> None:
    plan = UpstreamRegistrations()
    plan.link(CLOUD, LinkState.SUSPECT, 0)
    plan.want(CLOUD, "201", 0)
    assert plan.due(CLOUD, 0) == ["201"]


@pytest.mark.parametrize("after", [LinkState.UP, LinkState.RECOVERING, LinkState.SUSPECT, LinkState.UNKNOWN])
def test_outage_makes_every_number_due_once_when_it_ends(after: LinkState) -> None:
    plan, now_ms = granted(100)
    plan.link(CLOUD, LinkState.DOWN, now_ms)
    assert all_due(plan, now_ms) == 0
    now_ms += 20 * SECOND_MS
    plan.link(CLOUD, after, now_ms)
    assert all_due(plan, now_ms) == 100
    plan.link(CLOUD, LinkState.UP, now_ms + 15 * SECOND_MS)
    assert all_due(plan, now_ms + 15 * SECOND_MS) == 0


def test_recovery_is_paced() -> None:
    plan, now_ms = granted(500)
    plan.link(CLOUD, LinkState.DOWN, now_ms)
    now_ms += 60 * SECOND_MS
    plan.due(CLOUD, now_ms)
    plan.link(CLOUD, LinkState.RECOVERING, now_ms)
    sent = [len(plan.due(CLOUD, now_ms + step * 100)) for step in range(31)]
    assert sent[0] <= PER_SECOND
    assert sum(sent) <= PER_SECOND * 4 + 1
    assert max(sent[1:]) <= PER_SECOND // 10 + 1


def test_refresh_comes_in_the_second_half_of_the_granted_time() -> None:
    plan, now_ms = granted(1)
    assert plan.due(CLOUD, now_ms + EXPIRES_S * 500) == []
    assert plan.due(CLOUD, now_ms + EXPIRES_S * 800) == ["201"]


def test_refusals_are_tried_again_ever_later_up_to_the_cap() -> None:
    plan, now_ms = granted(1)
    now_ms += EXPIRES_S * SECOND_MS
    waits_s = []
    for _ in range(8):
        assert plan.due(CLOUD, now_ms) == ["201"]
        plan.answered((CLOUD, "201"), 503, 0, now_ms, 0.0)
        began_ms = now_ms
        while not plan.due(CLOUD, now_ms):
            now_ms += SECOND_MS
        waits_s.append((now_ms - began_ms) // SECOND_MS)
        now_ms += SILENCE_S * SECOND_MS
    assert waits_s == [min(RETRY_FIRST_S * 2**n, RETRY_MAX_S) for n in range(8)]


def test_number_without_a_phone_and_upstream_without_a_place_are_forgotten() -> None:
    plan, now_ms = granted(3)
    plan.drop(CLOUD, "201")
    assert len(plan) == 2
    plan.upstreams(["another"])
    assert (len(plan), plan.due(CLOUD, now_ms + EXPIRES_S * SECOND_MS)) == (0, [])


def test_phone_that_leaves_while_its_registration_is_on_its_way_is_told_after_the_answer() -> None:
    plan, now_ms = granted(1)
    due_ms = now_ms + EXPIRES_S * SECOND_MS
    assert plan.due(CLOUD, due_ms) == ["201"]
    plan.hasten(CLOUD, "201", due_ms)
    assert plan.due(CLOUD, due_ms + SECOND_MS) == []
    plan.answered((CLOUD, "201"), 200, EXPIRES_S, due_ms + SECOND_MS, 0.5)
    assert plan.due(CLOUD, due_ms + SECOND_MS) == ["201"]
