"""The call detail record: how its fields follow from a call's document. `docs/cdr.md` lists them for readers.

All durations are differences of one monotonic clock. Wall times are those of the start and the end; when they
disagree with the monotonic clock, the later reading is believed (clocks are set right, not wrong), the start is
recomputed from it and `clock_ok` is false.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.call_doc import RECORDINGS_MAX, CallDoc, Step
from appliance.model import LinkState, NumberKind
from cloudsync.wire import CDR_FIELDS

FIELDS = CDR_FIELDS

LEG_FIELDS = (
    "call_id",
    "dialled",
    "number",
    "kind",
    "after_ms",
    "ring_ms",
    "billsec_ms",
    "disposition",
    "cause",
    "answered_by",
    "codec",
    "quality",
)
"""Of an entry in `legs`."""

LEG_STEPS_MAX = 4
"""Steps told of each leg, its last ones: a record has room for no more."""

CLOCK_TOLERANCE_MS = 2_000
"""Wall and monotonic clock may part by this much within a call: slewing at 500 ppm gives 1.8 s in an hour."""
CLOCK_FLOOR_MS = 1_735_689_600_000
"""2025-01-01 UTC. A box that believes in an earlier time has no clock (it booted without one and without NTP)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(
    tzinfo=None
)  # all in UTC, and quicker to write without saying so
_WALL_MAX_MS = 253_402_300_799_000
"""The end of the year 9999, the last that RFC 3339 can write."""
_SECONDS_MAX = 2**32 - 1
"""What eight hex digits hold: until 2106."""

_DISPOSITION_BY_CAUSE = {
    "originator_cancel": "cancelled",
    "user_busy": "busy",
    "no_answer": "no_answer",
    "no_user_response": "no_answer",
    "timeout": "no_answer",
    "rejected": "rejected",
    "call_rejected": "rejected",
    "preempted": "failed",
    "kamailio_restart": "unknown",
    "box_restart": "unknown",
}
_DISPOSITION_BY_CODE = {
    403: "rejected",
    408: "no_answer",
    480: "no_answer",
    486: "busy",
    487: "cancelled",
    600: "busy",
    603: "rejected",
    607: "rejected",
}


