"""Drives sipp for the benchmarks: closed loops of a stated number of registrations or calls, and what they cost a server."""

import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SCENARIOS = Path(__file__).parent / "native"


@dataclass(frozen=True)
class User:
    """One telephone of the bench. contact: address and port at which it answers."""

    number: str
    password: str
    contact: str


@dataclass(frozen=True)
class Load:
    """What a run of sipp came to. cpu_s: of the server's processes, all together."""

    asked: int
    succeeded: int
    failed: int
    retransmitted: int
    seconds: float
    cpu_s: float


def users_file(path: Path, users: Iterable[User], callee: str = "") -> Path:
    """sipp's injection file: number; authentication; contact; number called."""
    rows = [
        f"{user.number};[authentication username={user.number} password={user.password}];{user.contact};{callee}"
        for user in users
    ]
    path.write_text("\n".join(["SEQUENTIAL", *rows, ""]))
    return path


def cpu_s(pids: Iterable[int]) -> float:
    """Time that the processes have spent on a processor so far, in seconds; the scheduler counts nanoseconds."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def family(pid: int) -> list[int]:
    """A process and everything it has started."""
    found = [pid]
    for parent in found:
        children = Path(f"/proc/{parent}/task/{parent}/children")
        if children.exists():
            found += [int(word) for word in children.read_text().split()]
    return found


def run(
    scenario: str,
    server: str,
    address: str,
    users: Path,
    count: int,
    at_once: int,
    server_pid: int,
    rate: int = 100000,
) -> Load:
    """`count` runs of a scenario against `server` ("ip:port") from `address`, `at_once` at a time. Raises
    RuntimeError when sipp itself cannot run."""
    folder = users.parent
    trace = folder / f"{scenario}-statistics.csv"
    trace.unlink(missing_ok=True)
    pids = family(server_pid)
    before_s, began_s = cpu_s(pids), time.monotonic()
    arguments = [
        "sipp",
        server,
        "-sf",
        SCENARIOS / f"{scenario}.xml",
        "-i",
        address,
        "-p",
        "6000",
        "-inf",
        users,
    ]
    arguments += [
        "-m",
        str(count),
        "-l",
        str(at_once),
        "-r",
        str(rate),
        "-nostdin",
        "-trace_stat",
        "-stf",
        trace,
    ]
    arguments += ["-timeout", "120s", "-timeout_error", "-fd", "1", "-max_socket", "2000"]
    done = subprocess.run(
        [str(word) for word in arguments], capture_output=True, text=True, check=False, cwd=folder
    )
    if not trace.exists():
        raise RuntimeError(f"sipp: {done.stderr.strip()[-300:]}")
    used_s = cpu_s(pids) - before_s
    head, *rows = [line.split(";") for line in trace.read_text().strip().split("\n")]
    last = dict(zip(head, rows[-1], strict=False))
    return Load(
        count,
        int(last["SuccessfulCall(C)"]),
        int(last["FailedCall(C)"]),
        int(last["Retransmissions(C)"]),
        round(time.monotonic() - began_s, 3),
        used_s,
    )
