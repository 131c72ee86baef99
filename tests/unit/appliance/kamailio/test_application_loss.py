"""A call ends with the FreeSWITCH that one of its sides was in, and with no other."""

import pytest

from appliance.kamailio.application_loss import judge

Looks = list[tuple[str, str]]
"""Calls that are up (one letter each), and which FreeSWITCH runs."""


@pytest.mark.parametrize(
    ("looks", "lost"),
    [
        ([("ab", "1"), ("ab", "1"), ("a", "1")], ""),
        ([("ab", "1"), ("ab", "2")], "ab"),
        ([("a", "1"), ("a", "")], "a"),
        ([("a", "1"), ("ab", "2"), ("b", "2")], "a"),
        ([("a", "1"), ("", "2"), ("b", "2"), ("b", "2")], ""),
        ([("", ""), ("a", "1"), ("a", "1")], ""),
    ],
    ids=[
        "lives",
        "started anew",
        "died",
        "one that is first seen with the new one",
        "ended before",
        "first start",
    ],
)
def test_call_is_lost_when_another_one_runs_than_when_it_was_first_seen(looks: Looks, lost: str) -> None:
    seen: dict[str, str] = {}
    found = set[str]()
    for calls, runs in looks:
        gone, seen = judge(calls, seen, runs)
        found |= gone
        assert set(seen) == set(calls) - gone
    assert found == set(lost)
