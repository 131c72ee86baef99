"""A centre's process that starts in a twentieth of a second: forked from one that has all modules loaded."""

import contextlib
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.crash import centre_side, warm

START_LIMIT_S = 60.0
LOOK_S = 0.01
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__, "tests.crash.postgres"])


class ForkedCentre:
    """`kyusai centre serve` on a data folder. Its messages go to `centre.log` beside that."""

    def __init__(self, data: Path, address: str, spoil: Callable[[], None] | None = None) -> None:
        """address: a literal one; the port stays the same over all starts. spoil: called in the process before it begins."""
        with socket.socket() as probe:
            probe.bind((address, 0))
            self._at = (address, int(probe.getsockname()[1]))
        self._data = data
        self._spoil = spoil
        self._process: ForkServerProcess | None = None
        self.url = f"https://{address}:{self._at[1]}"

    def start(self) -> None:
        """Start and wait until it answers."""
        listen = f"{self._at[0]}:{self._at[1]}"
        self._process = _forks.Process(target=_serve, args=(self._data, listen, self._spoil), daemon=True)
        self._process.start()
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError), socket.create_connection(self._at, 1):
                return
            if not self._process.is_alive():
                break
            time.sleep(LOOK_S)
        raise RuntimeError(f"the centre did not start: {(self._data.parent / 'centre.log').read_text()}")

    def strike(self) -> None:
        """SIGKILL; `kill` waits for its end."""
        if self._process is not None:
            self._process.kill()

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.join()


def _serve(data: Path, listen: str, spoil: Callable[[], None] | None) -> None:
    warm.in_child()
    log = os.open(data.parent / "centre.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if spoil is not None:
        spoil()
    centre_side.run(data, listen)
