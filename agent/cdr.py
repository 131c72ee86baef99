"""The fold: journal events in, open calls and finished CDRs out. Pure; the caller says what time it is.

A call leaves the book exactly once, as one CDR. When the end was journalled the CDR waits `SETTLE_MS` for events that
overtook each other on their way into the journal. Where no end comes, stated rules close the call at its last evidence:

- Kamailio restarted under it (`process_start` in the same boot): the phones may well go on talking, so the call stays
  open as an orphan until its BYE is journalled, until rtpengine, which had known it, no longer does, or until
  `ORPHAN_SETUP_MAX_MS` (never answered) or `ORPHAN_TALK_MAX_MS` have passed: cause `kamailio_restart`.
- The box restarted (another boot_id): cause `box_restart`, at once.

A call that an application placed on behalf of another one (`part_of`: an attendant passes a caller on) makes no CDR: it is kept
as a document of its own while it is up, and becomes one of the other's legs when it is over. The other one's CDR waits for it.

Both rules set `incomplete`. If the true end of such a call turns up after all, the CDR stays (one per call) and an event
`cdr_correction` with the whole corrected CDR follows it. `docs/cdr.md` says the same for readers.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from agent.call_doc import (
    AWAITED_MAX,
    RETENTION_MAX_BYTES,
    CallDoc,
    Phase,
    begin,
    close_by_rule,
    merge,
    see,
    stay,
    take_leg,
)
from agent.call_quality import Quality
from agent.cdr_fields import build, event_id, leg, utc_text
from agent.journal_events import CALL_ID_MAX_BYTES, JournalEvent, Kind, Moment, clean, later, text_of
from agent.records import NewRecord
from cloudsync.wire import Priority, RecordKind, canonical_json, cdr_without_empty

SETTLE_MS = 1_000
"""How long an ended call waits for stragglers: workers hand events to the journal within 50 ms, a stall takes longer."""
ORPHAN_SETUP_MAX_MS = 200_000
"""An unanswered call cannot outlive Kamailio's restart by more than the phones' own timer C (3 minutes, RFC 3261 16.6)."""
ORPHAN_TALK_MAX_MS = 12 * 3_600_000
"""An answered call of which neither Kamailio nor rtpengine knows any more: longer than any working day's call."""
TOMBSTONE_MS = 600_000
"""A closed call's events are known for late this long: a BYE is repeated for 32 s, a transfer's tail takes minutes."""
TOMBSTONE_INCOMPLETE_MS = 24 * 3_600_000
"""A call closed by rule may show its true end until a day later."""

QUALITY_EVERY_MS = 30_000
"""How often the quality of calls that are up is noted: what is known of it when nobody can be asked at their end."""


class Trigger(StrEnum):
    """What can happen to a call besides its journal events."""

    REUSE = "reuse"  # a start with the key of a call that has ended: a phone that reuses Call-ID and tag
    LATE_END = "late_end"  # an end for a call that a rule had closed
    RESTART = "restart"
    REBOOT = "reboot"
    GONE = "gone"
    OVERDUE = "overdue"
    SETTLED = "settled"
    FORGOTTEN = "forgotten"


class Effect(StrEnum):
    """What the book does to the call and its document."""

    MERGE = "merge"
    ORPHAN = "orphan"
    MAKE = "make"
    CLOSE_RESTART = "close_restart"
    CLOSE_REBOOT = "close_reboot"
    CORRECT = "correct"
    RENEW = "renew"
    MAKE_RENEW = "make_renew"
    FORGET = "forget"
    IGNORE = "ignore"


class IllegalTransition(RuntimeError):
    """The table has no row for what happened: a fault of this module, never of the journal."""


_FACTS = (Kind.START, Kind.STEP, Kind.STEP_END, Kind.TRANSFER, Kind.EMERGENCY, Kind.MEDIA)
_LATE = (*_FACTS, Kind.ANSWER, Kind.END, Trigger.RESTART, Trigger.GONE, Trigger.OVERDUE)
_OPEN = (Phase.SETUP, Phase.TALKING)
_OF_NO_CALL = (Kind.REGISTRATION, Kind.SETTING, Kind.STAY, Kind.STAY_END, Kind.CUT)
"""Rows that this fold passes over; those on stays come by `CallBook.place`."""
_MAKE_NO_CALL = (Kind.TRANSFER, Kind.MEDIA)
"""Events within a call: of one that is not known they say too little for a CDR, and some can be invented."""

