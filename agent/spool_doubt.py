"""A mark beside the spool that its file is damaged, for whoever opens it next: not all damage shows in a look at its pages.

Without it an agent that stumbles over damage would end, begin anew, find all pages sound, and stumble again, for ever. The mark
is removed once a rebuilt file is complete; lost in a power cut, it is made again by the next stumble.
"""

from contextlib import suppress
from pathlib import Path

SUFFIX = ".doubt"
REASON_CHARACTERS_MAX = 500


def leave(path: Path, reason: str) -> None:
    """Doubt the spool at `path`. Blocks; never raises: a full disk may have no room for it."""
    with suppress(OSError):
        _mark(path).write_text(reason[:REASON_CHARACTERS_MAX] or "unknown", "utf-8", "replace")


def read(path: Path) -> str:
    """Why the spool at `path` is in doubt, "" when it is not. Never raises."""
    try:
        return _mark(path).read_text("utf-8", "replace")[:REASON_CHARACTERS_MAX] or "unknown"
    except OSError:
        return ""


def clear(path: Path) -> None:
    """There is no doubt any more. Blocks. Raises OSError."""
    _mark(path).unlink(missing_ok=True)


def _mark(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)
