"""Group strategies. A wrong one lets the same person answer every call, or a caller ring for ever."""

import pytest

from appliance.kamailio.actions import Plan, StepKind
from appliance.kamailio.members import BUSY, IDLE, Asked, Members
from appliance.kamailio.routing import decide
from appliance.kamailio.turns import groups_in, turned
from appliance.kamailio.view import Extension
from appliance.model import CallControl
from tests.helpers.site_view import SiteView, from_phone, group, site

MEMBERS = ("201", "202", "203")


def view(strategy: str, *changed: Extension, **changes: object) -> SiteView:
    held = group("600", strategy=strategy, members=MEMBERS, ring_s=10, **changes)
    return site(held, *changed, call_control=CallControl.LOCAL)


def rung(plan: Plan) -> list[tuple[str, int]]:
    return [(step.users[0], step.ring_s) for step in plan.steps if step.kind is StepKind.CONTACTS]


def plan(of: SiteView) -> Plan:
    return decide(from_phone("600", "204"), of)


def test_the_longest_idle_is_rung_first_and_who_was_never_called_before_all() -> None:
    at = view("longest_idle")
    at.idle = {"201": 3_000, "202": 2_000}
    assert rung(plan(at)) == [("203", 10), ("202", 10), ("201", 10)]


def test_members_in_a_call_are_left_out_where_the_group_says_so() -> None:
    for ring_busy, expected in ((True, ["201", "202", "203"]), (False, ["201", "203"])):
        at = view("turn", ring_busy=ring_busy)
        at.talking = frozenset({"202"})
        assert [user for user, _ in rung(plan(at))] == expected


def test_the_overflow_takes_the_call_after_its_time_however_many_were_rung() -> None:
    at = view("turn", overflow="204", overflow_s=25)
    assert rung(decide(from_phone("600", "205"), at)) == [("201", 10), ("202", 10), ("203", 5), ("204", 120)]
    longer = view("turn", overflow="204", overflow_s=45)
    assert rung(decide(from_phone("600", "205"), longer))[:5] == [
        ("201", 10),
        ("202", 10),
        ("203", 10),
        ("201", 10),
        ("202", 5),
    ]


def test_all_ring_until_the_overflow() -> None:
    assert rung(plan(view("all", overflow="202", overflow_s=40)))[0] == ("201", 40)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("", ["201", "202", "203"]),
        ("201", ["202", "203", "201"]),
        ("203", ["201", "202", "203"]),
        ("gone", ["201", "202", "203"]),
    ],
)
def test_round_robin_begins_with_the_next_after_the_last_first(last: str, expected: list[str]) -> None:
    made = plan(view("round_robin"))
    assert groups_in(made) == ("600",)
    after, first = turned(made, "600", last, MEMBERS)
    assert ([user for user, _ in rung(after)], first) == (expected, expected[0])


def test_round_robin_passes_over_who_is_not_to_be_rung_and_goes_on_behind() -> None:
    at = view("round_robin", Extension("202", do_not_disturb=True))
    after, first = turned(plan(at), "600", "201", MEMBERS)
    assert ([user for user, _ in rung(after)], first) == (["203", "201"], "203")


def test_round_and_round_keeps_the_order() -> None:
    made = plan(view("round_robin", overflow="09011112222", overflow_s=50))
    after, _ = turned(made, "600", "201", MEMBERS)
    assert [user for user, _ in rung(after)] == ["202", "203", "201", "202", "203"]


def test_other_groups_do_not_turn() -> None:
    assert groups_in(plan(view("turn"))) == ()


START = '{"call_id":"a","origin":"phone","origin_id":"201","caller":"201","dialled":"202"}'
STEP = '{"index":0,"kind":"contacts","target":"","users":["202","203"],"reason":"extension"}'
ANSWER = '{"index":0,"code":200,"user":"202"}'
UP = [("a#1", "start", START), ("a#1", "step", STEP), ("a#1", "answer", ANSWER)]


def following(asked: Asked, *up: tuple[str, str, str]) -> tuple[Members, list[tuple[str, str, str]]]:
    found: list[tuple[str, str, str]] = []
    members = Members(lambda *published: found.append(published), lambda: 7_000)
    members.ask(asked, lambda: up)
    return members, found


def told(*rows: tuple[str, str, str], asked: Asked = Asked.IDLE) -> list[tuple[str, str, str]]:
    members, found = following(asked)
    for row in rows:
        members.take(*row)
    return found


def test_who_talks_is_busy_until_the_call_ends_and_free_from_then_on() -> None:
    assert told(*UP, ("a#1", "end", "{}")) == [
        (BUSY, "201", "1"),
        (BUSY, "202", "1"),
        (BUSY, "201", ""),
        (IDLE, "201", "7000"),
        (BUSY, "202", ""),
        (IDLE, "202", "7000"),
    ]


def test_a_call_that_nobody_answered_makes_nobody_less_idle() -> None:
    assert told(*UP[:2], ("a#1", "end", "{}"))[-1] == (BUSY, "201", "")


def test_since_when_somebody_is_free_is_only_told_where_a_group_asks() -> None:
    assert told(*UP, ("a#1", "end", "{}"), asked=Asked.CALLS)[-2:] == [(BUSY, "201", ""), (BUSY, "202", "")]


def test_a_call_that_is_up_when_somebody_asks_keeps_both_busy_until_its_end() -> None:
    members, found = following(Asked.CALLS, *UP)
    assert (members.following, found) == (True, [(BUSY, "201", "1"), (BUSY, "202", "1")])
    members.take("a#1", "end", "{}")
    assert found[2:] == [(BUSY, "201", ""), (BUSY, "202", "")]


def test_when_nobody_asks_any_more_nobody_stays_busy() -> None:
    members, found = following(Asked.CALLS, *UP)
    members.ask(Asked.NOTHING, lambda: ())
    assert not members.following
    assert found[2:] == [(BUSY, "201", ""), (BUSY, "202", "")]
    members.ask(Asked.CALLS, lambda: UP)
    assert found[4:] == [(BUSY, "201", "1"), (BUSY, "202", "1")]


def test_another_question_counts_no_call_twice() -> None:
    members, found = following(Asked.CALLS, *UP)
    members.ask(Asked.IDLE, lambda: UP)
    assert found[2:] == []


def test_where_nobody_asks_calls_that_are_up_are_not_even_looked_at() -> None:
    def looked() -> list[tuple[str, str, str]]:
        raise AssertionError("somebody looked")

    members = Members(lambda *published: None, lambda: 7_000)
    members.ask(Asked.NOTHING, looked)
    assert not members.following


def test_a_call_id_that_looks_like_a_field_is_none() -> None:
    hostile = '{"call_id":"x\\",\\"origin_id\\":\\"110\\"","origin":"phone","origin_id":"203"}'
    assert told(("a#1", "start", hostile)) == [(BUSY, "203", "1")]
