"""ADAPTER. The main process of a program that a guard looks after: found by its pid file, ended when it hangs."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from agent.logs import Logger

KAMAILIO, FREESWITCH = "kamailio", "freeswitch"
"""Names of the processes that are looked after."""


def pid_of(pid_file: Path, name: str) -> int | None:
    """The process called `name`; None when there is none, or when another program has its number by now."""
    try:
        pid = int(pid_file.read_text("ascii"))
        found = Path(f"/proc/{pid}/comm").read_text("ascii", "replace")
    except (OSError, ValueError):
        return None
    return pid if found.strip() == name else None


def end(pid: int, name: str, log: Logger, ended: Callable[[], None]) -> None:
    """Kill the process called `name`; `ended` is called once that is done. systemd starts it again."""
    try:
        os.kill(pid, signal.SIGKILL)  # it does not get to hear anything else
    except OSError as error:
        log.error(
            "kamailio_not_ended" if name == KAMAILIO else "freeswitch_not_ended", pid=pid, reason=str(error)
        )
        return
    log.error("kamailio_ended" if name == KAMAILIO else "freeswitch_ended", pid=pid)
    ended()
