"""Watches the voicemail boxes: tells the centre of each message once, and FreeSWITCH which boxes are full. Adapter.

What was told is kept in the spool, in the transaction that writes the event: a crash neither forgets a message nor tells it
twice. The audio goes its own way (`appliance.media.voicemail`).
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import voicemail_limits
from agent.cdr_fields import event_id
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool import Spool
from appliance.errors import KyusaiError
from appliance.freeswitch.voicemail_store import Message, messages
from cloudsync.wire import VOICEMAIL_EVENT, Priority, RecordKind

LOOK_S = 2.0
CURSOR = "voicemail"

AGAIN_LOOKS = 15
"""FreeSWITCH is told again every half minute: it may have been started anew."""

Order = Callable[[str], Awaitable[str]]


def body(message: Message) -> dict[str, Any]:
    """The event of one message."""
    left = datetime.fromtimestamp(message.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "event": "voicemail",
        "box": message.box,
        "caller": message.caller[:64],
        "caller_name": message.caller_name[:64],
        "recording": message.id,
        "left_utc": left,
        "duration_s": message.seconds,
    }


class VoicemailWatch:
    """folder: of FreeSWITCH's databases. room: whether a message may take room on the disk. order: `global_setvar`."""

    def __init__(self, folder: Path, spool: Spool, ids: tuple[str, str], now: Callable[[], Moment]) -> None:
        self._folder = folder
        self._spool = spool
        self._ids = ids
        self._now = now
        self._told: set[str] | None = None
        self._set: dict[str, str] = {}
        self._looks = 0

    async def look(self, room: bool, order: Order) -> int:
        """Once; gives how many messages are new. Raises SpoolError, sqlite3.Error."""
        found = await asyncio.to_thread(messages, self._folder)
        new = await asyncio.to_thread(self._tell, found)
        sizes = await asyncio.to_thread(_sizes, found)
        now = voicemail_limits.wanted(sizes, room)
        again = self._looks % AGAIN_LOOKS == 0
        self._looks += 1
        try:
            for line in voicemail_limits.orders(now, self._set, again):
                await order(line)
        except KyusaiError:
            return new  # it is not there: it is told when it is
        self._set = now
        return new

    def _tell(self, found: Sequence[Message]) -> int:
        if self._told is None:
            self._told = set(json.loads(self._spool.cursor(CURSOR) or "[]"))
        new = [one for one in found if one.id not in self._told]
        if not new:
            return 0
        at = self._now()
        told = {one.id for one in found}
        self._spool.append([self._record(one, at) for one in new], cursors={CURSOR: json.dumps(sorted(told))})
        self._told = told
        return len(new)

    def _record(self, message: Message, at: Moment) -> NewRecord:
        return NewRecord(
            event_id(*self._ids, VOICEMAIL_EVENT, message.id, at.boot_id, str(at.mono_ms)),
            RecordKind.EVENT,
            Priority.CDR,
            at.wall_ms,
            at.boot_id,
            body(message),
        )


def _sizes(found: Sequence[Message]) -> list[tuple[str, int]]:
    sizes = []
    for one in found:
        try:
            sizes.append((one.box, one.path.stat().st_size))
        except OSError:
            sizes.append((one.box, 0))
    return sizes


LOOK_ERRORS = (sqlite3.Error, OSError, ValueError)
"""Another look will do."""
