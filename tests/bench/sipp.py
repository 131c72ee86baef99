"""Drives sipp for the benchmarks: closed loops of a stated number of registrations or calls, and what they cost a server."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.processes import Process

SCENARIOS = Path(__file__).parent / "native"
CALLER_PORT, CALLEE_PORT = 6000, 7000
AS_FAST_AS_IT_GOES = 100_000
"""Runs begun a second: more than any machine does, so that the number at once is the only limit."""

GIVEN_UP_AFTER_S = 30


@dataclass(frozen=True)
class Load:
    """What a run of sipp came to. cpu_s: of the server's processes, all together."""

    asked: int
    succeeded: int
    failed: int
    retransmitted: int
    seconds: float
    cpu_s: float


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


def answerer(address: str, folder: Path) -> Process:
    """A telephone exchange's worth of telephones at one address that ring and answer; not started."""
    words: list[str | Path] = [
        "sipp",
        "-sf",
        SCENARIOS / "answer.xml",
        "-i",
        address,
        "-p",
        str(CALLEE_PORT),
        "-nostdin",
    ]
    return Process("sipp-answer", words, folder)


async def run(
    scenario: str,
    server: str,
    address: str,
    users: Path,
    count: int,
    at_once: int,
    server_pid: int,
    *,
    rate: int = AS_FAST_AS_IT_GOES,
    options: Sequence[str] = (),
) -> Load:
    """`count` runs of a scenario against `server` ("ip:port") from `address`, `at_once` at a time. Raises RuntimeError
    when sipp itself cannot run."""
    folder = users.parent
    trace = folder / f"{scenario}-statistics.csv"
    trace.unlink(missing_ok=True)
    words: list[str | Path] = ["sipp", server, "-sf", SCENARIOS / f"{scenario}.xml", "-i", address]
    words += ["-p", str(CALLER_PORT), "-inf", users, "-m", str(count), "-l", str(at_once), "-r", str(rate)]
    words += ["-nostdin", "-trace_stat", "-stf", trace, "-fd", "1", "-max_socket", "15000"]
    words += ["-timeout", f"{GIVEN_UP_AFTER_S}s", "-timeout_error", *options]
    sipp = Process(f"sipp-{scenario}", words, folder)
    pids = family(server_pid)
    before_s, began_s = cpu_s(pids), time.monotonic()
    await sipp.start()
    assert sipp.child is not None
    try:
        await sipp.child.wait()
        seconds = time.monotonic() - began_s
        used_s = cpu_s(pids) - before_s
    finally:
        await sipp.kill()
    if not trace.exists():
        raise RuntimeError(f"sipp {scenario}: {sipp.log_tail()}")
    head, *rows = [line.split(";") for line in trace.read_text().strip().split("\n")]
    last = dict(zip(head, rows[-1], strict=False))
    return Load(
        count,
        int(last["SuccessfulCall(C)"]),
        int(last["FailedCall(C)"]),
        int(last["Retransmissions(C)"]),
        round(seconds, 3),
        used_s,
    )
