"""A PostgreSQL server of one's own: a process in a folder under /tmp, on a Unix socket, gone with whoever started it.

PostgreSQL refuses to run as root; then it runs as ``postgres``, the user that its Debian package makes. Nobody but
that user and root reaches the socket's folder, so it asks for no password.
"""

import os
import pwd
import signal
import subprocess
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

from tests.lab.own_folder import OwnFolder

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
USER = "postgres"
START_LIMIT_S = 120.0
STOP_LIMIT_S = 20.0
POLL_S = 0.02

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_messages": "warning",
}
FORGETFUL = {"fsync": "off", "full_page_writes": "off"}
"""Faster, and whole after the death of a process all the same; only a power cut would show it."""


class PostgresServer:
    """One server. ``kill`` is a crash of all its processes, ``start`` brings it back with what was committed."""

    def __init__(self, *, durable: bool = False, where: str | None = None, **settings: str) -> None:
        """``durable``: with fsync, as in production. ``where``: a folder to make its own in. ``settings``: more of its own."""
        self._own = OwnFolder("kyusai-pg-", where)
        self.folder = self._own.path
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self._settings = SETTINGS | ({} if durable else FORGETFUL) | settings
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            account = pwd.getpwnam(USER)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", self.data, "-U", "kyusai", "--auth=trust", "--no-sync", "--encoding=UTF8")

    def start(self) -> Self:
        """Start and wait until it takes connections."""
        words = [f"-c{name}={value}" for name, value in self._settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words("postgres", "-D", self.data, "-k", self.folder, *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            assert self._process.poll() is None, self.log.read_text()
            try:
                with psycopg.connect(self.url("postgres")):
                    return self
            except psycopg.OperationalError:
                time.sleep(POLL_S)
        raise AssertionError(f"PostgreSQL did not start: {self.log.read_text()}")

    def url(self, database: str) -> str:
        """The URL of one of its databases, for the centre and for libpq alike."""
        return f"postgresql://kyusai@/{database}?host={quote(str(self.folder), safe='')}"

    def create_database(self, name: str, template: str = "template0") -> str:
        """Make a database, empty or a copy of one that nobody uses, and give its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database that nobody uses."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}"')

    def cpu_s(self) -> float:
        """CPU time of the server's living processes and of those that have ended, in seconds."""
        assert self._process is not None
        pids = {self._process.pid, *_children(self._process.pid)}
        return sum(_cpu_s(pid) for pid in pids) + _ended_children_cpu_s(self._process.pid)

    def kill(self) -> None:
        """All of its processes at once, without a word to the clients: SIGQUIT, PostgreSQL's own crash."""
        self._end(signal.SIGQUIT)

    def slay(self) -> None:
        """SIGKILL to all of its processes, the first one first: nobody cleans up, the next start recovers from the log."""
        if self._process is None or self._process.poll() is not None:
            return
        os.kill(self._process.pid, signal.SIGSTOP)  # it must not start others while they are counted
        pids = [self._process.pid, *_children(self._process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_LIMIT_S)
        deadline_s = time.monotonic() + STOP_LIMIT_S
        while any(_runs(pid) for pid in pids) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Roll back what is open, end, and remove the folder."""
        self._end(signal.SIGINT)
        self._own.remove()

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(STOP_LIMIT_S)

    def _words(self, program: str, *words: str | Path) -> list[str]:
        """The command, as another user where we are root; the server ends when its parent does."""
        become: list[str] = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:
            account = pwd.getpwnam(USER)
            become += ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
        return [*become, str(PROGRAMS / program), *map(str, words)]

    def _run(self, program: str, *words: str | Path) -> None:
        done = subprocess.run(
            self._words(program, *words), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    """Whether it still has memory and files; what is left of a dead one until somebody asks for its status has neither."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it ended before it was looked at, or while
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ended_children_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