TRANSITIONS: dict[tuple[Phase, Kind | Trigger], tuple[Phase, Effect]] = {
    **{(phase, fact): (phase, Effect.MERGE) for phase in (*_OPEN, Phase.ENDED) for fact in _FACTS},
    (Phase.SETUP, Kind.ANSWER): (Phase.TALKING, Effect.MERGE),
    (Phase.TALKING, Kind.ANSWER): (Phase.TALKING, Effect.MERGE),
    (Phase.ENDED, Kind.ANSWER): (Phase.ENDED, Effect.MERGE),
    **{(phase, Kind.END): (Phase.ENDED, Effect.MERGE) for phase in (*_OPEN, Phase.ENDED)},
    **{(phase, Trigger.RESTART): (phase, Effect.ORPHAN) for phase in _OPEN},
    **{(phase, Trigger.REBOOT): (Phase.CLOSED, Effect.CLOSE_REBOOT) for phase in _OPEN},
    **{
        (phase, trigger): (Phase.CLOSED, Effect.CLOSE_RESTART)
        for phase in _OPEN
        for trigger in (Trigger.GONE, Trigger.OVERDUE)
    },
    **{(Phase.ENDED, t): (Phase.ENDED, Effect.IGNORE) for t in (Trigger.RESTART, Trigger.GONE)},
    (Phase.ENDED, Trigger.SETTLED): (Phase.CLOSED, Effect.MAKE),
    (Phase.ENDED, Trigger.REBOOT): (Phase.CLOSED, Effect.MAKE),
    (Phase.ENDED, Trigger.REUSE): (Phase.SETUP, Effect.MAKE_RENEW),
    **{(Phase.CLOSED, late): (Phase.CLOSED, Effect.IGNORE) for late in _LATE},
    (Phase.CLOSED, Trigger.LATE_END): (Phase.CLOSED, Effect.CORRECT),
    (Phase.CLOSED, Trigger.REUSE): (Phase.SETUP, Effect.RENEW),
    (Phase.CLOSED, Trigger.REBOOT): (Phase.CLOSED, Effect.FORGET),
    (Phase.CLOSED, Trigger.FORGOTTEN): (Phase.CLOSED, Effect.FORGET),
}


Classify = Callable[[Mapping[str, object]], str]


def _in_no_class(_cdr: Mapping[str, object]) -> str:
    return ""


