"""Children of a lab: started with a log of their own, waited for by a state, stopped by their process id.

What they put aside goes into the lab's folder (``TMPDIR``), and away with it: a killed one takes nothing away itself.

Every child leads a session of its own, carries the lab's folder in its environment and is written to
``FOLDER/processes.jsonl`` (id, start time) before anything waits for it, so that the next lab can stop what a crashed
one left without ever signalling a stranger that inherited the number.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from tests.lab import carrier

MARK = "KYUSAI_LAB_FOLDER"
"""Environment variable that names the lab a process belongs to."""

POLL_S = 0.02
"""Pause between two looks at a state: shorter than anything measured here, long enough to cost nothing."""

WAIT_S = 30.0
"""For what takes a moment; on a machine that drowns in work it takes more."""

TERM_S = 3.0
"""Time a child gets to end after SIGTERM before it is killed."""

KILL_S = 20.0
"""Time a killed child gets to be gone, on a machine with more to do than it can."""

LOG_TAIL_BYTES = 3000


class StateNotReached(AssertionError):
    """A child did not reach the awaited state in time, or ended before."""


async def wait_until(
    condition: Callable[[], object] | Callable[[], Awaitable[object]],
    what: str,
    timeout_s: float = WAIT_S,
    pause_s: float = POLL_S,
) -> object:
    """Wait until ``condition`` (plain or async) returns something true, and return that. Looks every ``pause_s``.

    Raises ``StateNotReached`` naming ``what`` after ``timeout_s``.
    """
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() >= end:
            raise StateNotReached(f"{what}: not within {timeout_s:g} s")
        await asyncio.sleep(pause_s)


class Process:
    """One child. ``start`` it, wait for a state, ``stop`` or ``kill`` it, ``start`` it again."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        pipes: bool = False,
    ) -> None:
        """``folder`` is the lab's; the log is ``folder/NAME.log``. ``pipes`` opens stdin and stdout to this process."""
        self.name = name
        self.argv = [str(word) for word in argv]
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.child: asyncio.subprocess.Process | None = None
        self.env = dict(env or {})
        self._pipes = pipes

    @property
    def pid(self) -> int:
        """The child's process id. Raises ``RuntimeError`` when it was never started."""
        if self.child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.child.pid

    @property
    def running(self) -> bool:
        """Whether the child has been started and has not ended."""
        return self.child is not None and self.child.returncode is None

    async def start(self) -> None:
        """Start the child; its standard error (and output, without pipes) is appended to the log."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        pipe = asyncio.subprocess.PIPE
        scratch = self.folder / "tmp"
        scratch.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self.child = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=pipe if self._pipes else asyncio.subprocess.DEVNULL,
                stdout=pipe if self._pipes else log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(scratch), **self.env, MARK: str(self.folder)},
                cwd=self.folder,  # rtpengine 10.5 may crash when it is stopped: its core goes the way of the lab's files
                start_new_session=True,
                limit=1 << 20,
            )
        record = {"name": self.name, "pid": self.child.pid, "start": start_time(self.child.pid)}
        with (self.folder / "processes.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    async def wait(
        self,
        condition: Callable[[], object] | Callable[[], Awaitable[object]],
        what: str,
        timeout_s: float = WAIT_S,
    ) -> object:
        """``wait_until`` that also fails, with the log's end, as soon as the child has ended."""

        async def state() -> object:
            if not self.running:
                raise StateNotReached(f"{self.name} ended before {what}\n{self.log_tail()}")
            value = condition()
            return await value if isinstance(value, Awaitable) else value

        try:
            return await wait_until(state, f"{self.name}: {what}", timeout_s)
        except StateNotReached as error:
            if self.running:
                raise StateNotReached(f"{error}\n{self.log_tail()}") from None
            raise

    async def wait_log(self, pattern: str, timeout_s: float = WAIT_S) -> None:
        """Wait until a line of the log matches ``pattern``."""
        expression = re.compile(pattern)
        await self.wait(
            lambda: expression.search(self.log.read_text(errors="replace")),
            f"log line {pattern!r}",
            timeout_s,
        )

    async def wait_port(self, host: str, port: int, timeout_s: float = WAIT_S) -> None:
        """Wait until something accepts TCP connections at ``host:port``."""
        await self.wait(lambda: _accepts(host, port), f"TCP {host}:{port}", timeout_s)

    def log_tail(self) -> str:
        """The end of the log, for error texts."""
        try:
            return self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        except OSError as error:
            return f"(no log: {error})"

    def signal(self, number: int) -> None:
        """Send a signal to the child alone."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL the child and everything it started, as a crash would; returns when it is gone."""
        if self.child is not None:
            self.signal(
                signal.SIGKILL
            )  # our own child cannot be a stranger, even if it hides its environment
            _signal_session(self.pid, self.folder, signal.SIGKILL)
            await wait_until(lambda: not self.running, f"{self.name} ended", KILL_S)
            await wait_until(lambda: not _session(self.pid, self.folder), f"{self.name} gone", TERM_S)
            self._close_pipes()

    async def stop(self, term_s: float = TERM_S) -> int | None:
        """SIGTERM, then SIGKILL after ``term_s``; returns the exit code, ``None`` when it was never started."""
        if self.child is None:
            return None
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(term_s):
                await self.child.wait()
        await self.kill()
        return self.child.returncode

    def _close_pipes(self) -> None:
        if self.child is not None and self.child.stdin is not None:
            self.child.stdin.close()


def start_time(pid: int) -> int | None:
    """When process ``pid`` started, in clock ticks since boot; ``None`` when there is no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def alive(pid: int) -> bool:
    """Whether process ``pid`` exists and is more than an unreaped remainder."""
    fields = _stat(pid)
    return fields is not None and fields[0] != "Z"


def clean_up(folder: Path) -> list[str]:
    """Stop every process recorded in a lab's folder that still runs; returns their names. Blocks up to ``TERM_S``.

    Also undoes routes that the lab has noted in ``folder/routes`` (see ``carrier.py``).
    """
    carrier.undo_recorded(folder)
    try:
        lines = (folder / "processes.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    records = [json.loads(line) for line in lines]
    alive = {r["pid"]: r["name"] for r in records if _session(r["pid"], folder)}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in alive:
            _signal_session(pid, folder, number)
        end = time.monotonic() + TERM_S
        while time.monotonic() < end and any(_session(pid, folder) for pid in alive):
            time.sleep(POLL_S)
    return sorted(alive.values())


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _session(leader: int, folder: Path) -> list[int]:
    """Living processes of the session that ``leader`` began and that carry this lab's mark."""
    mark = f"{MARK}={folder}".encode()
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat(int(entry.name))
        if fields is None or fields[0] == "Z" or int(fields[3]) != leader:
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except (OSError, ProcessLookupError):
            continue
        if mark in environment:
            members.append(int(entry.name))
    return members


def _signal_session(leader: int, folder: Path, number: int) -> None:
    for pid in _session(leader, folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
