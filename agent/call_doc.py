"""One call as far as the journal has told it: the document kept in the spool until the call's CDR is made.

Merging is by field and by step index, so that events may come late, twice or out of order and leave the same document.
Decides nothing about the call's phase (`cdr` does) and opens nothing.
"""

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from agent.journal_events import CALL_ID_MAX_BYTES, JournalEvent, Kind, Moment, clean, number_of, text_of
from appliance.media.naming import recording_stem

STEPS_MAX = 24
"""Steps kept of one call: a plan has fewer than ten; a looping peer must not grow the document without bound."""
TRANSFERS_MAX = 16
"""Transfers kept of one call, for the same reason."""
QUALITY_MAX = 1e9
"""Above this a quality figure is no measurement (and NaN and infinity, which JSON lacks, compare as above)."""
RETENTION_MAX_BYTES = 32
"""A class of retention is a short word."""
RECORDINGS_MAX = 32
"""Recordings named in one CDR: one for each stretch of a call, of which there are few."""
LEGS_MAX = 8
"""Calls told in one CDR that applications placed on its behalf. Beyond, the oldest that nobody answered is left out."""
AWAITED_MAX = 64
"""Of those, how many may be under way at once; one more gets a CDR of its own that names the call."""
STAYS_MAX = 16
"""Stays in applications kept of one call."""


class Phase(StrEnum):
    """Where a call stands. CLOSED: its CDR is made; what is left is a tombstone that knows late events for late."""

    SETUP = "setup"
    TALKING = "talking"
    ENDED = "ended"
    CLOSED = "closed"


@dataclass(slots=True)
class Step:
    """One attempt of the call's plan. begin_ms/end_ms: monotonic, 0 when not journalled."""

    kind: str = ""
    target: str = ""
    reason: str = ""
    outcome: str = ""
    begin_ms: int = 0
    end_ms: int = 0


@dataclass(slots=True)
class CallDoc:
    """boot_id: the boot in which all `*_ms` fields count. `*_wall_ms`: the wall clock beside each, may have jumped.
    recording_stem: how the ids of its recordings begin, "" when policy has it not recorded.
    recording_refused: why it was not recorded although policy would have it, "" otherwise. recording_pauses: how often its
    recording was paused. retention: class of its recording, "" for the site's usual one.
    announced: the caller was told of the recording before he was connected. not_captured: it turned out after the start that
    the call is not recorded, or only the one that FreeSWITCH placed for it.
    anchored: the audio of the answered call goes through rtpengine. codec_ms: when `codec` was agreed on.
    last_*: the latest evidence that the call was up. orphan_ms: when Kamailio restarted under it, 0 when it did not.
    by_rule: the end was inferred, not journalled. closed_ms: when the CDR was made, in the boot that made it.
    across_boots: the end comes from another boot than the start, so the duration rests on the wall clock.
    part_of: Call-ID of the call on whose behalf an application placed this one; parent: key of that call's document, "" when it
    is not known: then this one has a CDR of its own. awaited: keys of such calls that are not over. legs: those that are, as
    `cdr_fields.leg` tells them. stays: where in applications the call was, see `stay`."""

    call: str
    boot_id: str
    phase: str = Phase.SETUP
    started: bool = False
    call_id: str = ""
    origin: str = ""
    origin_id: str = ""
    caller: str = ""
    dialled: str = ""
    number: str = ""
    kind: str = ""
    link_state: str = ""
    record: bool = False
    recording_stem: str = ""
    recording_refused: str = ""
    recording_pauses: int = 0
    announced: bool = False
    not_captured: bool = False
    retention: str = ""
    emergency: bool = False
    start_ms: int = 0
    start_wall_ms: int = 0
    answered: bool = False
    answer_ms: int = 0
    answer_index: int = -1
    answered_by: str = ""
    anchored: bool = False
    codec: str = ""
    codec_ms: int = 0
    ended: bool = False
    end_ms: int = 0
    end_wall_ms: int = 0
    cause: str = ""
    sip_code: int = 0
    ended_by: str = ""
    by_rule: bool = False
    across_boots: bool = False
    closed_ms: int = 0
    last_ms: int = 0
    last_wall_ms: int = 0
    orphan_ms: int = 0
    media_seen: bool = False
    steps: dict[str, Step] = field(default_factory=dict)
    transfers: list[dict[str, Any]] = field(default_factory=list)
    recordings: list[str] = field(default_factory=list)
    quality: dict[str, float] | None = None
    part_of: str = ""
    parent: str = ""
    awaited: list[str] = field(default_factory=list)
    legs: list[dict[str, Any]] = field(default_factory=list)
    legs_left_out: int = 0
    stays: list[dict[str, Any]] = field(default_factory=list)
    timed_id: bool = False
    """Whether the CDR's id begins with the call's time; not so in documents of releases before that."""

    @property
    def incomplete(self) -> bool:
        """Whether something of the call is not from the journal: its start or its end."""
        return self.by_rule or not self.started


