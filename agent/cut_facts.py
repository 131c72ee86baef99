"""What a full disk cut short and nobody kept, as an event of the site's chain: message, greeting, recording of a room. Pure."""

from typing import Any

from agent.cdr_fields import event_id
from agent.journal_events import CALL_ID_MAX_BYTES, JournalEvent, Moment, clean, number_of, text_of
from agent.records import NewRecord
from cloudsync.wire import Priority, RecordKind

NAME = "recording_not_stored"


def body(event: JournalEvent) -> dict[str, Any]:
    """The event: in whose call, what it was and of which box or room, how much was said and how much of it was there."""
    data = event.data
    return {
        "event": "recording_not_stored",
        "reason": "disk",
        "call_id": clean(event.call, CALL_ID_MAX_BYTES),
        **{name: text_of(data, name) for name in ("what", "name", "recording")},
        "told_ms": number_of(data, "told_ms"),
        "held_ms": number_of(data, "held_ms"),
    }


def record(site: str, box: str, event: JournalEvent) -> NewRecord:
    """The record; the same for the same row of the controller's journal, whenever it is read."""
    return new(site, box, event.at, body(event), str(event.seq))


def new(site: str, box: str, at: Moment, told: dict[str, Any], about: str) -> NewRecord:
    """A record of such an event. about: what tells it from others of the same moment."""
    id_ = event_id(site, box, NAME, about, at.boot_id, str(at.mono_ms))
    return NewRecord(id_, RecordKind.EVENT, Priority.CDR, at.wall_ms, at.boot_id, told)
