"""From the call journal to the spool: read a page, fold it, write everything that follows from it at once.

The book of calls in memory is only a copy of what the spool holds. When a write fails it is thrown away and read back,
so that nothing is known that is not on disk. Blocks on disk; the agent runs it in a thread of its own.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from agent import cut_facts, recording_classes, setting_facts
from agent.call_doc import CallDoc, from_json, to_json
from agent.call_quality import Quality
from agent.cdr import CallBook, Classify
from agent.cdr_fields import event_id
from agent.journal_events import JournalEvent, Kind, Moment
from agent.journal_reader import Cursor, Damage, JournalUnreadable, cursor_from, read_page
from agent.records import NewRecord
from agent.spool import Spool
from appliance.kamailio.announcement import REFUSED as UNANNOUNCED
from appliance.kamailio.journal_mark import read_mark, write_mark
from cloudsync.wire import Priority, RecordKind

EVIDENCE_EVERY_MS = 10_000
"""While calls are up, how often it is noted on disk that they were: what a power cut may cost a call's duration."""
PAGES_MAX = 200
"""Pages read in one go, 100,000 events: then the thread lets the caller look whether it should stop."""
DAMAGE_NAMED_MAX = 50
"""Damaged rows named in one event; the count is always told."""
PLACE_WAIT_MS = 5_000
"""A fact of a call that is not known yet waits for Kamailio's journal so long, and those behind it: Kamailio writes a call down
before FreeSWITCH hears of it, but every 50 ms and on a disk that may stall. Afterwards it is passed over."""
HEARD_MAX = 1_000
"""Pauses and classes of recordings that wait to be noted."""
_JOURNAL = "journal"
_PLACES = "media_journal"
_EVIDENCE = "evidence"


@dataclass(slots=True)
class Counters:
    """What has happened since the agent started, for metrics."""

    events: int = 0
    records: int = 0
    damaged: int = 0
    replaced: int = 0
    places: int = 0
    places_strange: int = 0
    unannounced: int = 0


@dataclass(frozen=True, slots=True)
class _Heard:
    """A class of a call's recordings, "" for a pause. until_ms: so long it waits for its call, 0 while it did not have to."""

    call_id: str
    retention: str = ""
    until_ms: int = 0


