"""The call record of a call that somebody else took: a bill and a complaint go by who answered."""

from typing import Any

from agent.cdr import CallBook
from agent.journal_events import JournalEvent, Kind, Moment
from appliance.kamailio.actions import Outcome, Plan, Step, StepKind
from appliance.kamailio.call_events import of_step, of_step_end
from appliance.kamailio.pickup import Order, mark_of, taken_plan, token_of

CALL = "abc@192.0.2.101#0011aabb"
BOOT = "boot-a"


def event(what: Kind, mono_ms: int, data: dict[str, Any]) -> JournalEvent:
    return JournalEvent(mono_ms, CALL, what, Moment(BOOT, mono_ms, 1_790_000_000_000 + mono_ms), data)


def test_record_of_a_call_that_was_picked_up_names_who_picked_up_and_who_was_called() -> None:
    ringing = Plan("extension", "202", (Step(StepKind.CONTACTS, "", ("202",), "extension"),))
    plan = taken_plan(ringing, 0, mark_of(Order(token_of("picker#1"), "203", "202")))
    assert plan is not None
    start = {"call_id": "abc@192.0.2.101", "origin": "phone", "origin_id": "201", "caller": "201"}
    start |= {"dialled": "202", "number": "202", "kind": "extension", "link": "UP"}
    rows: list[tuple[Kind, dict[str, Any]]] = [
        (Kind.START, start | {"record": False}),
        (Kind.STEP, of_step(0, plan.steps[0])),
        (Kind.STEP_END, of_step_end(0, Outcome.NO_ANSWER, 487)),
        (Kind.STEP, of_step(1, plan.steps[1])),
        (Kind.ANSWER, {"index": 1, "code": 200, "user": plan.steps[1].users[-1]}),
        (Kind.END, {"cause": "normal_clearing", "code": 200, "by": "caller"}),
    ]
    book = CallBook("tokyo-1", "box-a")
    made = [
        record
        for index, (kind, data) in enumerate(rows)
        for record in book.apply(event(kind, 1_000 + 100 * index, data))
    ]
    made += book.tick(Moment(BOOT, 10**9, 1_790_000_000_000 + 10**9))
    (body,) = [record.body for record in made if record.kind == "cdr"]
    assert (body["number"], body["answered_by"], body["disposition"]) == ("202", "203", "answered")
    assert [step["target"] for step in body["route"]][-1] == "pickup"
