"""What a call's journal becomes: one CDR for each call, with all that was told of it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.call_doc import begin, from_json, to_json
from agent.cdr import (
    CallBook,
)
from agent.cdr_fields import FIELDS, cdr_id
from agent.journal_events import JournalEvent, Kind
from cloudsync.wire import RECORD_BYTES_MAX, canonical_json
from tests.helpers.call_journal import (
    CALL,
    WALL_MS,
    answered_call,
    event,
    fold,
    moment,
    only_cdr,
    start,
)


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


def test_emergency_call_is_told_at_once_and_goes_first() -> None:
    book = CallBook("s", "b")
    book.apply(start(emergency=True, kind="emergency"))
    (told,) = book.apply(event(Kind.EMERGENCY, 1_002, dialled="119", caller="+81312340000"))
    assert (told.kind, told.priority, told.body["dialled"], told.body["call"]) == ("event", 0, "119", CALL)
    book.apply(event(Kind.END, 9_000))
    (cdr,) = book.tick(moment(20_000))
    assert (cdr.kind, cdr.priority, cdr.body["emergency"]) == ("cdr", 0, True)


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
