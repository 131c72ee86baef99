"""ADAPTER. What happens on the box, told to the centre: events of the site's chain, written into the spool beside the loop."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from agent import clock
from agent.cdr_fields import event_id
from agent.disk import Use, allows
from agent.disk_watch import Change
from agent.identity import Enrolled
from agent.link import Link
from agent.logs import Logger
from agent.records import NewRecord
from agent.spool import Spool
from appliance.freeswitch.by_hand import ByHand
from appliance.freeswitch.pin_locks import Lock
from appliance.model import LinkState
from cloudsync.wire import Priority, RecordKind


class Events:
    """One box's. enrolled, spool: None as long as there is none, and what happens before is not told."""

    def __init__(
        self, enrolled: Callable[[], Enrolled | None], spool: Callable[[], Spool | None], log: Logger
    ) -> None:
        self._enrolled = enrolled
        self._spool = spool
        self._log = log
        self._loop = asyncio.get_running_loop()

    def link_changed(self, link: Link, before: LinkState) -> None:
        """An upstream became unusable, or is used again."""
        name = "link_down" if link.state is LinkState.DOWN else "link_up"
        body = {"upstream": link.upstream_id, "before": before.value, "reason": link.reason}
        self._tell(name, link.upstream_id, Priority.REST, body)

    def disk_changed(self, told: Change) -> None:
        """Says so before anything stops; of the lowest priority is only what nobody has to act on."""
        place, before, after = told.place.value, told.before.value, told.after.value
        figures = {"free_bytes": told.room.free_bytes, "disk_bytes": told.room.total_bytes}
        self._log.warning("disk_changed", place=place, before=before, after=after, **figures)
        name = "recording_resumed" if allows(told.after, Use.NEW_RECORDING) else "recording_stopped"
        self._tell(name, place, Priority.CDR, {"reason": place, "before": before, "state": after, **figures})

    def clock_set(self, by_ms: int, boot_id: str, mono_ms: int) -> None:
        """The wall clock was set: what this boot told before is off by so much."""
        name = "clock_set_ahead" if by_ms > 0 else "clock_set_back"
        self._log.warning("clock_set", by_ms=by_ms)
        self._tell(name, "clock", Priority.CDR, {"boot_id": boot_id, "by_ms": by_ms, "mono_ms": mono_ms})

    def kamailio_ended(self) -> None:
        """It hung, and was ended."""
        self._tell("kamailio_ended", "kamailio", Priority.CDR, {"reason": "hung"})

    def freeswitch_ended(self) -> None:
        """It hung, and was ended."""
        self._tell("freeswitch_ended", "freeswitch", Priority.CDR, {"reason": "hung"})

    def schedule_set(self, one: ByHand) -> None:
        """Somebody set a schedule by hand, or it went by its hours again."""
        self._tell("schedule_set", one.schedule, Priority.CDR, asdict(one))

    def pin_lock(self, lock: Lock, locked: bool) -> None:
        """Wrong PINs or codes have locked something, or it is open again."""
        name = "pin_locked" if locked else "pin_unlocked"
        self._tell(name, f"{lock.what} {lock.name}", Priority.CDR, asdict(lock))

    def classed(self, call_id: str, retention: str) -> None:
        """A call's recordings got a retention class."""
        self._tell("recording_class", call_id, Priority.CDR, {"call_id": call_id, "class": retention})

    def figures(self, body: dict[str, Any]) -> None:
        """A minute's figures: no event, and written like one."""
        self._tell("series", "box", Priority.REST, body, RecordKind.STAT)

    def _tell(
        self, name: str, about: str, priority: int, body: dict[str, Any], kind: RecordKind = RecordKind.EVENT
    ) -> None:
        """Written in a thread: the disk may be slow, links must not wait."""
        enrolled, spool = self._enrolled(), self._spool()
        if enrolled is None or spool is None:
            return
        at = clock.now()
        site_id, box_id = enrolled.enrolment.site_id, enrolled.enrolment.box_id
        record = NewRecord(
            event_id(site_id, box_id, name, about, at.boot_id, str(at.mono_ms), wall_ms=at.wall_ms),
            kind,
            priority,
            at.wall_ms,
            at.boot_id,
            {"event": name, **body} if kind is RecordKind.EVENT else {**body, "mono_ms": at.mono_ms},
        )
        self._loop.run_in_executor(None, self._append, spool, record)

    def _append(self, spool: Spool, record: NewRecord) -> None:
        try:
            spool.append([record])
        except Exception as error:
            self._log.error("event_not_written", reason=str(error))
