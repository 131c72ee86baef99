"""A person's call that an application passes on is one CDR with all its legs, whatever dies in between and whenever."""

from typing import Any

import pytest

from agent.call_doc import AWAITED_MAX, LEGS_MAX, from_json, to_json
from agent.cdr import SETTLE_MS, CallBook
from agent.journal_events import JournalEvent, Kind, Moment
from agent.records import NewRecord
from cloudsync.wire import RECORD_BYTES_MAX, canonical_json, cdr_with_empty

BOOT, NEXT_BOOT = "boot-a", "boot-b"
WALL_MS = 1_790_000_000_000
PERSON, LEG = "person@phone#0000000a", "leg@freeswitch#0000000b"


def event(what: Kind, mono_ms: int, call: str = PERSON, /, *, boot: str = BOOT, **data: Any) -> JournalEvent:
    return JournalEvent(mono_ms, call, what, Moment(boot, mono_ms, WALL_MS + mono_ms), data)


def start(mono_ms: int, call: str, /, **data: Any) -> JournalEvent:
    told = {
        "call_id": call.partition("#")[0],
        "origin": "phone",
        "origin_id": "201",
        "caller": "201",
        "link": "UP",
    }
    return event(Kind.START, mono_ms, call, **{**told, **data})


def person() -> list[JournalEvent]:
    return [
        start(1_000, PERSON, dialled="700", number="700", kind="application"),
        event(Kind.STEP, 1_001, index=0, kind="media", target="", users=["700"], reason="application"),
        event(Kind.ANSWER, 1_100, index=0, code=200, user="700"),
    ]


def leg(at_ms: int, call: str = LEG, number: str = "202", *, taken: bool = True) -> list[JournalEvent]:
    part_of = PERSON.partition("#")[0]
    begun = [
        start(
            at_ms,
            call,
            origin="media",
            origin_id="",
            dialled=number,
            number=number,
            kind="extension",
            part_of=part_of,
        ),
        event(
            Kind.STEP,
            at_ms + 1,
            call,
            index=0,
            kind="contacts",
            target="",
            users=[number],
            reason="extension",
        ),
    ]
    if not taken:
        return [
            *begun,
            event(Kind.STEP_END, at_ms + 900, call, index=0, outcome="no_answer", code=0),
            event(Kind.END, at_ms + 1_000, call, cause="no_answer", code=480, by="box"),
        ]
    return [*begun, event(Kind.ANSWER, at_ms + 2_000, call, index=0, code=200, user=number, codec="PCMA")]


def ends(at_ms: int) -> list[JournalEvent]:
    return [
        event(Kind.END, at_ms, cause="normal_clearing", code=200, by="caller"),
        event(Kind.END, at_ms + 5, LEG, cause="normal_clearing", code=200, by="caller"),
    ]


def whole() -> list[JournalEvent]:
    return [
        *person(),
        *leg(5_000, "first@freeswitch#0000000c", "203", taken=False),
        *leg(7_000),
        *ends(60_000),
    ]


def book(docs: list[dict[str, Any]] | None = None, last: Moment | None = None) -> CallBook:
    return CallBook("tokyo-1", "tokyo-1-a", [from_json(doc) for doc in docs or []], last)


def cdrs(records: list[NewRecord]) -> list[dict[str, Any]]:
    return [cdr_with_empty(record.body) for record in records if record.kind == "cdr"]


def fold(events: list[JournalEvent], until_ms: int = 10**7, boot: str = BOOT) -> list[NewRecord]:
    calls = book()
    made = [record for one in events for record in calls.apply(one)]
    return made + calls.tick(Moment(boot, until_ms, WALL_MS + until_ms), kamailio_alive=False)


def test_a_call_that_a_menu_passes_on_is_one_cdr_with_its_legs() -> None:
    (cdr,) = cdrs(fold(whole()))
    assert {
        name: cdr[name] for name in ("call", "dialled", "answered_by", "billsec_ms", "part_of", "incomplete")
    } == {
        "call": PERSON,
        "dialled": "700",
        "answered_by": "202",
        "billsec_ms": 58_900,
        "part_of": "",
        "incomplete": False,
    }
    assert [
        (one["number"], one["disposition"], one["after_ms"], one["ring_ms"], one["billsec_ms"])
        for one in cdr["legs"]
    ] == [
        ("203", "no_answer", 4_000, 1_000, 0),
        ("202", "answered", 6_000, 2_000, 51_005),
    ]
    assert [(step["kind"], step["outcome"], step["leg"]) for step in cdr["route"]] == [
        ("media", "answered", 0),
        ("contacts", "no_answer", 1),
        ("contacts", "answered", 2),
    ]


@pytest.mark.parametrize("killed_after", range(len(whole())))
def test_an_agent_killed_after_any_row_makes_the_same_single_cdr(killed_after: int) -> None:
    calls, made = book(), []
    for index, one in enumerate(whole()):
        made += calls.apply(one)
        if index == killed_after:  # what the spool kept is all that is left
            calls = book([to_json(doc) for doc in calls.docs.values()], calls.last)
    made += calls.tick(Moment(BOOT, 10**7, WALL_MS + 10**7))
    assert cdrs(made) == cdrs(fold(whole()))


