"""Any journal, read with any crashes, gives each call its CDRs once; the table of the fold is total."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.call_doc import CallDoc, Phase, from_json, to_json
from agent.cdr import (
    TOMBSTONE_MS,
    TRANSITIONS,
    CallBook,
    IllegalTransition,
    Trigger,
)
from agent.journal_events import JournalEvent, Kind
from agent.records import NewRecord
from tests.helpers.call_journal import (
    BOOT,
    CALL,
    OF_NO_CALL,
    answered_call,
    event,
    fold,
    moment,
    restart,
    resumed,
)


def test_table_is_total_for_journal_events_and_refuses_the_impossible() -> None:
    kinds = [kind for kind in Kind if kind not in OF_NO_CALL]
    triggers = [*kinds, *Trigger]
    impossible = {(phase, t) for phase in Phase for t in triggers if (phase, t) not in TRANSITIONS}
    assert impossible == {
        *((phase, t) for phase in (Phase.SETUP, Phase.TALKING) for t in (Trigger.REUSE, Trigger.LATE_END)),
        *((phase, t) for phase in (Phase.SETUP, Phase.TALKING) for t in (Trigger.SETTLED, Trigger.FORGOTTEN)),
        *((Phase.ENDED, t) for t in (Trigger.LATE_END, Trigger.OVERDUE, Trigger.FORGOTTEN)),
        (Phase.CLOSED, Trigger.SETTLED),
    }


def test_impossible_transition_raises_with_phase_and_event() -> None:
    book = CallBook("s", "b", [CallDoc(call="c", boot_id=BOOT)])
    with pytest.raises(IllegalTransition, match="setup cannot take settled"):
        book._fire(book.docs["c"], Trigger.SETTLED, moment(1))


@pytest.mark.parametrize("phase", list(Phase))
def test_document_of_every_phase_resumes_from_its_json(phase: Phase) -> None:
    doc = CallDoc(call="c", boot_id=BOOT, phase=phase, started=True, answered=True)
    assert from_json({**to_json(doc), "added_by_a_newer_version": 1}) == doc


def test_unknown_phase_is_no_document() -> None:
    with pytest.raises(ValueError, match="paused"):
        from_json({**to_json(CallDoc(call="c", boot_id=BOOT)), "phase": "paused"})


def test_closed_calls_are_forgotten_after_a_while() -> None:
    book = CallBook("s", "b")
    for item in answered_call():
        book.apply(item)
    book.tick(moment(66_000))
    assert set(book.docs) == {CALL}
    book.tick(moment(66_000 + TOMBSTONE_MS))
    assert book.docs == {}
    assert book.take_touched() == {CALL: None}


# --------------------------------------------------------------------------- any story, any crash: each call once

_CALLS = [f"call-{n}#0000000{n}" for n in range(4)]


@st.composite
def journals(draw: st.DrawFn) -> list[JournalEvent]:
    """A journal of up to four calls over up to three boots, events in an order a real box could write them in."""
    events: list[JournalEvent] = []
    for boot_number in range(draw(st.integers(1, 3))):
        boot, mono_ms = f"boot-{boot_number}", 10
        events.append(restart(mono_ms, boot))
        for _ in range(draw(st.integers(0, 12))):
            mono_ms += draw(st.integers(1, 3_000))
            kind = draw(st.sampled_from([k for k in Kind if k not in (Kind.REGISTRATION, Kind.SETTING)]))
            call = "" if kind is Kind.PROCESS_START else draw(st.sampled_from(_CALLS))
            data: dict[str, Any] = {"index": 0, "cause": "normal_clearing", "anchored": draw(st.booleans())}
            if kind is Kind.START:
                data = {"call_id": call}
            elif kind is Kind.END:
                data |= {"forgotten": draw(st.booleans())}
            events.append(event(kind, mono_ms, call, boot=boot, **data))
    return [JournalEvent(seq, e.call, e.kind, e.at, e.data) for seq, e in enumerate(events, 1)]


@settings(max_examples=150)
@given(journals(), st.data())
def test_any_journal_read_with_any_crashes_gives_each_call_the_same_cdrs_once(
    events: list[JournalEvent], data: st.DataObject
) -> None:
    whole = CallBook("s", "b")
    expected = [record for item in events for record in whole.apply(item)]
    broken = CallBook("s", "b")
    stored: list[NewRecord] = []
    position = 0
    while position < len(events):
        page = events[position : position + data.draw(st.integers(1, 5))]
        working = resumed(broken)
        made = [record for item in page for record in working.apply(item)]
        if data.draw(st.booleans()):  # killed before the commit: neither records nor documents were kept
            continue
        broken, position = working, position + len(page)
        stored.extend(made)
    end = moment(10**10, "boot-end")
    assert stored + resumed(broken).tick(end) == expected + whole.tick(end)
    ids = [record.id for record in stored if record.kind == "cdr"]
    assert len(ids) == len(set(ids))


@settings(max_examples=150)
@given(journals())
def test_every_call_in_a_journal_gets_a_cdr_in_the_end(events: list[JournalEvent]) -> None:
    records = fold(events, boot="boot-end")
    told = {record.body["call"] for record in records if record.kind == "cdr"}
    too_little = (Kind.TRANSFER, Kind.MEDIA, *OF_NO_CALL)
    assert told == {
        item.call
        for item in events
        if item.call and item.kind not in too_little and not item.data.get("forgotten")
    }
