"""Room set apart on the disk so that a full one can be emptied: deleting acknowledged records needs some first.

ADAPTER for one file of real (not sparse) bytes beside the spool. Given back to the disk when an acknowledgement finds no
room, made again when there is plenty. Never used for new records: those would eat it and leave the box stuck.
"""

import os
from contextlib import suppress
from pathlib import Path

RESERVE_SUFFIX = ".reserve"
RESERVE_BYTES = 4 * 1024 * 1024
"""Deleting a batch of 500 records rewrites about 1 MiB of pages into the write-ahead log."""
PLENTY_BYTES = 8 * RESERVE_BYTES
"""The reserve is made again when this much is free."""


class Reserve:
    """The reserve of the spool at `spool`. Methods block on disk and never raise."""

    def __init__(self, spool: Path) -> None:
        self._path = spool.with_name(spool.name + RESERVE_SUFFIX)

    def keep(self) -> None:
        """Set the room apart, if it is not and the disk has plenty."""
        with suppress(OSError):
            if self._path.exists():
                return
            found = os.statvfs(self._path.parent)
            if found.f_bavail * found.f_frsize < PLENTY_BYTES:
                return
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, RESERVE_BYTES)
            finally:
                os.close(handle)

    def give_back(self) -> bool:
        """Free the room; whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
