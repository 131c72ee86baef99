"""Has the captures of calls that are up written to disk, so that a power cut costs their last second and no more.

rtpengine writes captures and never syncs them: Linux keeps what it has written in memory for up to 30 s. Beside the audio
the note that says how to read it (`capture/tmp`) is synced. A file is synced when it has grown since the last time.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from appliance.layout import Layout

EVERY_S = 0.5
"""With rtpengine's own buffer of 4 KiB, a fifth of a second of speech, less than a second is in memory alone."""


def sync_file(path: Path) -> None:
    """Wait until what is in the file is on disk, whoever wrote it. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(handle)
    finally:
        os.close(handle)


class CaptureSync:
    """sync: blocks until a file is on disk."""

    def __init__(self, layout: Layout, sync: Callable[[Path], None] = sync_file) -> None:
        self._layout = layout
        self._sync = sync
        self._synced: dict[Path, int] = {}

    def tick(self) -> int:
        """Sync what has grown; gives how many files that were. Blocks on disk. Files that vanish meanwhile are let go."""
        seen: dict[Path, int] = {}
        count = 0
        for path in (*self._layout.pcaps_dir.glob("*.pcap"), *self._layout.capture_tmp_dir.glob("*.tmp")):
            with suppress(OSError):
                size = path.stat().st_size
                if size != self._synced.get(path):
                    self._sync(path)
                    count += 1
                seen[path] = size
        self._synced = seen
        return count

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.to_thread(self.tick)
            await asyncio.sleep(EVERY_S)
