"""Two boxes with one identity. A failure hides a stolen copy, or calls a well box its own copy."""

import base64
import random

import pytest

from cloudsync.lease import CHANCE_BYTES, NUMBER_MAX, RENEW_S, Lease, Verdict, judge, number_of, renewed


def numbered(number: int) -> str:
    """A lease with that number."""
    raw = number.to_bytes(8, "big") + b"r" * CHANCE_BYTES
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("held", "shown", "verdict"),
    [
        pytest.param(Lease(), "", Verdict.RENEW, id="the first heartbeat"),
        pytest.param(Lease("b", "a", RENEW_S - 1), "b", Verdict.KEEP, id="young"),
        pytest.param(Lease("b", "a", RENEW_S), "b", Verdict.RENEW, id="old"),
        pytest.param(Lease("b", "a", -9e7), "b", Verdict.RENEW, id="handed out by a clock that was ahead"),
        pytest.param(Lease("b", "a", 5), "a", Verdict.RENEW, id="the answer was lost"),
        pytest.param(Lease("a", "", 5), "", Verdict.RENEW, id="the first answer was lost"),
        pytest.param(Lease("c", "b", 5), "a", Verdict.FORKED, id="somebody else renewed"),
        pytest.param(Lease("c", "b", 5), "", Verdict.FORKED, id="a copy from before"),
        pytest.param(Lease(numbered(7), numbered(6)), numbered(9), Verdict.RENEW, id="centre set back"),
        pytest.param(Lease("c", "b"), numbered(1), Verdict.RENEW, id="centre set back to an older release's"),
        pytest.param(Lease(numbered(7), numbered(6)), numbered(5), Verdict.FORKED, id="a copy, numbered"),
        pytest.param(
            Lease(numbered(7), numbered(6)), "AAAA", Verdict.FORKED, id="a copy of an older release"
        ),
        pytest.param(Lease(numbered(7), numbered(6)), numbered(NUMBER_MAX), Verdict.FORKED, id="made up"),
    ],
)
def test_a_lease_is_judged(held: Lease, shown: str, verdict: Verdict) -> None:
    assert judge(held, shown) is verdict


class Centre:
    """The centre's side of the rule, as `service.telemetry` applies it."""

    def __init__(self, chance: random.Random) -> None:
        self.held = Lease()
        self.chance = chance
        self.forked = False

    def beat(self, shown: str) -> str:
        verdict = judge(self.held, shown)
        self.forked |= verdict is Verdict.FORKED
        if verdict is not Verdict.KEEP:
            fresh = renewed(self.held, shown, self.chance.randbytes(CHANCE_BYTES))
            assert number_of(fresh) > max(number_of(self.held.current), number_of(shown))
            self.held = Lease(fresh, shown, RENEW_S)
        return self.held.current


@pytest.mark.parametrize("seed", range(50))
def test_one_box_on_a_line_that_loses_requests_and_answers_is_never_taken_for_two(seed: int) -> None:
    chance, lease = random.Random(seed), ""
    centre = Centre(chance)
    backup = centre.held
    for _ in range(200):
        fate = chance.random()
        if fate < 0.05:
            backup = centre.held
        elif fate < 0.1:
            centre.held = backup
        if fate < 0.3:  # the request is lost
            continue
        answer = centre.beat(lease)
        if fate > 0.6:  # else the answer is
            lease = answer
    assert not centre.forked


@pytest.mark.parametrize("seed", range(50))
def test_two_boxes_with_one_disk_are_noticed_within_a_few_heartbeats(seed: int) -> None:
    chance = random.Random(seed)
    centre = Centre(chance)
    backup = centre.held
    leases = [centre.beat("")] * 2
    for beat in range(40):
        if beat == 10:
            centre.held, centre.forked = backup, False
        who = chance.randrange(2)
        leases[who] = centre.beat(leases[who])
    assert centre.forked