def begin(event: JournalEvent) -> CallDoc:
    """A new document with nothing in it but the event's moment; `merge` the event afterwards."""
    at = event.at
    return CallDoc(
        call=event.call,
        boot_id=at.boot_id,
        call_id=clean(event.call.rsplit("#", 1)[0], CALL_ID_MAX_BYTES),
        timed_id=True,
        start_ms=at.mono_ms,
        start_wall_ms=at.wall_ms,
        last_ms=at.mono_ms,
        last_wall_ms=at.wall_ms,
    )


def see(doc: CallDoc, at: Moment) -> None:
    """Note that the call was up at `at`; earlier moments and those of other boots change nothing."""
    if at.boot_id == doc.boot_id and at.mono_ms > doc.last_ms:
        doc.last_ms, doc.last_wall_ms = at.mono_ms, at.wall_ms


def merge(doc: CallDoc, event: JournalEvent) -> None:
    """Write what `event` says into the document. A fact already there stays (the first word counts)."""
    see(doc, event.at)
    if not doc.started and event.at.mono_ms < doc.start_ms:
        doc.start_ms, doc.start_wall_ms = event.at.mono_ms, event.at.wall_ms
    merger = _MERGERS.get(event.kind)
    if merger is not None:
        merger(doc, event)


def _start(doc: CallDoc, event: JournalEvent) -> None:
    if doc.started:
        return
    data = event.data
    doc.started = True
    doc.start_ms, doc.start_wall_ms = event.at.mono_ms, event.at.wall_ms
    doc.call_id = text_of(data, "call_id", CALL_ID_MAX_BYTES) or doc.call_id
    for name in ("origin", "origin_id", "caller", "dialled", "number", "kind"):
        setattr(doc, name, text_of(data, name))
    doc.link_state = text_of(data, "link")
    doc.record = data.get("record") is True and not doc.not_captured
    doc.recording_refused = text_of(data, "recording_refused") or doc.recording_refused
    call_id = data.get("call_id")
    if doc.record and isinstance(call_id, str):
        doc.recording_stem = recording_stem(call_id)
    doc.emergency = doc.emergency or data.get("emergency") is True


def _step_of(doc: CallDoc, event: JournalEvent) -> Step | None:
    key = str(number_of(event.data, "index"))
    if key not in doc.steps and len(doc.steps) >= STEPS_MAX:
        return None
    return doc.steps.setdefault(key, Step())


def _step(doc: CallDoc, event: JournalEvent) -> None:
    step = _step_of(doc, event)
    if step is not None and not step.begin_ms:
        step.begin_ms = event.at.mono_ms
        step.kind = text_of(event.data, "kind")
        step.target = text_of(event.data, "target")
        step.reason = text_of(event.data, "reason")


def _step_end(doc: CallDoc, event: JournalEvent) -> None:
    step = _step_of(doc, event)
    if step is not None and not step.end_ms:
        step.end_ms = event.at.mono_ms
        step.outcome = text_of(event.data, "outcome")


def _answer(doc: CallDoc, event: JournalEvent) -> None:
    if doc.answered:
        return
    doc.answered = True
    doc.answer_ms = event.at.mono_ms
    doc.answer_index = number_of(event.data, "index", -1)
    doc.answered_by = text_of(event.data, "user")
    doc.anchored = event.data.get("anchored") is True
    doc.announced = event.data.get("announced") is True
    if event.data.get("record") is False:
        doc.not_captured, doc.record, doc.recording_stem = True, False, ""
    doc.recording_refused = text_of(event.data, "recording_refused") or doc.recording_refused
    _media(doc, event)


def _end(doc: CallDoc, event: JournalEvent) -> None:
    if doc.ended and not doc.by_rule:
        return
    doc.ended, doc.by_rule = True, False
    doc.end_ms, doc.end_wall_ms = event.at.mono_ms, event.at.wall_ms
    doc.cause = text_of(event.data, "cause")
    doc.sip_code = number_of(event.data, "code")
    doc.ended_by = text_of(event.data, "by")
    _media(doc, event)


