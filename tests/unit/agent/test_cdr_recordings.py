"""What a CDR says of a call's audio: its quality, pauses, classes, recordings that found no room."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from agent.cdr import (
    SETTLE_MS,
    CallBook,
)
from agent.journal_events import JournalEvent, Kind
from tests.helpers.call_journal import answered_call, event, fold, moment, only_cdr, resumed, start


def anchored_call() -> list[JournalEvent]:
    events = answered_call()
    events[4] = replace(events[4], data={**events[4].data, "anchored": True})
    return events


def test_quality_is_asked_for_at_the_end_and_the_cdr_waits_no_longer_than_it_settles() -> None:
    book = CallBook("s", "b")
    for item in anchored_call()[:-1]:
        book.apply(item)
    assert book.unheard(moment(5_000)) == ["abc@192.0.2.20"], "while it is up"
    assert book.unheard(moment(5_250)) == []
    book.hear({"abc@192.0.2.20": {"mos": 4.1}})
    assert book.apply(anchored_call()[-1]) == []
    assert book.unheard(moment(64_100)) == ["abc@192.0.2.20"]
    assert book.unheard(moment(64_350)) == ["abc@192.0.2.20"], "again, until there is an answer"
    book.hear({"abc@192.0.2.20": {"mos": 3.9, "loss": 0.02, "jitter_ms": 4.0}})
    assert book.unheard(moment(64_600)) == []
    cdr = only_cdr(book.tick(moment(64_000 + SETTLE_MS)))
    assert cdr["quality"] == {"mos": 3.9, "loss": 0.02, "jitter_ms": 4.0}


def test_rtpengine_that_is_gone_at_the_end_leaves_what_it_said_before() -> None:
    book = CallBook("s", "b")
    for item in anchored_call()[:-1]:
        book.apply(item)
    book.unheard(moment(5_000))
    book.hear({"abc@192.0.2.20": {"mos": 4.1}})
    book.apply(anchored_call()[-1])
    book.hear({})
    cdr = only_cdr(book.tick(moment(64_000 + SETTLE_MS)))
    assert cdr["quality"] == {"mos": 4.1}
    assert book.unheard(moment(70_000)) == []


def test_rtpengine_that_knows_nothing_more_is_not_asked_again() -> None:
    book = CallBook("s", "b")
    for item in anchored_call():
        book.apply(item)
    book.unheard(moment(64_100))
    book.hear({"abc@192.0.2.20": None})
    assert book.unheard(moment(64_350)) == []
    assert only_cdr(book.tick(moment(10**6)))["quality"] is None


def test_direct_and_unanswered_calls_are_never_asked_about() -> None:
    book = CallBook("s", "b")
    for item in [*answered_call(), start(70_000, "x#1"), event(Kind.END, 71_000, "x#1", cause="user_busy")]:
        book.apply(item)
        assert book.unheard(moment(item.at.mono_ms + 100_000)) == []


def test_quality_of_a_call_that_ended_under_a_killed_agent_is_asked_for_by_the_next() -> None:
    book = CallBook("s", "b")
    for item in anchored_call():
        book.apply(item)
    assert resumed(book).unheard(moment(64_300)) == ["abc@192.0.2.20"]


def test_who_was_told_after_the_answer_is_recorded_from_then_on() -> None:
    *begun, answer, end = answered_call()
    begun[0] = replace(begun[0], data={**begun[0].data, "record": True})
    untold = replace(answer, data={**answer.data, "record": False, "recording_refused": "unannounced"})
    told = replace(answer, seq=answer.seq, kind=Kind.MEDIA, data={"announced": True})
    for later, expected in (([], (False, "unannounced", False)), ([told], (True, "", True))):
        cdr = only_cdr(fold([*begun, untold, *later, end]))
        assert (cdr["announced"], cdr["recording_refused"], bool(cdr["recordings"])) == expected


def test_pauses_are_counted_and_the_class_named_last_holds() -> None:
    book = CallBook("s", "b")
    begun, end = answered_call()[:-1], answered_call()[-1]
    for item in begun:
        book.apply(item)
    for retention in ("short", "長" * 40):
        book.paused("abc@192.0.2.20")
        book.classed("abc@192.0.2.20", retention)
    book.paused("nobody")
    cdr = only_cdr([*book.apply(end), *book.tick(moment(10**9))])
    assert (cdr["recording_pauses"], cdr["retention"]) == (2, "長" * 10)


@pytest.mark.parametrize(
    ("recorded", "named", "expected"), [(True, "", "by-rule"), (True, "payment", "payment"), (False, "", "")]
)
def test_sites_rules_class_recorded_calls_that_no_flow_has_classed(
    *, recorded: bool, named: str, expected: str
) -> None:
    asked: list[object] = []

    def classify(cdr: Mapping[str, object]) -> str:
        asked.append(cdr["number"])
        return "by-rule"

    book = CallBook("s", "b", classify=classify)
    for item in [start(record=recorded), *answered_call()[1:-1]]:
        book.apply(item)
    if named:
        book.classed("abc@192.0.2.20", named)
    cdr = only_cdr([*book.apply(answered_call()[-1]), *book.tick(moment(10**9))])
    assert (bool(cdr["recordings"]), cdr["retention"]) == (recorded, expected)
    assert asked == ["202"] * (expected == "by-rule")


def test_call_that_found_no_room_for_its_recording_says_so_and_names_none() -> None:
    first, *rest = answered_call()
    told = replace(first, data={**first.data, "record": False, "recording_refused": "disk"})
    cdr = only_cdr(fold([told, *rest]))
    assert (cdr["recording_refused"], cdr["recordings"]) == ("disk", [])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, (False, "", True)),
        ({"announced": True}, (True, "", True)),
        ({"record": False, "recording_refused": "unannounced"}, (False, "unannounced", False)),
    ],
    ids=["nobody had to be told", "told", "could not be told"],
)
def test_an_answer_says_whether_the_caller_was_told_of_the_recording(
    told: dict[str, object], expected: tuple[bool, str, bool]
) -> None:
    """In whatever order the rows come in."""
    rows = [start(record=True), *answered_call()[1:]]
    rows = [replace(row, data={**row.data, **told}) if row.kind is Kind.ANSWER else row for row in rows]
    for order in (rows, [*rows[1:-1], rows[0], rows[-1]]):
        cdr = only_cdr(fold(order))
        assert (cdr["announced"], cdr["recording_refused"], bool(cdr["recordings"])) == expected
