"""Watches the voicemail boxes: tells the centre of each message once, takes out what a full disk cut short, and tells FreeSWITCH
which boxes are full. Adapter.

What was told is kept in the spool, in the transaction that writes the event: a crash neither forgets a message nor tells it
twice. The audio goes its own way (`appliance.media.voicemail`).
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import cut_facts, voicemail_limits
from agent.cdr_fields import event_id
from agent.journal_events import Moment
from agent.records import NewRecord
from agent.spool import Spool
from appliance.errors import KyusaiError
from appliance.freeswitch.cut_short import VOICEMAIL
from appliance.freeswitch.kept_audio import held_ms, is_whole
from appliance.freeswitch.voicemail_store import Message, messages
from cloudsync.wire import VOICEMAIL_EVENT, Priority, RecordKind

LOOK_S = 2.0
CURSOR = "voicemail"
GONE_EVENT = "voicemail_gone"

AGAIN_LOOKS = 15
"""FreeSWITCH is told again every half minute: it may have been started anew."""

STRAY_LOOKS = 1_800
"""Once an hour files are looked for that are in no box: of a message whose caller FreeSWITCH lost with its own end, or that its
full database did not take. One that has not changed for an hour goes; nobody is asked for so long what to do with his message."""

Order = Callable[[str], Awaitable[str]]
Delete = Callable[[Message], Awaitable[str]]


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
    """folder: of FreeSWITCH's databases; audio: of messages. room: whether a message may take room on the disk. order:
    `global_setvar`; delete: takes a message out of its box."""

    def __init__(
        self, folder: Path, audio: Path, spool: Spool, ids: tuple[str, str], now: Callable[[], Moment]
    ) -> None:
        self._folder = folder
        self._audio = audio
        self._spool = spool
        self._ids = ids
        self._now = now
        self._told: set[str] | None = None
        self._set: dict[str, str] = {}
        self._looks = 0
        self._doubted: frozenset[str] = frozenset()
        self._missing: frozenset[str] = frozenset()
        self._stray: dict[Path, int] = {}

    async def look(self, room: bool, order: Order, delete: Delete) -> int:
        """Once; gives how many events are new. Raises SpoolError, sqlite3.Error, OSError."""
        found = await asyncio.to_thread(messages, self._folder)
        sizes = await asyncio.to_thread(_sizes, found)
        whole, cut = await asyncio.to_thread(self._sorted, found)
        new = await asyncio.to_thread(self._tell, whole)
        new += await self._take_out(cut, delete)
        new += await self._take_out_gone(
            [one for one, size in zip(found, sizes, strict=True) if size is None], delete
        )
        if self._looks % STRAY_LOOKS == 0:
            new += await asyncio.to_thread(self._sweep, {one.path for one in found})
        now = voicemail_limits.wanted(
            [(one.box, size or 0) for one, size in zip(found, sizes, strict=True)], room
        )
        again = self._looks % AGAIN_LOOKS == 0
        self._looks += 1
        try:
            for line in voicemail_limits.orders(now, self._set, again):
                await order(line)
        except KyusaiError:
            return new  # it is not there: it is told when it is
        self._set = now
        return new

    def _sorted(self, found: Sequence[Message]) -> tuple[list[Message], list[Message]]:
        """Messages to be told of, and those that were cut short: in two looks, since an owner who deletes a message lets its
        file go first. A message that was told of was whole."""
        if self._told is None:
            told = self._spool.cursor_json(CURSOR)
            self._told = set(map(str, told)) if isinstance(told, list) else set()
        short = [one for one in found if one.id not in self._told and not is_whole(one)]
        cut = [one for one in short if one.id in self._doubted]
        self._doubted = frozenset(one.id for one in short)
        return [one for one in found if one.id not in self._doubted], cut

    async def _take_out(self, cut: Sequence[Message], delete: Delete) -> int:
        """What was cut short leaves its box; gives how many were told of. Where the file is gone, whoever removed it has told."""
        told = 0
        for one in cut:
            held = await asyncio.to_thread(held_ms, one.path)
            try:
                await delete(one)
            except KyusaiError:
                return told  # it is not there: the next look finds the message again
            if held is not None:
                await asyncio.to_thread(self._tell_cut, "disk", one.path, one.seconds * 1000, held)
                told += 1
        return told

    async def _take_out_gone(self, missing: Sequence[Message], delete: Delete) -> int:
        """What was told of and has no file any more leaves its box: it was in memory when the power went. In two looks, since an
        owner who deletes a message lets its file go first. Gives how many were told of."""
        told_of = [one for one in missing if one.id in (self._told or set())]
        gone = [one for one in told_of if one.id in self._missing]
        self._missing = frozenset(one.id for one in told_of)
        told = 0
        for one in gone:
            try:
                await delete(one)
            except KyusaiError:
                return told  # it is not there: the next look finds the message again
            await asyncio.to_thread(self._tell_gone, one)
            told += 1
        return told

    def _tell_gone(self, one: Message) -> None:
        at = self._now()
        id_ = event_id(*self._ids, GONE_EVENT, one.id, at.boot_id, str(at.mono_ms))
        told = {**body(one), "event": "voicemail_gone"}
        self._spool.append([NewRecord(id_, RecordKind.EVENT, Priority.CDR, at.wall_ms, at.boot_id, told)])

    def _sweep(self, stored: Set[Path]) -> int:
        """Remove files that are in no box, and have not changed since the last time; gives how many."""
        lying = {
            path: path.stat().st_size for path in self._audio.glob("*/*/msg_*.wav") if path not in stored
        }
        gone = [path for path, size in lying.items() if self._stray.get(path) == size]
        self._stray = lying
        for path in gone:
            held = held_ms(path) or 0
            path.unlink(missing_ok=True)
            self._tell_cut("interrupted", path, 0, held)
        return len(gone)

    def _tell_cut(self, reason: str, path: Path, told_ms: int, held: int) -> None:
        at, recording = self._now(), Message("", "", "", path, 0, 0).id
        body = {
            "event": "recording_not_stored",
            "reason": reason,
            "call_id": "",
            "what": VOICEMAIL,
            "name": path.parent.name,
            "recording": recording,
            "told_ms": told_ms,
            "held_ms": held,
        }
        self._spool.append([cut_facts.new(*self._ids, at, body, recording)])

    def _tell(self, found: Sequence[Message]) -> int:
        told_before = self._told or set()
        new = [one for one in found if one.id not in told_before]
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


def _sizes(found: Sequence[Message]) -> list[int | None]:
    """Bytes of each message's file; None for one that is not there."""
    sizes: list[int | None] = []
    for one in found:
        try:
            sizes.append(one.path.stat().st_size)
        except FileNotFoundError:
            sizes.append(None)
        except OSError:
            sizes.append(0)
    return sizes


LOOK_ERRORS = (sqlite3.Error, OSError, ValueError)
"""Another look will do."""
