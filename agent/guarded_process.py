"""ADAPTER. The main process of a program that a guard looks after, by its pid file."""

from pathlib import Path


def pid_of(pid_file: Path, name: str) -> int | None:
    """The process called `name`; None when there is none, or when another program has its number by now."""
    try:
        pid = int(pid_file.read_text("ascii"))
        found = Path(f"/proc/{pid}/comm").read_text("ascii", "replace")
    except (OSError, ValueError):
        return None
    return pid if found.strip() == name else None
