"""Journal events of calls, and what the fold makes of them."""

from typing import Any

from agent.call_doc import from_json, to_json
from agent.cdr import CallBook
from agent.journal_events import JournalEvent, Kind, Moment
from agent.records import NewRecord
from cloudsync.wire import cdr_with_empty

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


def resumed(book: CallBook) -> CallBook:
    """A book read back from what the spool would hold."""
    docs = [from_json(to_json(doc)) for doc in book.docs.values()]
    return CallBook(book.site, book.box, docs, book.last)
