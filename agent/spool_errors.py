"""What can go wrong with the spool, as errors that say whether waiting, room or a person helps."""

import sqlite3
from pathlib import Path

from appliance.errors import KyusaiError

_PRIMARY_CODE = 0xFF
"""SQLite's extended result codes carry the primary one in their low byte (sqlite.org/rescode.html)."""


class SpoolError(KyusaiError):
    """Base. Nothing of the transaction was written."""


class SpoolFull(SpoolError):
    """No room on the disk. What is in the spool stays; the journal keeps what is not."""


class SpoolDamaged(SpoolError):
    """The file's pages are damaged. Opening the spool again sets it aside and saves what can be read."""


class SpoolUnusable(SpoolError):
    """Anything else: permissions, a device that cannot be read, a lock held by a person's shell."""


class SpoolLocked(SpoolError):
    """Another agent holds this spool."""


class Unsound(sqlite3.DatabaseError):
    """A value or table of the spool's own that cannot be what was written, on a page that is sound as a page."""


def lossy_text(raw: bytes) -> str:
    """Text of a damaged row: what is no UTF-8 is replaced, so that the row's hash shows the damage, and not an error that hides
    the rows beside it."""
    return raw.decode("utf-8", "replace")


def spool_error(path: Path, error: sqlite3.Error) -> SpoolError:
    """The error that SQLite's means."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL:
        return SpoolFull(
            "spool.full",
            f"no room left for the spool {path}: nothing was written, records wait in the call journal",
            "Make room on this disk. Recordings are the first to go; see `kyusai status`.",
            path=path,
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, Unsound):
        return SpoolDamaged(
            "spool.damaged",
            f"the spool {path} is damaged: {error}",
            "Restart the agent: it sets the file aside, keeps it, and saves every record that can be read.",
            path=path,
            detail=str(error),
        )
    return SpoolUnusable(
        "spool.unusable",
        f"the spool {path} cannot be used: {error}",
        "Check that the folder belongs to the agent's user and that the disk is mounted for writing.",
        path=path,
        detail=str(error),
    )


def locked(path: Path) -> SpoolLocked:
    """Somebody else holds the lock."""
    return SpoolLocked(
        "spool.locked",
        f"another agent is running on {path}",
        "One agent per box: stop the other one first (`systemctl stop kyusai-agent`).",
        path=path,
    )
