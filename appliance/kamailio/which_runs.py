"""ADAPTER. Which FreeSWITCH runs, by the file that it writes when it starts."""

import os
from pathlib import Path

BYTES_MAX = 32


def which_runs(pid_file: Path) -> str | None:
    """Another word for each start, "" when the process is gone; None when there was never one, or it cannot be read."""
    try:
        written_ns = pid_file.stat().st_mtime_ns
        pid = int(pid_file.read_bytes()[:BYTES_MAX].strip(b"\0 \n"))
    except (OSError, ValueError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass  # somebody else's: it is there
    return f"{pid}@{written_ns}"
