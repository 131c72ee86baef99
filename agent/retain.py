"""Carries out what `retention` decides: deletes recordings that are given up, and tells the centre of each.

The files go first, then in one transaction the table's row goes and the event comes: killed in between, the row is found
again without its file and given up again.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from agent import recording_classes, recording_spool
from agent.cdr_fields import event_id
from agent.journal_events import Moment
from agent.recording_classes import CLASS_PREFIX
from agent.recording_table import RecordingTable
from agent.records import NewRecord
from agent.retention import CLASS_KEPT_S, LOOK_S, Kept, Reason, counted, given_up, name_of
from agent.senders import Report, Switches
from agent.spool import PARKED, Spool
from agent.spool_errors import SpoolDamaged, SpoolError
from appliance.site_model import Keeping
from cloudsync.wire import Priority, RecordKind

T = TypeVar("T")

AGES = "recordings_kept_s"
"""The cursor with the counted ages, JSON by id."""
NO_DAYS: Mapping[str, int] = MappingProxyType({})


@dataclass(slots=True)
class GivenUp:
    """Since the agent started, for status and metrics."""

    age: int = 0
    size: int = 0
    bytes: int = 0


class Retention:
    """One look after the other. busy: ids that are on their way just now; those stay."""

    def __init__(
        self, spool: Spool, site_id: str, box_id: str, busy: Callable[[], frozenset[str]] = frozenset
    ) -> None:
        self._spool = spool
        self._table = RecordingTable(spool)
        self._site_id = site_id
        self._box_id = box_id
        self._busy = busy
        self.count = GivenUp()

    def look(
        self, keeping: Keeping, now: Moment, passed_s: float, days: Mapping[str, int] = NO_DAYS
    ) -> list[tuple[str, Reason]]:
        """Give up what has to go; gives it. passed_s: since the last look. days: retention class -> days.

        Blocks. Raises SpoolError, OSError.
        """
        kept = self._table.kept()
        classes = recording_classes.read(self._spool)
        names = {one.id: name_of(one.id, classes) for one in kept}
        unmet = [CLASS_PREFIX + name for name in classes.keys() - set(names.values())]
        ages_s = counted(self._ages_s(), [*names, *unmet], passed_s)
        if not kept and not classes:
            return []
        forgotten = [name for name in unmet if ages_s[name] >= CLASS_KEPT_S]
        recording_classes.forget(self._spool, forgotten)
        for name in forgotten:
            del ages_s[name]
        busy = self._busy()
        class_days = {id_: days.get(classes[name], 0) for id_, name in names.items() if name}
        decided = given_up(kept, ages_s, keeping, class_days)
        gone = [(id_, why) for id_, why in decided if id_ not in busy]
        by_id = {one.id: one for one in kept}
        for id_, why in gone:
            self._give_up(by_id[id_], why, now)
            del ages_s[id_]
        self._spool.append(cursors={AGES: json.dumps(ages_s)})
        return gone

    def _ages_s(self) -> dict[str, float]:
        try:
            found = json.loads(self._spool.cursor(AGES) or "{}")
            return {str(id_): float(age_s) for id_, age_s in found.items()}
        except (ValueError, TypeError, AttributeError):
            return {}

    def _give_up(self, one: Kept, why: Reason, now: Moment) -> None:
        recording = self._table.find(one.id)
        if recording is None:
            return
        recording_spool.remove(recording)
        body = {
            "event": "recording_given_up",
            "recording": one.id,
            "call_id": recording.offer.call,
            "reason": str(why),
            "was": PARKED if one.parked else "waiting",
            "started_utc": one.started_utc,
            "bytes": one.bytes,
            "sha256": recording.offer.sha256,
        }
        id_ = event_id(
            self._site_id, self._box_id, "recording_given_up", one.id, now.boot_id, str(now.mono_ms)
        )
        told = NewRecord(id_, RecordKind.EVENT, Priority.CDR, now.wall_ms, now.boot_id, body)
        with self._spool.transaction() as db:
            self._spool.add_records(db, [told])
            db.execute("DELETE FROM recording WHERE id = ?", (one.id,))
        self.count.bytes += one.bytes
        if why is Reason.AGE:
            self.count.age += 1
        else:
            self.count.size += 1


async def run_retention(
    look: Callable[[Moment, float], Sequence[T]],
    now: Callable[[], Moment],
    switches: Switches,
    report: Report,
    gone: Callable[[T], object],
) -> None:
    """Look every `LOOK_S` until stopped. look: given the moment and the seconds since the last one; blocks. gone: told of what
    it gave up."""
    last_ms = now().mono_ms
    while not switches.stop.is_set():
        moment = now()
        try:
            passed_s = max(moment.mono_ms - last_ms, 0) / 1000
            for one in await asyncio.to_thread(look, moment, passed_s):
                gone(one)
            last_ms = moment.mono_ms
        except SpoolDamaged:
            raise
        except (SpoolError, OSError) as error:
            report(error, LOOK_S)
        await switches.rest(LOOK_S)
