"""A call is ended for want of audio only when rtpengine had it and has lost it for good."""

import pytest

from appliance.kamailio.causes import Cause
from appliance.kamailio.media_loss import Look, Memory, judge

Looks = list[tuple[str, Look]]
"""Calls that are up (one letter each), and what rtpengine says."""


def look(uptime_s: int, calls: str = "") -> Look:
    return Look(uptime_s, frozenset(calls))


@pytest.mark.parametrize(
    ("looks", "lost"),
    [
        ([("ab", look(10, "ab")), ("ab", look(12, "b")), ("ab", look(14, "b"))], {"a": Cause.MEDIA_TIMEOUT}),
        ([("ab", look(10, "ab")), ("a", look(12, "a")), ("a", look(14, "a"))], {}),
        ([("a", look(10, "a")), ("a", look(1)), ("a", look(3))], {"a": Cause.MEDIA_LOST}),
        ([("a", look(10, "a")), ("a", look(1)), ("a", look(3, "a")), ("a", look(5, "a"))], {}),
        ([("a", look(10)), ("a", look(12)), ("a", look(14))], {}),
        ([("a", look(10, "a")), ("a", look(12)), ("", look(14))], {}),
        ([("", look(10, "a")), ("a", look(12)), ("a", look(14))], {}),
    ],
    ids=[
        "timed out",
        "another one ended by a BYE",
        "rtpengine was restarted",
        "brought back by a re-INVITE",
        "never there",
        "ended between two looks",
        "let go before the answer",
    ],
)
def test_call_is_lost_only_if_rtpengine_had_it_and_misses_it_twice(
    looks: Looks, lost: dict[str, Cause]
) -> None:
    memory, found = Memory(), dict[str, Cause]()
    for anchored, now in looks:
        gone, memory = judge(anchored, memory, now)
        found |= gone
    assert found == lost