def utc_text(wall_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds; times outside the years 1970 to 9999 are moved to the nearer end."""
    moment = _EPOCH + timedelta(milliseconds=min(max(wall_ms, 0), _WALL_MAX_MS))
    return moment.isoformat(timespec="milliseconds") + "Z"


def cdr_id(site: str, box: str, doc: CallDoc) -> str:
    """The CDR's id: the same call read twice from the journal has the same one, on whatever spool."""
    told = "\0".join((site, box, doc.boot_id, doc.call, str(doc.start_ms)))
    digest = hashlib.sha256(told.encode()).hexdigest()
    return "cdr-" + (_timed(doc.start_wall_ms, digest) if doc.timed_id else digest[:32])


def event_id(site: str, box: str, name: str, *told: str, wall_ms: int | None = None) -> str:
    """The id of an event record: the same for the same fact, whenever it is read. wall_ms: when it was, where that is as
    certain as the rest."""
    joined = "\0".join((site, box, name, *told))
    digest = hashlib.sha256(joined.encode()).hexdigest()
    return "event-" + (digest[:32] if wall_ms is None else _timed(wall_ms, digest))


def _timed(wall_ms: int, digest: str) -> str:
    """32 hex digits that begin with the time: neighbours in time are neighbours in the centre's index of ids, of which a
    batch then touches a few pages instead of one for each record."""
    return f"{min(max(wall_ms // 1000, 0), _SECONDS_MAX):08x}{digest[:24]}"


_INSIDE = frozenset({NumberKind.EXTENSION, NumberKind.GROUP, NumberKind.APPLICATION, NumberKind.FEATURE})


def direction(doc: CallDoc) -> str:
    """internal, out, in (from a gateway or a stranger) or in_cloud, from who called and what was dialled."""
    if doc.origin in ("phone", "media"):
        inside = doc.kind in _INSIDE
        return "internal" if inside else "out"
    return "in_cloud" if doc.origin == "upstream" else "in"


def disposition(doc: CallDoc) -> str:
    """How the call came out, in the words that `docs/cdr.md` defines."""
    if doc.answered:
        return "answered"
    by_cause = _DISPOSITION_BY_CAUSE.get(doc.cause) or _DISPOSITION_BY_CODE.get(doc.sip_code)
    return by_cause or ("failed" if doc.sip_code >= 300 else "unknown")


def build(site: str, box: str, doc: CallDoc) -> dict[str, Any]:
    """The CDR of an ended call: a dict with exactly `FIELDS`."""
    duration_ms = max(doc.end_ms - doc.start_ms, 0)
    start_wall_ms, clock_ok = _start_wall(doc, duration_ms)
    answer_after_ms = min(max(doc.answer_ms - doc.start_ms, 0), duration_ms) if doc.answered else duration_ms
    return {
        "id": cdr_id(site, box, doc),
        "site": site,
        "box": box,
        "call_id": doc.call_id,
        "call": doc.call,
        "direction": direction(doc),
        "origin": doc.origin,
        "origin_id": doc.origin_id,
        "caller": doc.caller,
        "dialled": doc.dialled,
        "number": doc.number,
        "kind": doc.kind,
        "start_utc": utc_text(start_wall_ms),
        "answer_utc": utc_text(start_wall_ms + answer_after_ms) if doc.answered else None,
        "end_utc": utc_text(start_wall_ms + duration_ms),
        "clock_ok": clock_ok,
        "ring_ms": answer_after_ms,
        "billsec_ms": duration_ms - answer_after_ms,
        "duration_ms": duration_ms,
        "disposition": disposition(doc),
        "cause": doc.cause or "unknown",
        "sip_code": doc.sip_code or (200 if doc.answered else 0),
        "ended_by": doc.ended_by,
        "route": _route(doc)
        + [entry for number, one in enumerate(doc.legs, 1) for entry in _route_of(one, number)],
        "legs": [{name: value for name, value in one.items() if name in LEG_FIELDS} for one in doc.legs],
        "legs_left_out": doc.legs_left_out,
        "part_of": "" if doc.parent else doc.part_of,
        "applications": [_stay(doc, one) for one in doc.stays],
        "answered_by": next(
            (one["answered_by"] for one in reversed(doc.legs) if one["answered_by"]), doc.answered_by
        ),
        "transfers": [
            {"kind": t["kind"], "by": t["by"], "to": t["to"], "after_ms": max(t["at_ms"] - doc.start_ms, 0)}
            for t in doc.transfers
        ],
        "link_state": doc.link_state or str(LinkState.UNKNOWN),
        "offline": doc.link_state != LinkState.UP,
        "codec": doc.codec,
        "quality": doc.quality,
        "recordings": [*_recordings(doc), *(id_ for one in doc.legs for id_ in one["recordings"])][
            :RECORDINGS_MAX
        ],
        "recording_refused": doc.recording_refused
        or next((one["recording_refused"] for one in doc.legs if one.get("recording_refused")), ""),
        "announced": doc.announced or any(one.get("announced") is True for one in doc.legs),
        "recording_pauses": doc.recording_pauses,
        "retention": doc.retention,
        "emergency": doc.emergency or any(one["emergency"] for one in doc.legs),
        "incomplete": doc.incomplete or any(one["incomplete"] for one in doc.legs),
        "boot_id": doc.boot_id,
    }


def leg(doc: CallDoc, parent: CallDoc) -> dict[str, Any]:
    """A call that an application placed on behalf of another one and that is over, as that one's document keeps it."""
    duration_ms = max(doc.end_ms - doc.start_ms, 0)
    ring_ms = min(max(doc.answer_ms - doc.start_ms, 0), duration_ms) if doc.answered else duration_ms
    return {
        "call": doc.call,
        "call_id": doc.call_id,
        "dialled": doc.dialled,
        "number": doc.number,
        "kind": doc.kind,
        "after_ms": max(doc.start_ms - parent.start_ms, 0),
        "ring_ms": ring_ms,
        "billsec_ms": duration_ms - ring_ms,
        "disposition": disposition(doc),
        "cause": doc.cause or "unknown",
        "answered_by": doc.answered_by if doc.answered else "",
        "codec": doc.codec,
        "quality": doc.quality,
        "route": _route(doc)[-LEG_STEPS_MAX:],
        "recordings": _recordings(doc),
        "recording_refused": doc.recording_refused,
        "announced": doc.announced,
        "emergency": doc.emergency,
        "incomplete": doc.incomplete,
    }


def _route(doc: CallDoc) -> list[dict[str, Any]]:
    return [{**_route_entry(doc, index, step), "leg": 0} for index, step in _steps(doc)]


def _route_of(one: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """The steps of a leg. number: which it is, from 1."""
    return [{**entry, "leg": number} for entry in one["route"]]


def _stay(doc: CallDoc, one: dict[str, Any]) -> dict[str, Any]:
    """A stay in an application; one that nobody saw end lasted until the call's end."""
    end_ms = one["end_ms"] or doc.end_ms
    return {
        "what": one["what"],
        "name": one["name"],
        "after_ms": max(one["begin_ms"] - doc.start_ms, 0),
        "ms": max(end_ms - one["begin_ms"], 0),
    }


def _start_wall(doc: CallDoc, duration_ms: int) -> tuple[int, bool]:
    """The start's wall time and whether both wall readings can be believed."""
    drift_ms = (doc.end_wall_ms - doc.start_wall_ms) - duration_ms
    if abs(drift_ms) > CLOCK_TOLERANCE_MS:
        return doc.end_wall_ms - duration_ms, False
    return doc.start_wall_ms, doc.start_wall_ms >= CLOCK_FLOOR_MS and not doc.across_boots


def _recordings(doc: CallDoc) -> list[str]:
    """Ids as journalled; else how the ids begin of what an answered call's capture will become (it is converted
    after the call, when the CDR is long made)."""
    if doc.recordings or not (doc.answered and doc.recording_stem):
        return list(doc.recordings)
    return [doc.recording_stem]


def _steps(doc: CallDoc) -> list[tuple[int, Step]]:
    return sorted((int(index), step) for index, step in doc.steps.items())


def _route_entry(doc: CallDoc, index: int, step: Step) -> dict[str, Any]:
    """One step as the CDR shows it; the one that the answer came from has the outcome `answered`."""
    connected = doc.answered and index == doc.answer_index
    end_ms = step.end_ms or (doc.answer_ms if connected else doc.end_ms)
    return {
        "kind": step.kind,
        "target": step.target,
        "reason": step.reason,
        "outcome": "answered" if connected else step.outcome,
        "ms": max(end_ms - step.begin_ms, 0) if step.begin_ms else 0,
    }
