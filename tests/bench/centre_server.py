"""The centre of a benchmark: one or more of its processes, on a store of its own, and what they cost."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloudsync.layout import CentreLayout
from cloudsync.service.centre import Centre, open_centre
from cloudsync.settings import StoreSettings, save
from tests.lab.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
NETWORK = 98
"""Second byte of the centre's addresses; the third is the benchmark's own, so that two of them do not meet."""
PORT = 8443
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
TICKS = os.sysconf("SC_CLK_TCK")


class CentreServer:
    """`kyusai centre serve`, as often as wanted, each at an address of its own."""

    def __init__(self, folder: Path, processes: int, postgres: PostgresServer | None) -> None:
        self.data_dir = folder / "data"
        self.data_dir.mkdir(parents=True, mode=0o700)
        self.postgres = postgres
        if postgres is not None:
            save(
                CentreLayout(self.data_dir).settings, StoreSettings(postgres.create_database(folder.name), "")
            )
        third = os.getpid() % 250
        self.targets = [(f"127.{NETWORK}.{third}.{number + 1}", PORT) for number in range(processes)]
        self._log = folder / "centre.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start them one after the other, and wait until each takes connections."""
        names = [word for host, _ in self.targets for word in ("--address", host)]
        for host, port in self.targets:
            words = ["--data", str(self.data_dir), "--listen", f"{host}:{port}", *names]
            with self._log.open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "kyusai_cli.py", "centre", "serve", *words],
                        cwd=ROOT,
                        stdout=log,
                        stderr=log,
                    )
                )
            deadline_s = time.monotonic() + START_LIMIT_S
            while time.monotonic() < deadline_s:
                with suppress(OSError), socket.create_connection((host, port), 1):
                    break
                assert self._processes[-1].poll() is None, self.log_tail()
                time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End all of them by this signal."""
        for process in self._processes:
            process.send_signal(number)
        for process in self._processes:
            process.wait(STOP_LIMIT_S)
        self._processes.clear()

    def log_tail(self) -> str:
        """The end of what they wrote."""
        return self._log.read_text("utf-8")[-2000:]

    @contextmanager
    def store(self) -> Iterator[Centre]:
        """The store opened by this process as well, as the administrator's commands do."""
        centre = open_centre(self.data_dir)
        try:
            yield centre
        finally:
            centre.close()

    def cpu_s(self) -> float:
        """CPU time of the centre's processes, without the database server's."""
        return sum(_cpu_s(process.pid) for process in self._processes)

    def database_cpu_s(self) -> float:
        """CPU time of the database server, 0 for SQLite, which runs within the centre's processes."""
        return 0.0 if self.postgres is None else self.postgres.cpu_s()

    def resident_kb(self) -> int:
        """Memory of the centre's processes."""
        return sum(_resident_kb(process.pid) for process in self._processes)

    def threads(self) -> int:
        """Threads of the centre's processes."""
        return sum(len(os.listdir(f"/proc/{process.pid}/task")) for process in self._processes)  # noqa: PTH208


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().split("\n"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmRSS of {pid}")
