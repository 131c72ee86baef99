"""Who is in which call, by the journal's rows: lamps that would be wrong if these failed."""

from typing import Any

import pytest

from appliance.kamailio.compact_json import write
from appliance.kamailio.dialog_info import document
from appliance.kamailio.lamp_calls import LampCalls, Part, State
from appliance.kamailio.message_summary import Messages, summary

WATCHED = frozenset({"201", "202", "203", "600", "771"})


class Rows:
    """Feeds a `LampCalls` with a call's rows."""

    def __init__(self, watched: frozenset[str] = WATCHED) -> None:
        self.calls = LampCalls()
        self.calls.watch(watched)

    def put(self, call: str, event: str, **data: Any) -> "Rows":
        self.calls.take(f"{call}#0", event, write(data))
        return self

    def start(self, call: str, caller: str, number: str, kind: str = "extension", **more: Any) -> "Rows":
        origin = "phone" if len(caller) == 3 else "gateway"
        who = {"origin": origin, "origin_id": caller, "caller": caller, "number": number, "kind": kind}
        return self.put(call, "start", call_id=call, from_tag="f", **who, **more)

    def rings(self, call: str, *users: str, index: int = 0) -> "Rows":
        return self.put(call, "step", index=index, kind="contacts", target="", users=list(users))

    def parks(self, call: str, place: str = "771") -> "Rows":
        self.put(call, "step", index=0, kind="media", target="parking", users=[place])
        return self.put(call, "answer", index=0, code=200, user=place)

    def answers(self, call: str, user: str, index: int = 0) -> "Rows":
        return self.put(call, "answer", index=index, code=200, user=user)

    def lit(self, *numbers: str) -> dict[str, list[tuple[str, str]]]:
        self.calls.settle()
        return {
            number: [("called" if part.called else "calls", str(part.state)) for part in found]
            for number in numbers or sorted(WATCHED)
            if (found := self.calls.parts(number))
        }


def test_both_sides_of_a_call_from_the_first_ring_to_the_end() -> None:
    rows = Rows().start("c", "201", "202").rings("c", "202")
    assert rows.lit() == {"201": [("calls", "early")], "202": [("called", "early")]}
    assert rows.calls.parts("202") == (Part("c#0", "c", "f", True, State.EARLY, "201"),)
    rows.answers("c", "202")
    assert rows.lit() == {"201": [("calls", "confirmed")], "202": [("called", "confirmed")]}
    assert rows.put("c", "end").lit() == {}


def test_caller_from_outside_is_shown_to_nobody() -> None:
    rows = Rows().start("c", "0399998888", "202").rings("c", "202")
    assert rows.lit() == {"202": [("called", "early")]}
    (part,) = rows.calls.parts("202")
    assert "0399998888" not in document("202", "tokyo.example", 1, [part])


def test_group_rings_with_its_members_and_those_who_do_not_answer_are_free() -> None:
    rows = Rows().start("c", "0399998888", "600", "group").rings("c", "202", "203")
    assert set(rows.lit()) == {"600", "202", "203"}
    assert rows.answers("c", "203").lit() == {
        "203": [("called", "confirmed")],
        "600": [("called", "confirmed")],
    }


def test_telephone_that_does_not_answer_is_free_when_the_next_one_rings() -> None:
    rows = Rows().start("c", "0399998888", "202").rings("c", "202")
    rows.put("c", "step_end", index=0, outcome="no_answer", code=408)
    assert rows.lit() == {}
    assert rows.rings("c", "203", index=1).lit() == {"203": [("called", "early")]}


def test_call_that_a_cloud_sent_back_is_the_telephones_and_any_other_that_it_took_is_nobodys() -> None:
    by_cloud = {"index": 0, "kind": "cloud", "target": "cloud", "users": ["202"]}
    rows = Rows().start("c", "201", "202").put("c", "step", **by_cloud).answers("c", "202")
    assert rows.lit() == {"201": [("calls", "confirmed")]}
    rows.rings("c", "202", index=100)  # read after the answer: it came by another queue
    assert rows.lit() == {"201": [("calls", "confirmed")], "202": [("called", "confirmed")]}


def test_number_that_begins_to_be_watched_during_a_call_is_lit_at_once() -> None:
    rows = Rows(frozenset()).start("c", "201", "202").rings("c", "202").answers("c", "202")
    assert rows.lit() == {}
    rows.calls.watch(WATCHED)
    assert rows.lit("202") == {"202": [("called", "confirmed")]}


def test_place_is_lit_while_a_call_waits_and_dark_while_two_that_met_there_talk() -> None:
    rows = Rows().start("a", "201", "771", "application").parks("a")
    assert rows.lit("771") == {"771": [("called", "confirmed")]}
    rows.start("b", "203", "771", "application").parks("b")
    assert rows.lit("771") == {}
    rows.start("c", "202", "771", "application").parks("c")
    assert rows.lit("771") == {"771": [("called", "confirmed")]}
    rows.put("a", "end")
    assert rows.lit("771") == {"771": [("called", "confirmed")]}
    rows.put("b", "end").put("c", "end")
    assert rows.lit("771") == {}


def test_place_is_dark_when_the_caller_hangs_up_or_the_call_returns() -> None:
    rows = Rows().start("a", "201", "771", "application").parks("a").put("a", "end")
    assert rows.lit("771") == {}
    rows.start("b", "201", "771", "application").parks("b")
    assert rows.lit("771")
    rows.start("back", "0000", "203", part_of="b").rings("back", "203")
    assert rows.lit("771", "203") == {"203": [("called", "early")]}


def test_place_that_is_watched_while_a_call_waits_there_is_lit() -> None:
    rows = Rows(frozenset()).start("a", "201", "771", "application").parks("a")
    rows.calls.watch(WATCHED)
    assert rows.lit("771") == {"771": [("called", "confirmed")]}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"index":"x"}', "7", '{"users":[1]}'])
def test_rows_that_are_no_rows_light_nothing_and_break_nothing(text: str) -> None:
    calls = LampCalls()
    calls.watch(WATCHED)
    for event in ("start", "step", "step_end", "answer", "unknown", "end"):
        calls.take("c#0", event, text)
        calls.settle()
    assert [calls.parts(number) for number in WATCHED] == [()] * len(WATCHED)


def test_what_rings_is_known_though_nobody_watches() -> None:
    rows = Rows(frozenset()).start("c", "201", "600", "group").rings("c", "202", "203")
    (found,) = rows.calls.ringing()
    assert (found.call_id, found.users, found.number, found.caller) == ("c", ("202", "203"), "600", "201")
    rows.answers("c", "202")
    assert rows.calls.ringing() == []


def test_names_that_are_markup_stay_text() -> None:
    part = Part('c"><x', 'i"&<', "t", True, State.EARLY, "201")
    written = document("202", "tokyo.example", 3, [], [part])
    assert 'id="c&quot;&gt;&lt;x" call-id="i&quot;&amp;&lt;"' in written
    assert "<state>terminated</state>" in written


def test_summary_counts_new_and_old_messages() -> None:
    assert summary("202", "tokyo.example", Messages(2, 8, 1, 0)) == (
        "Messages-Waiting: yes\r\nMessage-Account: sip:202@tokyo.example\r\nVoice-Message: 2/8 (1/0)\r\n"
    )
