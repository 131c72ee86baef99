"""Tells the centre of every change made at this box, and of every state that it comes to, as events of the site's chain.

What was told is kept in the spool, in the transaction that writes the event: a crash neither forgets a change nor tells
it twice. Only what is settled is told, never what is still on trial.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.cdr_fields import event_id
from agent.config import ConfigKeeper
from agent.config_store import Phase
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool import Spool
from appliance.local_change import Change
from cloudsync.wire import Priority, RecordKind

LOOK_S = 1.0
"""How often it is looked whether there is anything to tell."""

CURSOR = "local_changes"

AGAIN_MS = 86_400_000
"""Open changes are told again once a day: a centre that was restored from a backup has forgotten them."""


def news(changes: Sequence[Change], told: Mapping[str, str]) -> list[Change]:
    """Those whose state the centre has not been told."""
    return [one for one in changes if told.get(one.id) != one.state]


def body(change: Change) -> dict[str, Any]:
    """The event of one change in its present state."""
    return {"event": "local_change", **change.as_json()}


class ChangeReports:
    """Puts the events into the spool. now: the box's clocks."""

    def __init__(
        self, keeper: ConfigKeeper, spool: Spool, site_id: str, box_id: str, now: Callable[[], Moment]
    ) -> None:
        self._keeper = keeper
        self._spool = spool
        self._ids = (site_id, box_id)
        self._now = now
        self._told: dict[str, str] | None = None
        self._again_ms = now().mono_ms + AGAIN_MS

    def tell(self) -> int:
        """Write what is new; gives how much. Blocks on disk. Raises SpoolError, nothing is told then."""
        changes = (
            self._keeper.changes
        )  # looked at first: what is on trial is there only after the phase has changed
        if self._keeper.store.state.phase is not Phase.IDLE:
            return 0
        if self._told is None:
            told = self._spool.cursor_json(CURSOR)
            self._told = told if isinstance(told, dict) else {}
        at = self._now()
        new = news(changes, self._told)
        if at.mono_ms >= self._again_ms:
            self._again_ms = at.mono_ms + AGAIN_MS
            new += [one for one in changes if one.is_open and one not in new]
        if not new:
            return 0
        told = {one.id: one.state.value for one in changes}
        records = [self._record(one, at) for one in new]
        self._spool.append(records, cursors={CURSOR: json.dumps(told)})
        self._told = told
        return len(new)

    def _record(self, change: Change, at: Moment) -> NewRecord:
        about = f"{change.id}:{change.state}"
        return NewRecord(
            event_id(*self._ids, "local_change", about, at.boot_id, str(at.mono_ms)),
            RecordKind.EVENT,
            Priority.CDR,
            at.wall_ms,
            at.boot_id,
            body(change),
        )
