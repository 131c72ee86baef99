"""ADAPTER. Makes sure what a killed process left behind in an SQLite database, before anybody is told of it.

A process that dies between writing a commit to the write-ahead log and syncing that log leaves a commit that the next
process sees (SQLite reads the log back without syncing it) and that a power cut still takes away. Whoever answers by
what it has read there, for instance "stored", "a duplicate", has to sync first. Standard library only.

The database file itself is never opened here: closing it would drop the locks that SQLite holds on it in this process
(sqlite.org/howtocorrupt.html, 2.2). It needs no sync: nothing leaves the log before SQLite has synced it there.
"""

import os
from contextlib import suppress
from pathlib import Path

LOG_SUFFIX = "-wal"
"""How SQLite names the write-ahead log beside its database."""


def sync_found(path: Path) -> None:
    """Make all that can be read in the database at `path` survive a power cut: its log and the names.

    Call it after the first connection has read, and keep that one open: what another process commits afterwards it
    syncs itself. Blocks on the disk. Raises OSError.
    """
    sync_log(path)
    _sync(path.parent)


def sync_log(path: Path) -> None:
    """The log alone: enough for a reader. Blocks. Raises OSError."""
    with suppress(FileNotFoundError):
        _sync(path.with_name(path.name + LOG_SUFFIX))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
