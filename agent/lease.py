"""ADAPTER. The lease that the box shows the centre with each heartbeat; a copy of this box's disk shows itself by it.

Synced before it is shown, so that a power cut cannot make a box look like its own copy.
"""

from pathlib import Path

from agent.identity import write_private

LEASE_CHARACTERS_MAX = 200


def load(path: Path) -> str:
    """The lease on disk, "" for none or an unreadable one."""
    try:
        return path.read_text("ascii")[:LEASE_CHARACTERS_MAX]
    except (OSError, UnicodeDecodeError):
        return ""


def save(path: Path, lease: str) -> None:
    """Keep a lease. Raises `OSError`."""
    write_private(path, lease[:LEASE_CHARACTERS_MAX].encode("ascii", "replace"))
