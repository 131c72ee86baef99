"""Recordings of conference rooms: encrypted to the tenant's key, handed over, and gone from the disk in the clear.

FreeSWITCH writes without a pause while a room is recorded: a file that has not grown for a while is finished, also when
FreeSWITCH was killed.
"""

import logging
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from appliance.layout import Layout
from appliance.media.convert import HandOver, Recording, recipients_of, sealed
from appliance.media.voicemail import encode
from appliance.site_retention import ROOM_PREFIX

QUIET_S = 10.0
"""Since the last write."""

RETRY_S = 300.0

log = logging.getLogger("kyusai.media")


class Rooms:
    """recipients: asked before each recording, since the configuration may change."""

    def __init__(self, layout: Layout, recipients: Callable[[], list[str]], hand_over: HandOver) -> None:
        self._layout = layout
        self._recipients = recipients
        self._hand_over = hand_over
        self._not_before_s = 0.0

    def pass_once(self, now_s: float, wall_s: float) -> int:
        """Hand over what is finished; gives how many. Never raises for what one file holds. now_s: monotonic; wall_s: Unix."""
        if now_s < self._not_before_s:
            return 0
        done = 0
        for path in sorted(self._layout.rooms_dir.glob("*.wav")):
            if abs(wall_s - path.stat().st_mtime) < QUIET_S:
                continue
            try:
                self._hand_over(self._sealed(path))
                path.unlink()
            except (OSError, ValueError, RuntimeError) as error:
                log.error("room not handed over: %s", error, extra={"recording": ROOM_PREFIX + path.stem})
                self._not_before_s = now_s + RETRY_S
                break
            done += 1
        return done

    def _sealed(self, path: Path) -> Recording:
        keys = recipients_of(self._recipients())
        work = self._layout.capture_dir / "work-rooms"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700, parents=True)
        try:
            plain = work / "plain.ogg"
            seconds = encode(path, plain)
            begun_s = path.stat().st_mtime - seconds
            started = datetime.fromtimestamp(begun_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            name = ROOM_PREFIX + path.stem
            return sealed(plain, name, name, started, round(seconds, 3), keys, self._layout.recordings_dir)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def now() -> tuple[float, float]:
    """Monotonic and Unix time, in seconds."""
    return time.monotonic(), time.time()