class CallBook:
    """All calls that are not yet forgotten. Not thread-safe; `apply` and `tick` never block.

    docs: what the spool kept of them; last: the latest moment at which Kamailio is known to have run, if any.
    late, strange: events that changed nothing, of calls that were closed and of calls that never were.
    classify: the class of a recorded call's recordings by its CDR, "" for none.
    After a failed write of what `apply` returned, throw the book away and make a new one from the spool.
    """

    def __init__(
        self,
        site: str,
        box: str,
        docs: Iterable[CallDoc] = (),
        last: Moment | None = None,
        classify: Classify = _in_no_class,
    ) -> None:
        self.site = site
        self.box = box
        self._classify = classify
        self.docs: dict[str, CallDoc] = {doc.call: doc for doc in docs}
        self.last = last
        self.touched: set[str] = set()
        self.late = 0
        self.strange = 0
        self._boot_id = last.boot_id if last else ""
        self._timers: list[tuple[int, str]] = []
        self._unheard: set[str] = set()
        self._listen_ms = 0
        self._made: list[NewRecord] = []
        for doc in self.docs.values():
            doc.awaited = [call for call in doc.awaited if self._is_under_way(call)]
            self._arm(doc)
            self._listen(doc)

    def apply(self, event: JournalEvent) -> list[NewRecord]:
        """Take in one journal event, in the journal's order; gives the records that it completes."""
        self._advance(event.at)
        if event.kind is Kind.PROCESS_START:
            self._restart(event.at)
        elif event.kind not in _OF_NO_CALL and event.call:
            self._call_event(event)
        self._evidence(event.at)
        return self._take()

    def together(self, call_id: str) -> list[str]:
        """Call-IDs of a person's call: its own and those of the calls that applications placed for him and that are up."""
        docs = list(self.docs.values())  # a copy: the fold may go on in another thread
        found = [doc for doc in docs if doc.call_id == call_id and doc.phase in _OPEN]
        whole = [self.docs.get(doc.parent, doc) for doc in found]
        awaited = {call for doc in whole for call in doc.awaited}
        return sorted({doc.call_id for doc in (*whole, *(doc for doc in docs if doc.call in awaited))})

    def paused(self, call_id: str) -> bool:
        """Note that a call's recording was paused. False: no such call is known (yet)."""
        found = self._whole_calls(call_id)
        for whole in found:
            whole.recording_pauses += 1
        return bool(found)

    def classed(self, call_id: str, retention: str) -> bool:
        """Note the class of a call's recordings; the class named last holds. False: no such call is known (yet)."""
        found = self._whole_calls(call_id)
        for whole in found:
            whole.retention = clean(retention, RETENTION_MAX_BYTES)
        return bool(found)

    def _whole_calls(self, call_id: str) -> list[CallDoc]:
        """The person's call that is meant, changed by the caller."""
        found = [doc for doc in self.docs.values() if doc.call_id == call_id and doc.phase != Phase.CLOSED]
        whole = [self.docs.get(doc.parent, doc) for doc in found]
        self.touched.update(doc.call for doc in whole)
        return whole

    def place(self, event: JournalEvent) -> bool:
        """Take in one event of the controller's journal: where in applications a call is. event.call: its Call-ID. False: no
        such call is known (yet)."""
        held = [doc for doc in self.docs.values() if doc.call_id == event.call and doc.phase != Phase.CLOSED]
        if not held:
            return False
        found = max(held, key=lambda doc: doc.start_ms)
        whole = self.docs.get(found.parent, found)
        if whole.boot_id == event.at.boot_id:
            stay(whole, event)
            self.touched.add(whole.call)
        return True

    def tick(
        self, now: Moment, *, kamailio_alive: bool = True, media: frozenset[str] | None = None
    ) -> list[NewRecord]:
        """Let time pass, once the journal is read to its end. kamailio_alive: it answered just now.
        media: Call-IDs that rtpengine knows, None when it was not asked or did not answer."""
        self._advance(now)
        if media is not None:
            self._check_media(now, media)
        if kamailio_alive:
            self._evidence(now)
        return self._take()

    def unheard(self, now: Moment) -> list[str]:
        """Call-IDs of answered calls that went through rtpengine, and about whose quality it should be asked now: those
        that have just ended, and from time to time all that are up. Nobody waits for the answer: a CDR is made when its
        call has settled, with what is known by then."""
        docs = [self.docs[call] for call in sorted(self._unheard)]
        if now.mono_ms >= self._listen_ms:
            self._listen_ms = now.mono_ms + QUALITY_EVERY_MS
            docs += [doc for doc in self.docs.values() if doc.phase == Phase.TALKING and doc.anchored]
        return [doc.call_id for doc in docs]

    def hear(self, quality: Mapping[str, Quality | None]) -> None:
        """Note what rtpengine said, by Call-ID; None (it does not know the call) leaves what was said before."""
        for doc in [doc for doc in self.docs.values() if doc.call_id in quality] if quality else []:
            if doc.phase == Phase.ENDED:
                self._unheard.discard(doc.call)
            told = quality[doc.call_id]
            if told and told != doc.quality and doc.phase in (Phase.TALKING, Phase.ENDED):
                doc.quality = told
                self.touched.add(doc.call)

    def take_touched(self) -> dict[str, CallDoc | None]:
        """Documents changed since the last call; None for those forgotten."""
        changed = {call: self.docs.get(call) for call in self.touched}
        self.touched = set()
        return changed

    @property
    def open_calls(self) -> int:
        """Calls whose end is not known yet."""
        return sum(doc.phase in _OPEN and not doc.parent for doc in self.docs.values())

    @property
    def orphans(self) -> list[str]:
        """Call-IDs of open calls that Kamailio restarted under: rtpengine should be asked about them."""
        return [doc.call_id for doc in self.docs.values() if doc.orphan_ms and doc.phase in _OPEN]

    def _take(self) -> list[NewRecord]:
        made, self._made = self._made, []
        return made

    def _evidence(self, at: Moment) -> None:
        self.last = at if self.last is None or self.last.boot_id != at.boot_id else later(self.last, at)

    def _advance(self, now: Moment) -> None:
        if now.boot_id != self._boot_id:
            self._boot_id = now.boot_id
            others = [doc for doc in self.docs.values() if doc.boot_id != now.boot_id]
            for doc in sorted(
                others, key=lambda doc: not doc.parent
            ):  # legs before the calls that wait for them
                self._fire(doc, Trigger.REBOOT, now)
        while self._timers and self._timers[0][0] <= now.mono_ms:
            _, call = heapq.heappop(self._timers)
            timed = self.docs.get(call)
            due = _due(timed) if timed is not None else None
            if timed is not None and due is not None and due[0] <= now.mono_ms:
                self._fire(timed, due[1], now)

    def _restart(self, at: Moment) -> None:
        for doc in [doc for doc in self.docs.values() if doc.phase in _OPEN]:
            self._fire(doc, Trigger.RESTART, at)

    def _check_media(self, now: Moment, media: frozenset[str]) -> None:
        for doc in [doc for doc in self.docs.values() if doc.orphan_ms and doc.phase in _OPEN]:
            if doc.call_id in media:
                doc.media_seen = True
                see(doc, now)
                self.touched.add(doc.call)
            elif doc.media_seen or doc.record:
                self._fire(doc, Trigger.GONE, now)

    def _call_event(self, event: JournalEvent) -> None:
        known = self.docs.get(event.call) or self._orphan_by_call_id(event)
        if _anybody_could_say(event) and not (known and (known.orphan_ms or known.by_rule)):
            self.strange += 1
            return
        if known is None and event.kind in _MAKE_NO_CALL:
            self.strange += 1
            return
        call_doc = known or self.docs.setdefault(event.call, begin(event))
        self._fire(call_doc, _trigger(call_doc, event), event.at, event)
        if event.kind is Kind.EMERGENCY:
            self._made.append(self._emergency(event))

    def _orphan_by_call_id(self, event: JournalEvent) -> CallDoc | None:
        """After a restart nobody remembers which side called: a BYE from the callee carries the other tag."""
        if event.kind is not Kind.END:
            return None
        call_id = event.call.rsplit("#", 1)[0]
        found = [
            doc
            for doc in self.docs.values()
            if (doc.orphan_ms or doc.by_rule) and doc.call.rsplit("#", 1)[0] == call_id
        ]
        return found[0] if len(found) == 1 else None

    def _fire(
        self, doc: CallDoc, trigger: Kind | Trigger, at: Moment, event: JournalEvent | None = None
    ) -> None:
        try:
            phase, effect = TRANSITIONS[(Phase(doc.phase), trigger)]
        except KeyError:
            raise IllegalTransition(f"a call that is {doc.phase} cannot take {trigger}: {doc.call}") from None
        doc.phase = phase
        self.touched.add(doc.call)
        _EFFECTS[effect](self, doc, at, event)
        if doc.call in self.docs:
            self._arm(self.docs[doc.call])

    def _arm(self, doc: CallDoc) -> None:
        due = _due(doc)
        if due is not None:
            heapq.heappush(self._timers, (due[0], doc.call))

    def _merge(self, doc: CallDoc, _at: Moment, event: JournalEvent | None) -> None:
        if event is None:
            return
        self._attach(doc, event)
        merge(doc, event)
        self._listen(doc)

    def _attach(self, doc: CallDoc, event: JournalEvent) -> None:
        """Find the call on whose behalf an application placed this one, as its start says."""
        told = text_of(event.data, "part_of", CALL_ID_MAX_BYTES)
        if event.kind is not Kind.START or doc.started or doc.parent or not told:
            return
        doc.part_of = told
        held = [
            one
            for one in self.docs.values()
            if one.call_id == told
            and one is not doc
            and one.phase != Phase.CLOSED
            and one.boot_id == doc.boot_id
        ]
        if not held:
            return
        found = max(held, key=lambda one: one.start_ms)
        whole = self.docs.get(found.parent, found)
        if whole is not doc and whole.phase != Phase.CLOSED and len(whole.awaited) < AWAITED_MAX:
            doc.parent = whole.call
            whole.awaited.append(doc.call)
            self.touched.add(whole.call)

    def _is_under_way(self, call: str) -> bool:
        doc = self.docs.get(call)
        return doc is not None and doc.phase != Phase.CLOSED

    def _whole(self, doc: CallDoc) -> CallDoc | None:
        """The call that `doc` is a leg of, None when it is none's."""
        return self.docs.get(doc.parent) if doc.parent else None

    def _listen(self, doc: CallDoc) -> None:
        if doc.phase == Phase.ENDED and doc.anchored:
            self._unheard.add(doc.call)

    def _orphan(self, doc: CallDoc, at: Moment, _event: JournalEvent | None) -> None:
        if not doc.orphan_ms:
            self._see_until(doc, at)
            doc.orphan_ms = at.mono_ms

    def _see_until(self, doc: CallDoc, at: Moment | None) -> None:
        """The call was up for as long as Kamailio ran without journalling its end, but not past the restart `at`."""
        last = self.last
        if last is None or doc.orphan_ms:
            return
        if at is not None and at.boot_id == last.boot_id and last.mono_ms > at.mono_ms:
            last = at
        see(doc, last)

    def _make(self, doc: CallDoc, at: Moment, _event: JournalEvent | None) -> None:
        self._unheard.discard(doc.call)
        doc.closed_ms = at.mono_ms
        whole = self._whole(doc)
        if whole is not None and not whole.closed_ms:
            take_leg(whole, leg(doc, whole))
            self.touched.add(whole.call)
            self._arm(whole)
            return
        body = self._told(doc)
        priority = Priority.EMERGENCY if doc.emergency else Priority.CDR
        kept = cdr_without_empty(body)
        self._made.append(NewRecord(body["id"], RecordKind.CDR, priority, at.wall_ms, at.boot_id, kept))

    def _told(self, doc: CallDoc) -> dict[str, Any]:
        """The CDR; its recordings are in the class that a flow has named, or else in that of the site's rules."""
        cdr = build(self.site, self.box, doc)
        if cdr["recordings"] and not cdr["retention"]:
            cdr["retention"] = clean(self._classify(cdr), RETENTION_MAX_BYTES)
        return cdr

    def _close_legs(self, doc: CallDoc, at: Moment) -> None:
        """The call is closed by rule: whatever was placed on its behalf goes before it."""
        for one in [self.docs[call] for call in doc.awaited if self._is_under_way(call)]:
            self._fire(one, Trigger.GONE if one.phase in _OPEN else Trigger.SETTLED, at)

    def _close_restart(self, doc: CallDoc, at: Moment, event: JournalEvent | None) -> None:
        self._close_legs(doc, at)
        close_by_rule(doc, "kamailio_restart")
        self._make(doc, at, event)

    def _close_reboot(self, doc: CallDoc, at: Moment, event: JournalEvent | None) -> None:
        self._see_until(doc, None)
        close_by_rule(doc, "box_restart")
        self._make(doc, at, event)

    def _correct(self, doc: CallDoc, at: Moment, event: JournalEvent | None) -> None:
        """The CDR stays as it is, once; what is now known better follows as an event that names it."""
        if event is not None:
            merge(doc, _in_boot_of(doc, event))
        whole = self._whole(doc)
        if whole is not None:
            take_leg(whole, leg(doc, whole))
            self.touched.add(whole.call)
            if not whole.closed_ms:
                return
        told = whole or doc
        cdr = self._told(told)
        body: dict[str, Any] = {"event": "cdr_correction", "call": told.call, "cdr_id": cdr["id"], "cdr": cdr}
        about = (cdr["id"],) if whole is None else (cdr["id"], doc.call)
        id_ = event_id(self.site, self.box, "cdr_correction", *about)
        self._made.append(NewRecord(id_, RecordKind.EVENT, Priority.CDR, at.wall_ms, at.boot_id, body))

    def _renew(self, doc: CallDoc, _at: Moment, event: JournalEvent | None) -> None:
        if event is not None:
            fresh = self.docs[doc.call] = begin(event)
            self._attach(fresh, event)
            merge(fresh, event)

    def _make_renew(self, doc: CallDoc, at: Moment, event: JournalEvent | None) -> None:
        self._make(doc, at, event)
        self._renew(doc, at, event)

    def _forget(self, doc: CallDoc, _at: Moment, _event: JournalEvent | None) -> None:
        del self.docs[doc.call]

    def _ignore(self, _doc: CallDoc, _at: Moment, _event: JournalEvent | None) -> None:
        self.late += 1

    def _emergency(self, event: JournalEvent) -> NewRecord:
        at = event.at
        told = {
            clean(key): clean(value) if isinstance(value, str) else value
            for key, value in event.data.items()
            if isinstance(value, str | bool)
        }
        body = {**told, "event": "emergency", "call": event.call, "at_utc": utc_text(at.wall_ms)}
        what = canonical_json(told)
        id_ = event_id(self.site, self.box, "emergency", at.boot_id, event.call, str(at.mono_ms), what)
        return NewRecord(id_, RecordKind.EVENT, Priority.EMERGENCY, at.wall_ms, at.boot_id, body)


