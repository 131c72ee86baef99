"""Calls that Kamailio, the box or the agent lost sight of: each ends once, and is corrected when its true end shows."""

from typing import Any

import pytest

from agent.cdr import (
    ORPHAN_SETUP_MAX_MS,
    ORPHAN_TALK_MAX_MS,
    SETTLE_MS,
    CallBook,
)
from agent.journal_events import JournalEvent, Kind
from tests.helpers.call_journal import (
    BOOT,
    CALL,
    NEXT_BOOT,
    WALL_MS,
    answered_call,
    event,
    fold,
    moment,
    only_cdr,
    restart,
    start,
)


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
