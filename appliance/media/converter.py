"""The converter: turns finished captures into recordings, one at a time, at the lowest priority, beside the calls.

It owns nothing but the capture folder's finished files and may be killed at any instant: what it did not finish it does again.
"""

import glob
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import MappingProxyType

from appliance.layout import Layout
from appliance.media.convert import HandOver, convert
from appliance.media.mix import NothingToHear
from appliance.media.naming import parse_capture_name
from appliance.media.ng import NgClient, RtpengineSilent

SCAN_EVERY_S = 1.0
"""How soon a finished call is seen."""

IDLE_BEFORE_ASKING_S = 5.0
"""A capture that has not grown for this long may have been left by a crash of rtpengine: ask it."""

RETRY_FAILED_S = 300.0
"""A capture that could not be converted is tried again this much later, behind the others."""

SUFFIX_FORM = "-" + "?" * 16
"""How the name of a capture ends: a dash and 16 hex digits."""

SAYS_WHO = b"SDP mode: "
"""In a metadata file that describes the call's sides."""

NICENESS = 19
"""Calls come first: the converter runs when nobody else wants the processor."""

log = logging.getLogger("kyusai.media")


@dataclass(frozen=True, slots=True)
class Capture:
    """One capture of one call. finished: rtpengine has closed it."""

    pcap: Path
    metadata: Path
    call_id: str
    recording_id: str
    finished: bool


def captures(layout: Layout) -> list[Capture]:
    """All captures, oldest first. Files with other names are left alone."""
    found = []
    for pcap in sorted(layout.pcaps_dir.glob("*.pcap"), key=lambda path: path.stat().st_mtime):
        try:
            call_id, recording_id = parse_capture_name(pcap.name)
        except ValueError:
            continue
        done = layout.metadata_dir / f"rtpengine-meta-{pcap.stem}.txt"
        open_still = layout.capture_tmp_dir / f"rtpengine-meta-{pcap.stem}.tmp"
        finished = done.exists()
        found.append(Capture(pcap, done if finished else open_still, call_id, recording_id, finished))
    return found


class Converter:
    """Works through the capture folder. recipients: asked before each conversion, since the configuration may change."""

    def __init__(
        self,
        layout: Layout,
        rtpengine: NgClient,
        recipients: Callable[[], list[str]],
        hand_over: HandOver,
        advertised: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """advertised: media addresses as others see them → the box's own."""
        self._layout = layout
        self._rtpengine = rtpengine
        self._recipients = recipients
        self._hand_over = hand_over
        self._advertised = advertised
        self._not_before: dict[str, float] = {}
        self.converted = 0
        self.failed = 0

    def run(self, stop: Event, alive: Callable[[], object]) -> None:
        """Converts until `stop` is set; calls `alive` on every pass."""
        os.nice(NICENESS)
        while not stop.is_set():
            alive()
            self.pass_once(time.monotonic(), time.time())
            stop.wait(SCAN_EVERY_S)

    def pass_once(self, now_s: float, wall_s: float) -> None:
        """Converts every capture that is ready. now_s: monotonic; wall_s: Unix time, compared with file times."""
        found = captures(self._layout)
        left = Counter(capture.call_id for capture in found)
        for capture in found:
            due = self._not_before.get(capture.recording_id, 0.0) <= now_s
            if due and self._ready(capture, wall_s) and self._convert(capture, now_s):
                left[capture.call_id] -= 1
                self._remove(capture, last=not left[capture.call_id])

    def _ready(self, capture: Capture, wall_s: float) -> bool:
        if capture.finished:
            return not self._goes_on(capture)
        try:
            # A time in the future is one of before the clock was set back: it says nothing of how long ago it was.
            if 0 <= wall_s - capture.pcap.stat().st_mtime < IDLE_BEFORE_ASKING_S:
                return False
            return not self._rtpengine.knows(capture.call_id)
        except (RtpengineSilent, OSError):
            return False

    def _goes_on(self, capture: Capture) -> bool:
        """Whether the call of a finished capture is still up: its recording was paused, and what describes this capture will be
        needed for the next one as well. A rtpengine that does not answer holds no call."""
        try:
            return self._rtpengine.knows(capture.call_id)
        except (RtpengineSilent, OSError):
            return False

    def _of_one_call(self, capture: Capture) -> list[Path]:
        """Metadata of all captures of a call, the oldest first."""
        name = glob.escape(capture.pcap.stem[: -len(SUFFIX_FORM)])
        found = self._layout.metadata_dir.glob(f"rtpengine-meta-{name}{SUFFIX_FORM}.txt")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def _description(self, capture: Capture) -> Path:
        """The file that says which port heard whom: rtpengine writes it for a capture that begins with the call, and not for
        one that begins when a pause ends."""
        paths = [capture.metadata, *self._of_one_call(capture)]
        return next(
            (path for path in paths if path.exists() and SAYS_WHO in path.read_bytes()), capture.metadata
        )

    def _remove(self, capture: Capture, last: bool) -> None:
        """A capture that is converted goes. The metadata holds the session's keys (SRTP): it goes with the call's last capture,
        after it, since it says "finished"."""
        capture.pcap.unlink(missing_ok=True)
        if last:
            for path in (*self._of_one_call(capture), capture.metadata):
                path.unlink(missing_ok=True)

    def _convert(self, capture: Capture, now_s: float) -> bool:
        """Whether there is nothing left to do for this capture."""
        work_dir = self._layout.capture_dir / "work"
        out_dir = self._layout.recordings_dir
        try:
            recording = convert(
                capture.pcap,
                self._description(capture),
                capture.recording_id,
                capture.call_id,
                self._recipients(),
                work_dir,
                out_dir,
                self._advertised,
            )
            self._hand_over(recording)
        except NothingToHear:
            log.info("capture holds no audio", extra={"recording": capture.recording_id})
        except (OSError, ValueError, RuntimeError) as error:
            self.failed += 1
            self._not_before[capture.recording_id] = now_s + RETRY_FAILED_S
            log.error("capture not converted: %s", error, extra={"recording": capture.recording_id})
            return False
        else:
            self.converted += 1
        self._not_before.pop(capture.recording_id, None)
        return True