def test_the_cdr_waits_for_a_leg_that_goes_on_and_not_a_moment_longer() -> None:
    calls = book()
    made = [record for one in [*person(), *leg(5_000), ends(20_000)[0]] for record in calls.apply(one)]
    made += calls.tick(Moment(BOOT, 50_000, WALL_MS + 50_000))
    assert cdrs(made) == []
    calls.apply(event(Kind.END, 50_100, LEG, cause="normal_clearing", by="callee"))
    late = calls.tick(Moment(BOOT, 50_100 + SETTLE_MS, WALL_MS))
    assert [cdr["call"] for cdr in cdrs(late)] == [PERSON]


@pytest.mark.parametrize("rows", range(1, len(whole()) - 1))
def test_a_power_cut_at_any_row_closes_all_of_it_as_one(rows: int) -> None:
    made = fold(whole()[:rows], until_ms=500, boot=NEXT_BOOT)
    (cdr,) = cdrs(made)
    assert (cdr["call"], cdr["incomplete"]) == (PERSON, True)
    assert len(cdr["legs"]) == sum(one.kind is Kind.START and one.call != PERSON for one in whole()[:rows])


def test_a_leg_whose_call_is_over_and_told_has_a_cdr_that_names_it() -> None:
    early = [*person(), event(Kind.END, 2_000, cause="normal_clearing"), *leg(2_000 + 2 * SETTLE_MS)]
    made = fold([*early, event(Kind.END, 60_000, LEG, cause="normal_clearing")])
    assert [(cdr["call"], cdr["part_of"]) for cdr in cdrs(made)] == [(PERSON, ""), (LEG, "person@phone")]


def test_a_leg_s_true_end_after_a_restart_corrects_the_one_cdr() -> None:
    calls = book()
    restarted = [*person(), *leg(5_000), event(Kind.PROCESS_START, 9_000, "", pid=2)]
    made = [record for one in restarted for record in calls.apply(one)]
    gone = Moment(BOOT, 20_000, WALL_MS + 20_000)
    for known in (frozenset({"person@phone", "leg@freeswitch"}), frozenset[str]()):
        made += calls.tick(gone, media=known)
    made += calls.apply(event(Kind.END, 30_000, LEG, cause="normal_clearing", by="callee"))
    made += calls.apply(event(Kind.END, 30_010, cause="normal_clearing", by="callee"))
    (cdr,) = cdrs(made)
    corrections = [record.body["cdr"] for record in made if record.body.get("event") == "cdr_correction"]
    assert [one["id"] for one in corrections] == [cdr["id"], cdr["id"]]
    assert len({record.id for record in made}) == len(made), "each is stored"
    assert corrections[-1]["legs"][0]["billsec_ms"] == 23_000
    assert not corrections[-1]["incomplete"]


def test_a_call_passed_on_for_ever_stays_a_record_of_bounded_size() -> None:
    rows = person()
    for number in range(3 * LEGS_MAX):
        rows += leg(5_000 + 2_000 * number, f"{'長' * 60}{number}@f#0000000b", "9" * 128, taken=False)
    rows += leg(90_000)
    rows += ends(100_000)
    (cdr,) = cdrs(fold(rows))
    assert (len(cdr["legs"]), cdr["legs_left_out"], cdr["answered_by"]) == (LEGS_MAX, 2 * LEGS_MAX + 1, "202")
    assert len(canonical_json(cdr)) < RECORD_BYTES_MAX


def test_more_calls_at_once_for_one_person_than_are_followed_are_told_by_themselves() -> None:
    rows = person()
    for number in range(AWAITED_MAX + 1):
        rows += leg(5_000, f"{number}@freeswitch#0000000b")
    calls = book()
    for one in rows:
        calls.apply(one)
    made = calls.apply(event(Kind.END, 9_000, f"{AWAITED_MAX}@freeswitch#0000000b", cause="normal_clearing"))
    made += calls.tick(Moment(BOOT, 20_000, WALL_MS))
    assert [cdr["part_of"] for cdr in cdrs(made)] == ["person@phone"]


def place(what: Kind, mono_ms: int, call: str, /, **data: Any) -> JournalEvent:
    return event(what, mono_ms, call, **data)


def test_where_in_applications_a_call_was_stands_in_its_cdr_once() -> None:
    calls = book()
    made = [record for one in [*person(), *leg(5_000)] for record in calls.apply(one)]
    room = {"leg": "uuid-1", "what": "room", "name": "800"}
    stays = [
        place(Kind.STAY, 2_000, "person@phone", **room),
        place(Kind.STAY, 2_000, "person@phone", **room),
        place(Kind.STAY_END, 4_000, "person@phone", **room),
        place(Kind.STAY, 6_000, "leg@freeswitch", leg="uuid-2", what="parking", name="790"),
    ]
    assert [calls.place(one) for one in stays] == [True] * 4
    assert not calls.place(place(Kind.STAY, 1, "nobody", **room))
    made += [record for one in ends(60_000) for record in calls.apply(one)]
    made += calls.tick(Moment(BOOT, 10**7, WALL_MS + 10**7))
    (cdr,) = cdrs(made)
    assert cdr["applications"] == [
        {"what": "room", "name": "800", "after_ms": 1_000, "ms": 2_000},
        {"what": "parking", "name": "790", "after_ms": 5_000, "ms": 54_000},
    ]
