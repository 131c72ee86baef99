"""ADAPTER. What went with the power, on a box that keeps audio in memory (`audio_place`): told, so that nobody waits for it.

Which captures, recorded rooms and messages lie there and are not handed over yet is noted in the spool. After the machine has
started anew, what was noted and is nowhere any more has been lost, and the centre is told as of a recording that was given up.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from agent.audio_place import Lies, lies
from agent.cdr_fields import event_id
from agent.journal_events import CALL_ID_MAX_BYTES, Moment, clean
from agent.logs import Logger
from agent.recording_spool import SIDECAR
from agent.recording_table import RecordingTable
from agent.records import NewRecord
from agent.spool import Spool
from agent.spool_errors import SpoolError
from appliance.layout import Layout
from appliance.media.naming import parse_capture_name
from appliance.media.voicemail import SENT
from appliance.site_retention import MESSAGE_PREFIX, ROOM_PREFIX
from cloudsync.wire import Priority, RecordKind

CURSOR = "in_memory"
NAME = "recording_given_up"
LOOK_S = 1.0


class InMemory:
    """One box's. now: what time it is, and of which boot."""

    def __init__(self, layout: Layout, spool: Spool, now: Callable[[], Moment], log: Logger) -> None:
        self._layout = layout
        self._spool = spool
        self._now = now
        self._log = log
        self._lost: dict[str, tuple[str, str]] = {}
        self._noted: dict[str, tuple[str, str]] | None = None

    def look_back(self) -> None:
        """Find what is lost: before anything is handed to the centre, which would be gone from here as well. Blocks on disk."""
        try:
            self._lost = self._find()
        except (SpoolError, OSError) as error:  # the agent has more to do than that
            self._log.warning("recordings_lost_unknown", reason=str(error))

    def _find(self) -> dict[str, tuple[str, str]]:
        found = self._spool.cursor_json(CURSOR)
        if not _is_note(found) or found["boot_id"] == self._now().boot_id:
            return {}
        there = {one for one, _call in self._there()} | RecordingTable(self._spool).known()
        return {
            one: (str(call), str(started))
            for one, (call, started) in found["audio"].items()
            if one not in there and not (self._layout.recordings_dir / (one + SIDECAR)).exists()
        }

    async def run(self, ids: tuple[str, str]) -> None:
        """Tell once what is lost, then note for ever what is there. ids: site, box."""
        await asyncio.to_thread(self.tell, ids)
        while True:
            await asyncio.to_thread(self.note)
            await asyncio.sleep(LOOK_S)

    def tell(self, ids: tuple[str, str]) -> None:
        """Tell of each that is lost, once. Blocks on disk. Raises SpoolError: they are told by the next call then."""
        at = self._now()
        if self._lost:
            told = [self._record(ids, one, *told, at) for one, told in self._lost.items()]
            self._spool.append(told, cursors={CURSOR: "null"})
            self._log.warning("recordings_lost", why="power", recordings=sorted(self._lost))
            self._lost = {}

    def note(self) -> bool:
        """Write down what is there now, if that has changed; whether it had. Blocks on disk. Raises SpoolError, OSError."""
        at = self._now()
        before = self._noted or {}
        first = datetime.fromtimestamp(at.wall_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        here = lies(self._layout) is Lies.MEMORY
        now = {one: before.get(one, (call, first)) for one, call in self._there()} if here else {}
        if now == self._noted:
            return False
        self._spool.append(cursors={CURSOR: json.dumps({"boot_id": at.boot_id, "audio": now})})
        self._noted = now
        return True

    def _there(self) -> Iterator[tuple[str, str]]:
        """Id and Call-ID of everything that is not handed over yet."""
        for path in self._layout.pcaps_dir.glob("*.pcap"):
            with suppress(ValueError):  # somebody's own file
                call_id, recording_id = parse_capture_name(path.name)
                yield recording_id, clean(call_id, CALL_ID_MAX_BYTES)
        for path in self._layout.rooms_dir.glob("*.wav"):
            yield ROOM_PREFIX + path.stem, ""
        for path in self._layout.voicemail_dir.glob("*/*/msg_*.wav"):
            if not path.with_suffix(SENT).exists():
                yield MESSAGE_PREFIX + path.stem.removeprefix("msg_"), ""

    def _record(
        self, ids: tuple[str, str], recording: str, call_id: str, started_utc: str, at: Moment
    ) -> NewRecord:
        body = {
            "event": "recording_given_up",
            "recording": recording,
            "call_id": call_id,
            "reason": "power",
            "was": "in_memory",
            "started_utc": started_utc,
            "bytes": 0,
            "sha256": "",
        }
        id_ = event_id(*ids, NAME, recording, at.boot_id, str(at.mono_ms))
        return NewRecord(id_, RecordKind.EVENT, Priority.CDR, at.wall_ms, at.boot_id, body)


def _is_note(found: Any) -> bool:
    """A note that is damaged is none."""
    return (
        isinstance(found, dict)
        and isinstance(found.get("boot_id"), str)
        and isinstance(audio := found.get("audio"), dict)
        and all(isinstance(one, list) and len(one) == 2 for one in audio.values())
    )
