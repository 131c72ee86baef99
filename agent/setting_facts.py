"""What somebody set at a telephone, as an event of the site's chain: the centre knows what it did not order. Pure."""

from typing import Any

from agent.cdr_fields import event_id
from agent.journal_events import JournalEvent, clean, text_of
from agent.records import NewRecord
from cloudsync.wire import Priority, RecordKind

NAME = "telephone_setting"


def body(event: JournalEvent) -> dict[str, Any]:
    """The event: whose extension, what, its value and the one before, and at which telephone it was set."""
    data = event.data
    return {
        "event": "telephone_setting",
        "extension": text_of(data, "extension"),
        "what": text_of(data, "what"),
        "value": _plain(data.get("value")),
        "was": _plain(data.get("was")),
        "by": text_of(data, "by"),
    }


def record(site: str, box: str, event: JournalEvent) -> NewRecord:
    """The record; the same for the same row of the journal, whenever it is read."""
    at = event.at
    about = (event.call, text_of(event.data, "what"), at.boot_id, str(at.mono_ms))
    id_ = event_id(site, box, NAME, *about)
    return NewRecord(id_, RecordKind.EVENT, Priority.CDR, at.wall_ms, at.boot_id, body(event))


def _plain(value: Any) -> str | bool:
    return value if isinstance(value, bool) else clean(value) if isinstance(value, str) else ""
