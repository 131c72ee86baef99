"""What the journal hears of a call while it is set up: `start`, `step`, `step_end`. Pure."""

from typing import Any

from appliance.kamailio.actions import Outcome, Plan, Step
from appliance.kamailio.request import CallFacts


def of_start(facts: CallFacts, plan: Plan, recording_refused: str = "") -> dict[str, Any]:
    """Who calls whom, and what was decided. `of_message` is written with it."""
    return {
        "origin": facts.origin,
        "origin_id": facts.origin_id,
        "caller": facts.caller,
        "dialled": facts.dialled,
        "kind": plan.kind,
        "number": plan.number,
        "record": plan.record,
        "recording_refused": recording_refused,
        "emergency": plan.emergency,
    }


def of_message(call_id: str, from_tag: str, source: str, link: str) -> dict[str, Any]:
    """The other half of a start: the INVITE, where it came from ("udp:192.0.2.101:5060"), and the state of the link."""
    return {"call_id": call_id, "from_tag": from_tag, "source": source, "link": link}


def of_step(index: int, step: Step) -> dict[str, Any]:
    """A step begins."""
    return {
        "index": index,
        "kind": step.kind,
        "target": step.target,
        "users": list(step.users),
        "reason": step.reason,
    }


def of_step_end(index: int, outcome: Outcome, code: int) -> dict[str, Any]:
    """A step has ended without connecting the call."""
    return {"index": index, "outcome": outcome, "code": code}