def _trigger(doc: CallDoc, event: JournalEvent) -> Kind | Trigger:
    """Which row of the table a journal event means for this call."""
    if event.kind is Kind.START and doc.ended and doc.started:
        later_boot = event.at.boot_id != doc.boot_id
        if later_boot or event.at.mono_ms > doc.end_ms:
            return Trigger.REUSE
    if event.kind is Kind.END and doc.phase == Phase.CLOSED and doc.by_rule:
        return Trigger.LATE_END
    return event.kind


def _anybody_could_say(event: JournalEvent) -> bool:
    """Whether this is the end of a call that Kamailio does not remember. Such a BYE can be invented, so it ends only
    calls of which a restart has made Kamailio lose sight; no CDR comes of one alone."""
    return event.kind is Kind.END and event.data.get("forgotten") is True


def _in_boot_of(doc: CallDoc, event: JournalEvent) -> JournalEvent:
    """The event with its time in the boot of the call: where they differ only the wall clock spans both."""
    if event.at.boot_id == doc.boot_id:
        return event
    doc.across_boots = True
    mono_ms = doc.start_ms + max(event.at.wall_ms - doc.start_wall_ms, 0)
    return replace(event, at=Moment(doc.boot_id, mono_ms, event.at.wall_ms))


def _due(doc: CallDoc) -> tuple[int, Trigger] | None:
    """When time alone changes the call next (monotonic ms of its boot), and how."""
    if doc.phase == Phase.ENDED:
        return None if doc.awaited else (doc.end_ms + SETTLE_MS, Trigger.SETTLED)
    if doc.phase == Phase.CLOSED:
        keep_ms = TOMBSTONE_INCOMPLETE_MS if doc.by_rule else TOMBSTONE_MS
        return doc.closed_ms + keep_ms, Trigger.FORGOTTEN
    if doc.orphan_ms:
        most_ms = ORPHAN_TALK_MAX_MS if doc.phase == Phase.TALKING else ORPHAN_SETUP_MAX_MS
        return doc.orphan_ms + most_ms, Trigger.OVERDUE
    return None


_Handler = Callable[[CallBook, CallDoc, Moment, JournalEvent | None], None]
_EFFECTS: dict[Effect, _Handler] = {
    Effect.MERGE: CallBook._merge,
    Effect.ORPHAN: CallBook._orphan,
    Effect.MAKE: CallBook._make,
    Effect.CLOSE_RESTART: CallBook._close_restart,
    Effect.CLOSE_REBOOT: CallBook._close_reboot,
    Effect.CORRECT: CallBook._correct,
    Effect.RENEW: CallBook._renew,
    Effect.MAKE_RENEW: CallBook._make_renew,
    Effect.FORGET: CallBook._forget,
    Effect.IGNORE: CallBook._ignore,
}