class CallRecords:
    """The fold over the journal, resumed where the spool says. site, box: as enrolled. Not thread-safe.

    places: the controller's journal of where in applications calls are, None on a box without applications.
    classify: the retention class of a recorded call by its CDR, where no flow has named one.
    observe: is shown every event once its page is safe (again after a failed write, never before)."""

    def __init__(
        self,
        spool: Spool,
        journal: Path,
        site: str,
        box: str,
        *,
        places: Path | None = None,
        observe: Callable[[JournalEvent], object] | None = None,
        classify: Classify | None = None,
    ) -> None:
        self.spool = spool
        self.journal = journal
        self.site = site
        self.box = box
        self.counters = Counters()
        self._observe = observe
        self._classify = classify or (lambda _cdr: "")
        self._book: CallBook | None = None
        self._cursor = Cursor()
        self._places = places
        self._heard: deque[_Heard] = deque(maxlen=HEARD_MAX)
        self._places_cursor = Cursor()
        self._noted = Moment("", 0, 0)

    @property
    def open_calls(self) -> int:
        """Calls whose end is not known yet; 0 before the first `read`."""
        return self._book.open_calls if self._book else 0

    @property
    def orphans(self) -> list[str]:
        """Call-IDs about which rtpengine should be asked, see `CallBook.orphans`."""
        return self._book.orphans if self._book else []

    def unheard(self, now: Moment) -> list[str]:
        """Call-IDs about whose quality rtpengine should be asked, see `CallBook.unheard`; none before the first `read`."""
        return self._book.unheard(now) if self._book else []

    def hear(self, quality: Mapping[str, Quality | None]) -> None:
        """Note what rtpengine said, by Call-ID; on disk with the next `read`. Does not block."""
        if self._book:
            self._book.hear(quality)

    def together(self, call_id: str) -> list[str]:
        """See `CallBook.together`; empty before the first `read`. Does not block; may be called from another thread."""
        return self._book.together(call_id) if self._book else []

    def paused(self, call_id: str) -> None:
        """See `CallBook.paused`; taken in by the next `read`. Does not block; may be called from another thread."""
        self._heard.append(_Heard(call_id))

    def classed(self, call_id: str, retention: str) -> None:
        """See `CallBook.classed`; otherwise as `paused`."""
        self._heard.append(_Heard(call_id, retention))

    def read(self, now: Moment, *, kamailio_alive: bool = True, media: frozenset[str] | None = None) -> int:
        """Take in what the journal has, then let time pass; gives the number of new records.

        Raises JournalUnreadable or SpoolError; what was taken in before it stays, the rest comes again next time.
        """
        taken: list[_Heard] = []
        try:
            made = 0
            self._take_heard(now, taken)
            for _ in range(PAGES_MAX):
                count, more = self._page(now)
                made += count
                if not more:
                    self._take_heard(now, taken)
                    return made + self._read_places(now) + self._tick(now, kamailio_alive, media)
            return made
        except BaseException:
            self._book = None
            self._heard.extendleft(reversed(taken))
            raise

    def _take_heard(self, now: Moment, taken: list["_Heard"]) -> None:
        """Note pauses and classes; those of a call that is not known yet wait for Kamailio's journal, like facts: a flow may name
        a class within a moment of the call's beginning. taken: gets those that were noted."""
        book = self._load()
        for _ in range(len(self._heard)):
            one = self._heard.popleft()
            known = book.classed(one.call_id, one.retention) if one.retention else book.paused(one.call_id)
            if known:
                taken.append(one)
            elif now.mono_ms < (one.until_ms or now.mono_ms + PLACE_WAIT_MS):
                self._heard.append(replace(one, until_ms=one.until_ms or now.mono_ms + PLACE_WAIT_MS))

    def _page(self, now: Moment) -> tuple[int, bool]:
        book = self._load()
        page = read_page(self.journal, self._cursor)
        if page.cursor == self._cursor:
            return 0, False
        records = [record for event in page.events for record in book.apply(event)]
        records += [
            setting_facts.record(self.site, self.box, event)
            for event in page.events
            if event.kind is Kind.SETTING
        ]
        if page.damaged or page.replaced:
            records.append(self._trouble(now, page.damaged, page.replaced, self._cursor))
        made = self._write(book, records, page.cursor)
        if self._observe is not None:
            for event in page.events:
                self._observe(event)
        self.counters.events += len(page.events)
        self.counters.damaged += len(page.damaged)
        self.counters.replaced += page.replaced
        return made, page.more

    def _read_places(self, now: Moment) -> int:
        """Take in what the controller has reported; gives the number of new records. Its journal may be gone or spoilt: calls do
        not wait for it."""
        book, path, made = self._load(), self._places, 0
        for _ in range(PAGES_MAX):
            try:
                page = None if path is None else read_page(path, self._places_cursor)
            except JournalUnreadable:
                self.counters.damaged += 1
                return made
            if path is None or page is None or page.cursor == self._places_cursor:
                return made
            cursor, strange, records = page.cursor, 0, []
            before = Cursor() if page.replaced else self._places_cursor
            for event in page.events:
                cut = event.kind is Kind.CUT
                if cut:
                    records.append(cut_facts.record(self.site, self.box, event))
                known = cut or book.place(event)
                if (
                    not known
                    and event.at.boot_id == now.boot_id
                    and now.mono_ms - event.at.mono_ms < PLACE_WAIT_MS
                ):
                    cursor = before
                    break
                strange += not known
                before = Cursor(event.seq, event.at.boot_id, event.at.mono_ms)
            if cursor == self._places_cursor:
                return made
            made += self._write(book, records, self._cursor, cursor)
            with suppress(OSError):
                write_mark(path, cursor.seq)
            self.counters.places += len(page.events)
            self.counters.places_strange += strange
            if cursor != page.cursor or not page.more:
                return made
        return made

    def _tick(self, now: Moment, kamailio_alive: bool, media: frozenset[str] | None) -> int:
        book = self._load()
        records = book.tick(now, kamailio_alive=kamailio_alive, media=media)
        last = book.last
        stale = last is not None and (
            last.boot_id != self._noted.boot_id or last.mono_ms - self._noted.mono_ms >= EVIDENCE_EVERY_MS
        )
        if records or book.touched or (stale and book.open_calls):
            return self._write(book, records, self._cursor)
        return 0

    def _write(
        self, book: CallBook, records: list[NewRecord], cursor: Cursor, places: Cursor | None = None
    ) -> int:
        calls = {
            call: None if doc is None else json.dumps(to_json(doc))
            for call, doc in book.take_touched().items()
        }
        cursors = {_JOURNAL: cursor.to_json(), **recording_classes.told(records)}
        if places is not None:
            cursors[_PLACES] = places.to_json()
        if book.last is not None:
            cursors[_EVIDENCE] = json.dumps(asdict(book.last))
        added = self.spool.append(records, cursors=cursors, calls=calls)
        if cursor != self._cursor:
            self._cursor = cursor
            with suppress(OSError):  # an older mark only means that old rows are deleted later
                write_mark(self.journal, cursor.seq)
        self._places_cursor = places or self._places_cursor
        self._noted = book.last or self._noted
        self.counters.records += len(added)
        self.counters.unannounced += sum(
            one.kind is RecordKind.CDR and one.body.get("recording_refused") == UNANNOUNCED for one in records
        )
        return len(added)

    def _load(self) -> CallBook:
        if self._book is None:
            self._cursor = cursor_from(self.spool.cursor_json(_JOURNAL)) or Cursor(read_mark(self.journal))
            self._places_cursor = cursor_from(self.spool.cursor_json(_PLACES)) or Cursor()
            last = _moment(self.spool.cursor_json(_EVIDENCE))
            self._book = CallBook(self.site, self.box, self._documents(), last, self._classify)
        return self._book

    def _documents(self) -> list[CallDoc]:
        """What the spool kept of open calls. A document that cannot be read is left out: its call's later events make
        a CDR that says that it is incomplete."""
        docs = []
        for text in self.spool.open_calls().values():
            try:
                docs.append(from_json(json.loads(text)))
            except (ValueError, TypeError, AttributeError):
                self.counters.damaged += 1
        return docs

    def _trouble(self, now: Moment, damaged: tuple[Damage, ...], replaced: bool, before: Cursor) -> NewRecord:
        name = "journal_replaced" if replaced else "journal_damaged"
        body = {
            "event": name,
            "rows": len(damaged),
            "named": [asdict(item) for item in damaged[:DAMAGE_NAMED_MAX]],
            "after_seq": before.seq,
        }
        id_ = event_id(self.site, self.box, name, now.boot_id, str(before.seq), str(now.mono_ms))
        return NewRecord(id_, RecordKind.EVENT, Priority.CDR, now.wall_ms, now.boot_id, body)


def _moment(kept: object) -> Moment | None:
    """When the calls that are up were last seen; None for what cannot be read."""
    match kept:
        case {"boot_id": str(boot_id), "mono_ms": int(mono_ms), "wall_ms": int(wall_ms)}:
            return Moment(boot_id, mono_ms, wall_ms)
    return None