def _transfer(doc: CallDoc, event: JournalEvent) -> None:
    entry = {
        "at_ms": event.at.mono_ms,
        **{name: text_of(event.data, name) for name in ("kind", "by", "to")},
    }
    if entry not in doc.transfers and len(doc.transfers) < TRANSFERS_MAX:
        doc.transfers.append(entry)
        doc.transfers.sort(key=lambda item: int(item["at_ms"]))


def _emergency(doc: CallDoc, _event: JournalEvent) -> None:
    doc.emergency = True


def _media(doc: CallDoc, event: JournalEvent) -> None:
    """Codec, quality and recordings may come with the answer, the end, or an event of their own. The codec agreed on last
    is the call's."""
    codec = text_of(event.data, "codec")
    if codec and event.at.mono_ms >= doc.codec_ms:
        doc.codec, doc.codec_ms = codec, event.at.mono_ms
    quality = event.data.get("quality")
    if isinstance(quality, dict):
        numbers = {
            name: float(quality[name])
            for name in ("mos", "loss", "jitter_ms")
            if isinstance(quality.get(name), int | float) and abs(quality[name]) < QUALITY_MAX
        }
        doc.quality = numbers or doc.quality
    if event.data.get("announced") is True and event.kind is Kind.MEDIA:
        _told(doc)
    recordings = event.data.get("recordings")
    for recording in recordings if isinstance(recordings, list) else ():
        new = isinstance(recording, str) and clean(recording) not in doc.recordings
        if new and len(doc.recordings) < RECORDINGS_MAX:
            doc.recordings.append(clean(recording))


def _told(doc: CallDoc) -> None:
    """Both sides have heard it after the answer: the recording has begun."""
    doc.announced, doc.recording_refused = True, ""
    if doc.call_id:
        doc.not_captured, doc.record, doc.recording_stem = False, True, recording_stem(doc.call_id)


_MERGERS = {
    Kind.START: _start,
    Kind.STEP: _step,
    Kind.STEP_END: _step_end,
    Kind.ANSWER: _answer,
    Kind.END: _end,
    Kind.TRANSFER: _transfer,
    Kind.EMERGENCY: _emergency,
    Kind.MEDIA: _media,
}


def take_leg(doc: CallDoc, leg: dict[str, Any]) -> None:
    """Note a call that an application placed on this one's behalf and that is over. One with the same key is replaced."""
    doc.awaited = [call for call in doc.awaited if call != leg["call"]]
    same = [index for index, one in enumerate(doc.legs) if one["call"] == leg["call"]]
    if same:
        doc.legs[same[0]] = leg
        return
    doc.legs.append(leg)
    if len(doc.legs) > LEGS_MAX:
        unanswered = [one for one in doc.legs if one["disposition"] != "answered"]
        doc.legs.remove((unanswered or doc.legs)[0])
        doc.legs_left_out += 1


def stay(doc: CallDoc, event: JournalEvent) -> None:
    """Note that a leg of the call came to a place in an application, or left it: a menu, a room, a parking place, a queue. A
    place is told by leg, kind of place and name; the first word on each counts."""
    told = {name: text_of(event.data, name) for name in ("leg", "what", "name")}
    key = tuple(told.values())
    here = next(
        (one for one in doc.stays if (one["leg"], one["what"], one["name"]) == key and not one["end_ms"]),
        None,
    )
    if event.kind is Kind.STAY:
        if here is None and len(doc.stays) < STAYS_MAX:
            doc.stays.append({**told, "begin_ms": event.at.mono_ms, "end_ms": 0})
    elif here is not None:
        here["end_ms"] = event.at.mono_ms


def close_by_rule(doc: CallDoc, cause: str) -> None:
    """End the call at its last evidence, since no end was journalled."""
    doc.ended, doc.by_rule = True, True
    doc.end_ms, doc.end_wall_ms = doc.last_ms, doc.last_wall_ms
    doc.cause, doc.sip_code, doc.ended_by = cause, 0, "box"


def to_json(doc: CallDoc) -> dict[str, Any]:
    """The document as JSON for the spool."""
    return asdict(doc)


def from_json(value: dict[str, Any]) -> CallDoc:
    """Inverse of `to_json`. Unknown fields (written by a newer version) are dropped; raises TypeError or ValueError
    when the value is no such document."""
    known = {item.name for item in fields(CallDoc)}
    given = {name: content for name, content in value.items() if name in known}
    given["steps"] = {key: Step(**step) for key, step in given.get("steps", {}).items()}
    doc = CallDoc(**given)
    Phase(doc.phase)
    return doc
