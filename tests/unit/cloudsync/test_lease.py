"""Two boxes with one identity. A failure hides a stolen copy, or calls a well box its own copy."""

import random

import pytest

from cloudsync.lease import RENEW_S, Lease, Verdict, judge


@pytest.mark.parametrize(
    ("held", "shown", "verdict"),
    [
        pytest.param(Lease(), "", Verdict.RENEW, id="the first heartbeat"),
        pytest.param(Lease("b", "a", RENEW_S - 1), "b", Verdict.KEEP, id="young"),
        pytest.param(Lease("b", "a", RENEW_S), "b", Verdict.RENEW, id="old"),
        pytest.param(Lease("b", "a", 5), "a", Verdict.RENEW, id="the answer was lost"),
        pytest.param(Lease("a", "", 5), "", Verdict.RENEW, id="the first answer was lost"),
        pytest.param(Lease("c", "b", 5), "a", Verdict.FORKED, id="somebody else renewed"),
        pytest.param(Lease("c", "b", 5), "", Verdict.FORKED, id="a copy from before"),
    ],
)
def test_a_lease_is_judged(held: Lease, shown: str, verdict: Verdict) -> None:
    assert judge(held, shown) is verdict


class Centre:
    """The centre's side of the rule, as `service.telemetry` applies it."""

    def __init__(self) -> None:
        self.held = Lease()
        self.number = 0
        self.forked = False

    def beat(self, shown: str) -> str:
        verdict = judge(self.held, shown)
        self.forked |= verdict is Verdict.FORKED
        if verdict is Verdict.KEEP:
            return self.held.current
        self.number += 1
        self.held = Lease(str(self.number), shown, RENEW_S)
        return self.held.current


@pytest.mark.parametrize("seed", range(50))
def test_one_box_on_a_line_that_loses_requests_and_answers_is_never_taken_for_two(seed: int) -> None:
    chance, centre, lease = random.Random(seed), Centre(), ""
    for _ in range(200):
        fate = chance.random()
        if fate < 0.3:  # the request is lost
            continue
        answer = centre.beat(lease)
        if fate > 0.6:  # else the answer is
            lease = answer
    assert not centre.forked


@pytest.mark.parametrize("seed", range(50))
def test_two_boxes_with_one_disk_are_noticed_within_a_few_heartbeats(seed: int) -> None:
    chance, centre = random.Random(seed), Centre()
    leases = [centre.beat("")] * 2
    for _ in range(30):
        who = chance.randrange(2)
        leases[who] = centre.beat(leases[who])
    assert centre.forked
