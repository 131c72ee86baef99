"""What a call's journal becomes: one CDR for each call, whatever the order and whatever died in between."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.call_doc import CallDoc, Phase, begin, from_json, to_json
from agent.cdr import (
    ORPHAN_SETUP_MAX_MS,
    ORPHAN_TALK_MAX_MS,
    SETTLE_MS,
    TOMBSTONE_MS,
    TRANSITIONS,
    CallBook,
    IllegalTransition,
    Trigger,
)
from agent.cdr_fields import FIELDS, cdr_id
from agent.journal_events import JournalEvent, Kind, Moment
from agent.records import NewRecord
from cloudsync.wire import RECORD_BYTES_MAX, canonical_json, cdr_with_empty

BOOT, NEXT_BOOT = "boot-a", "boot-b"
WALL_MS = 1_790_000_000_000
OF_NO_CALL = (Kind.PROCESS_START, Kind.REGISTRATION, Kind.SETTING, Kind.STAY, Kind.STAY_END, Kind.CUT)
CALL = "abc@192.0.2.20#0011aabb"


def moment(mono_ms: int, boot: str = BOOT, *, wall_ms: int | None = None) -> Moment:
    return Moment(boot, mono_ms, WALL_MS + mono_ms if wall_ms is None else wall_ms)


def event(
    what: Kind,
    mono_ms: int,
    call: str = CALL,
    /,
    *,
    boot: str = BOOT,
    wall_ms: int | None = None,
    **data: Any,
) -> JournalEvent:
    return JournalEvent(mono_ms, call, what, moment(mono_ms, boot, wall_ms=wall_ms), data)


def start(mono_ms: int = 1_000, call: str = CALL, /, **data: Any) -> JournalEvent:
    given_ = {"call_id": "abc@192.0.2.20", "origin": "phone", "origin_id": "201", "caller": "201"}
    more = {"dialled": "202", "number": "202", "kind": "extension", "link": "UP", "record": False}
    return event(Kind.START, mono_ms, call, **{**given_, **more, **data})


def answered_call() -> list[JournalEvent]:
    return [
        start(),
        event(
            Kind.STEP, 1_001, index=0, kind="cloud", target="cloud", users=["202"], reason="cloud_controls"
        ),
        event(Kind.STEP_END, 1_601, index=0, outcome="no_life", code=0),
        event(Kind.STEP, 1_602, index=1, kind="contacts", target="", users=["202"], reason="cloud_silent"),
        event(Kind.ANSWER, 4_000, index=1, code=200, user="202", codec="PCMA"),
        event(Kind.END, 64_000, cause="normal_clearing", code=200, by="caller"),
    ]


def restart(mono_ms: int, boot: str = BOOT) -> JournalEvent:
    return event(Kind.PROCESS_START, mono_ms, "", boot=boot, pid=77)


def fold(events: list[JournalEvent], *, until_ms: int = 10**9, boot: str = BOOT) -> list[NewRecord]:
    book = CallBook("tokyo-1", "tokyo-1-a")
    made = [record for item in events for record in book.apply(item)]
    return made + book.tick(moment(until_ms, boot), kamailio_alive=False)


def only_cdr(records: list[NewRecord]) -> dict[str, Any]:
    (record,) = [r for r in records if r.kind == "cdr"]
    return cdr_with_empty(record.body)


def test_answered_call_gives_one_whole_cdr() -> None:
    cdr = only_cdr(fold(answered_call()))
    assert tuple(cdr) == FIELDS
    assert {k: v for k, v in cdr.items() if k not in ("id", "call", "boot_id")} == {
        "site": "tokyo-1",
        "box": "tokyo-1-a",
        "call_id": "abc@192.0.2.20",
        "direction": "internal",
        "origin": "phone",
        "origin_id": "201",
        "caller": "201",
        "dialled": "202",
        "number": "202",
        "kind": "extension",
        "start_utc": "2026-09-21T14:13:21.000Z",
        "answer_utc": "2026-09-21T14:13:24.000Z",
        "end_utc": "2026-09-21T14:14:24.000Z",
        "clock_ok": True,
        "ring_ms": 3_000,
        "billsec_ms": 60_000,
        "duration_ms": 63_000,
        "disposition": "answered",
        "cause": "normal_clearing",
        "sip_code": 200,
        "ended_by": "caller",
        "route": [
            {
                "kind": "cloud",
                "target": "cloud",
                "reason": "cloud_controls",
                "outcome": "no_life",
                "ms": 600,
                "leg": 0,
            },
            {
                "kind": "contacts",
                "target": "",
                "reason": "cloud_silent",
                "outcome": "answered",
                "ms": 2_398,
                "leg": 0,
            },
        ],
        "legs": [],
        "legs_left_out": 0,
        "part_of": "",
        "applications": [],
        "answered_by": "202",
        "transfers": [],
        "link_state": "UP",
        "offline": False,
        "codec": "PCMA",
        "quality": None,
        "recordings": [],
        "recording_refused": "",
        "announced": False,
        "recording_pauses": 0,
        "retention": "",
        "emergency": False,
        "incomplete": False,
    }


@pytest.mark.parametrize(
    ("cause", "code", "expected"),
    [
        pytest.param("user_busy", 486, "busy", id="busy"),
        pytest.param("no_answer", 480, "no_answer", id="rang out"),
        pytest.param("originator_cancel", 487, "cancelled", id="caller hung up"),
        pytest.param("rejected", 403, "rejected", id="not allowed"),
        pytest.param("", 486, "busy", id="only the code is known"),
        pytest.param("", 503, "failed", id="nothing could take it"),
        pytest.param("preempted", 503, "failed", id="gave way to an emergency call"),
        pytest.param("", 0, "unknown", id="nothing is known"),
    ],
)
def test_unanswered_call_says_how_it_ended(cause: str, code: int, expected: str) -> None:
    cdr = only_cdr(fold([start(), event(Kind.END, 9_000, cause=cause, code=code, by="callee")]))
    assert (cdr["disposition"], cdr["billsec_ms"], cdr["ring_ms"], cdr["answer_utc"]) == (
        expected,
        0,
        8_000,
        None,
    )


@pytest.mark.parametrize(
    ("origin", "kind", "expected"),
    [
        ("phone", "group", "internal"),
        ("phone", "mobile", "out"),
        ("phone", "remote_extension", "out"),
        ("gateway", "extension", "in"),
        ("upstream", "extension", "in_cloud"),
    ],
)
def test_direction_follows_from_who_called_whom(origin: str, kind: str, expected: str) -> None:
    cdr = only_cdr(fold([start(origin=origin, kind=kind), event(Kind.END, 2_000)]))
    assert cdr["direction"] == expected


@given(st.permutations(answered_call()))
def test_events_in_any_order_give_the_same_cdr(order: list[JournalEvent]) -> None:
    assert only_cdr(fold(order)) == only_cdr(fold(answered_call()))


def test_events_told_twice_change_nothing() -> None:
    twice = [item for item in answered_call() for _ in range(2)]
    assert only_cdr(fold(twice)) == only_cdr(fold(answered_call()))


def test_clock_set_during_a_call_is_marked_and_the_duration_stays() -> None:
    events = [
        event(Kind.START, 1_000, wall_ms=5_000, call_id="c"),
        event(Kind.ANSWER, 2_000, wall_ms=6_000),
        event(Kind.END, 62_000, wall_ms=WALL_MS, cause="normal_clearing"),
    ]
    cdr = only_cdr(fold(events))
    assert (cdr["clock_ok"], cdr["duration_ms"], cdr["end_utc"]) == (
        False,
        61_000,
        "2026-09-21T14:13:20.000Z",
    )
    assert cdr["start_utc"] == "2026-09-21T14:12:19.000Z"


def test_box_without_a_clock_marks_its_times() -> None:
    events = [
        event(Kind.START, 1_000, wall_ms=5_000, call_id="c"),
        event(Kind.END, 2_000, wall_ms=6_000),
    ]
    assert only_cdr(fold(events))["clock_ok"] is False


def test_call_that_outlives_a_kamailio_restart_ends_with_its_bye() -> None:
    events = answered_call()
    events.insert(-1, restart(30_000))
    cdr = only_cdr(fold(events))
    assert (cdr["duration_ms"], cdr["cause"], cdr["incomplete"]) == (63_000, "normal_clearing", False)


def test_bye_of_the_called_side_after_a_restart_finds_its_call() -> None:
    events = answered_call()[:-1]
    bye = event(Kind.END, 64_000, "abc@192.0.2.20#ffffffff", cause="normal_clearing", by="callee")
    cdr = only_cdr(fold([*events, restart(30_000), bye]))
    assert (cdr["call"], cdr["duration_ms"], cdr["incomplete"]) == (CALL, 63_000, False)


@pytest.mark.parametrize(
    ("events", "limit_ms"),
    [
        pytest.param(answered_call()[:-1], ORPHAN_TALK_MAX_MS, id="answered"),
        pytest.param(answered_call()[:2], ORPHAN_SETUP_MAX_MS, id="ringing"),
    ],
)
def test_orphan_is_closed_at_its_last_evidence_after_its_limit(
    events: list[JournalEvent], limit_ms: int
) -> None:
    orphaned = [*events, event(Kind.REGISTRATION, 29_000, ""), restart(30_000)]
    assert fold(orphaned, until_ms=30_000 + limit_ms - 1) == []
    cdr = only_cdr(fold(orphaned, until_ms=30_000 + limit_ms))
    assert (cdr["cause"], cdr["incomplete"], cdr["duration_ms"]) == ("kamailio_restart", True, 28_000)


def test_orphan_is_closed_when_rtpengine_no_longer_knows_it() -> None:
    book = CallBook("s", "b")
    for item in [*answered_call()[:-1], restart(30_000)]:
        book.apply(item)
    assert book.tick(moment(40_000), media=frozenset()) == [], (
        "never seen at rtpengine: its audio may be direct"
    )
    assert book.tick(moment(50_000), media=frozenset({"abc@192.0.2.20"})) == []
    cdr = only_cdr(book.tick(moment(60_000), media=frozenset()))
    assert (cdr["cause"], cdr["incomplete"], cdr["duration_ms"]) == ("kamailio_restart", True, 49_000)


def test_box_reboot_closes_open_calls_at_the_last_evidence_of_that_boot() -> None:
    book = CallBook("s", "b")
    for item in answered_call()[:-1]:
        book.apply(item)
    book.tick(moment(20_000))
    cdr = only_cdr(book.apply(restart(500, NEXT_BOOT)))
    assert (cdr["cause"], cdr["incomplete"], cdr["duration_ms"], cdr["disposition"]) == (
        "box_restart",
        True,
        19_000,
        "answered",
    )
    assert cdr["boot_id"] == BOOT


def test_call_that_ended_just_before_the_power_cut_is_whole() -> None:
    book = CallBook("s", "b")
    for item in answered_call():
        assert book.apply(item) == []
    cdr = only_cdr(book.tick(moment(100, NEXT_BOOT)))
    assert (cdr["cause"], cdr["incomplete"]) == ("normal_clearing", False)


def test_true_end_after_a_rule_closed_the_call_follows_as_a_correction() -> None:
    book = CallBook("s", "b")
    for item in answered_call()[:-1]:
        book.apply(item)
    first = only_cdr(book.apply(restart(500, NEXT_BOOT)))
    late = event(
        Kind.END, 2_000, boot=NEXT_BOOT, wall_ms=WALL_MS + 121_000, cause="normal_clearing", by="caller"
    )
    (correction,) = book.apply(late)
    assert correction.kind == "event"
    assert (correction.body["event"], correction.body["cdr_id"]) == ("cdr_correction", first["id"])
    cdr = correction.body["cdr"]
    assert (cdr["duration_ms"], cdr["incomplete"], cdr["clock_ok"]) == (120_000, False, False)
    assert book.apply(late) == [], "said once"


def test_late_events_of_a_closed_call_make_no_second_cdr() -> None:
    book = CallBook("s", "b")
    made = [record for item in answered_call() for record in book.apply(item)]
    made += book.tick(moment(64_000 + SETTLE_MS))
    made += [record for item in answered_call()[1:] for record in book.apply(item)]
    assert len(made) == 1
    assert book.late == 5


def test_phone_that_reuses_its_call_id_gets_a_cdr_for_each_call() -> None:
    again = [
        start(70_000),
        event(Kind.ANSWER, 71_000, index=0, user="202"),
        event(Kind.END, 75_000, cause="normal_clearing"),
    ]
    made = fold([*answered_call(), *again])
    assert [r.body["duration_ms"] for r in made] == [63_000, 5_000]
    assert made[0].id != made[1].id


def test_call_id_reused_after_a_reboot_is_a_call_of_its_own() -> None:
    book = CallBook("s", "b")
    made = [record for item in answered_call()[:-1] for record in book.apply(item)]
    again = [
        event(Kind.START, 900, boot=NEXT_BOOT, call_id="c"),
        event(Kind.END, 1_000, boot=NEXT_BOOT, cause="user_busy"),
    ]
    made += [record for item in [restart(500, NEXT_BOOT), *again] for record in book.apply(item)]
    made += book.tick(moment(5_000, NEXT_BOOT))
    assert [r.body["cause"] for r in made] == ["box_restart", "user_busy"]


def test_reuse_before_the_first_call_has_settled_loses_neither() -> None:
    first = [start(), event(Kind.END, 2_000, cause="user_busy")]
    second = [start(2_100), event(Kind.END, 3_000, cause="no_answer")]
    assert [r.body["cause"] for r in fold([*first, *second])] == ["user_busy", "no_answer"]


def test_call_whose_start_was_lost_is_told_as_incomplete() -> None:
    cdr = only_cdr(fold(answered_call()[1:]))
    assert (cdr["incomplete"], cdr["call_id"], cdr["duration_ms"]) == (True, "abc@192.0.2.20", 62_999)


def test_emergency_call_is_told_at_once_and_goes_first() -> None:
    book = CallBook("s", "b")
    book.apply(start(emergency=True, kind="emergency"))
    (told,) = book.apply(event(Kind.EMERGENCY, 1_002, dialled="119", caller="+81312340000"))
    assert (told.kind, told.priority, told.body["dialled"], told.body["call"]) == ("event", 0, "119", CALL)
    book.apply(event(Kind.END, 9_000))
    (cdr,) = book.tick(moment(20_000))
    assert (cdr.kind, cdr.priority, cdr.body["emergency"]) == ("cdr", 0, True)


def strange_bye(mono_ms: int, call: str, /, **data: Any) -> JournalEvent:
    return event(Kind.END, mono_ms, call, **{"cause": "normal_clearing", "forgotten": True, **data})


def test_invented_byes_and_transfers_make_no_record_and_leave_nothing_behind() -> None:
    book = CallBook("s", "b")
    made = []
    for n in range(10_000):
        made += book.apply(strange_bye(n, f"invented-{n}#00000000"))
        made += book.apply(event(Kind.TRANSFER, n, f"more-{n}#00000000", to="202"))
    assert (made, book.docs, book.take_touched(), book.strange) == ([], {}, {}, 20_000)
    assert book.tick(moment(10**9)) == []


def test_bye_that_kamailio_cannot_place_ends_no_call_that_it_follows() -> None:
    events = [*answered_call()[:-1], strange_bye(30_000, CALL), answered_call()[-1]]
    assert only_cdr(fold(events))["duration_ms"] == 63_000


def test_bye_that_kamailio_cannot_place_after_a_restart_ends_the_call() -> None:
    cdr = only_cdr(fold([*answered_call()[:-1], restart(20_000), strange_bye(30_000, CALL)]))
    assert (cdr["duration_ms"], cdr["incomplete"]) == (29_000, False)


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
    assert _resumed(book).unheard(moment(64_300)) == ["abc@192.0.2.20"]


def test_codec_agreed_on_last_is_the_calls() -> None:
    changes = [
        event(Kind.MEDIA, 20_000, codec="opus"),
        event(Kind.MEDIA, 10_000, codec="G722"),
        event(Kind.MEDIA, 30_000, codec=""),
    ]
    for order in (changes, changes[::-1]):
        assert only_cdr(fold([*answered_call()[:-1], *order, answered_call()[-1]]))["codec"] == "opus"


def test_registrations_make_no_record() -> None:
    assert fold([event(Kind.REGISTRATION, 5, "", aor="201")]) == []


def test_hostile_text_becomes_a_record_that_can_be_hashed_and_sent() -> None:
    nasty = "\udcff\ud800" + "x" * 100_000
    events = [
        start(caller=nasty, dialled=nasty, call_id=nasty, number=nasty),
        *(event(Kind.STEP, 1_100 + n, index=n, kind=nasty, target=nasty, reason=nasty) for n in range(100)),
        *(event(Kind.TRANSFER, 2_000 + n, kind=nasty, by=nasty, to=nasty) for n in range(100)),
        event(Kind.ANSWER, 3_000, index=2**70, user=nasty, quality={"mos": float("nan"), "loss": "x"}),
        event(Kind.END, 4_000, cause=nasty, by=nasty, recordings=[nasty, 5, *map(str, range(100))]),
    ]
    cdr = only_cdr(fold(events))
    assert len(canonical_json(cdr).encode()) < RECORD_BYTES_MAX
    assert cdr["quality"] is None


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


def _resumed(book: CallBook) -> CallBook:
    """A book read back from what the spool would hold."""
    docs = [from_json(to_json(doc)) for doc in book.docs.values()]
    return CallBook(book.site, book.box, docs, book.last)


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
        working = _resumed(broken)
        made = [record for item in page for record in working.apply(item)]
        if data.draw(st.booleans()):  # killed before the commit: neither records nor documents were kept
            continue
        broken, position = working, position + len(page)
        stored.extend(made)
    end = moment(10**10, "boot-end")
    assert stored + _resumed(broken).tick(end) == expected + whole.tick(end)
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


def test_ids_of_later_calls_sort_later_and_do_not_change_when_read_again() -> None:
    def told(at_ms: int) -> str:
        call = f"{at_ms}@192.0.2.20#0011aabb"
        begun = [start(at_ms, call), event(Kind.END, at_ms + 9_000, call, cause="normal_clearing", code=200)]
        return str(only_cdr(fold(begun))["id"])

    ids = [told(at_ms) for at_ms in (1_000, 3_000, 70_000, 3_700_000)]
    assert ids == sorted(ids) == [told(at_ms) for at_ms in (1_000, 3_000, 70_000, 3_700_000)]
    assert all(len(id_) == 36 for id_ in ids)


def test_call_begun_under_an_earlier_release_keeps_the_id_that_its_cdr_had() -> None:
    doc = begin(start())
    before = to_json(doc)
    del before["timed_id"]
    old = cdr_id("tokyo-1", "tokyo-1-a", from_json(before))
    assert (
        old
        == "cdr-"
        + hashlib.sha256(b"tokyo-1\0tokyo-1-a\0boot-a\0" + CALL.encode() + b"\x001000").hexdigest()[:32]
    )
    assert old != cdr_id("tokyo-1", "tokyo-1-a", doc)
