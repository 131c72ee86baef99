"""Nothing on a box asks a resolver, so nothing waits for one that is dead: its programs are watched through an outage."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.helpers.fault_lab import cdrs_of, recordings_of
from tests.lab.lab import Lab, Parts
from tests.lab.processes import Process
from tests.lab.standing import hear_each_other

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = re.compile(r"sin6?_port=htons\((53|853|5353|5355)\)")
"""DNS, DNS over TLS, mDNS, LLMNR."""

SIGNALLING = re.compile(r"sin6?_port=htons\(5060\)")
STRACE = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]


def watched(words: list[str], trace: Path) -> list[str]:
    """A command line under strace: where it connects and sends to is written to `trace`."""
    return [*STRACE, "-o", str(trace), *words]


def queries(trace: Path) -> list[str]:
    return [line for line in trace.read_text(errors="replace").splitlines() if QUERY.search(line)]


@pytest.fixture(scope="module", autouse=True)
def _tracing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The way of looking finds a program that does ask."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path_factory.mktemp("control") / "trace"
    asking = [sys.executable, "-c", "import socket; socket.getaddrinfo('centre.example', 443)"]
    env = {**os.environ, "RES_OPTIONS": "timeout:1 attempts:1"}
    subprocess.run(watched(asking, trace), capture_output=True, check=False, timeout=30, env=env)
    if not trace.exists() or not queries(trace):
        pytest.skip("strace cannot watch here, or this machine has no resolver to ask")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab() -> AsyncIterator[Lab]:
    lab = Lab(Parts(phones=3, carrier=False, centre=True, agent=True, media=True), document={"record": "all"})
    for process in lab.box.programs().values():
        process.argv = watched(process.argv, trace_of(process))
    async with lab:
        yield lab
        await asyncio.gather(
            *(lab.box.kill(name) for name in lab.box.programs())
        )  # strace hands no SIGTERM on


def trace_of(process: Process) -> Path:
    return process.folder / f"{process.name}.trace"


async def test_registration_calls_failover_and_sync_ask_no_resolver(lab: Lab) -> None:
    phones = lab.phones
    await lab.box.wait_link_state("UP")
    through = await phones["201"].call("901")
    await hear_each_other(through, lab.cloud_phones["901"].current())
    await through.hangup()
    await lab.link.cut("drop")
    inside = await phones["201"].call("202")
    await hear_each_other(inside, phones["202"].current())
    await phones["203"].register()
    outside = await phones["203"].call("0312345678")
    await outside.wait_hears(lab.gateway.tone_hz)
    await lab.box.wait_link_state("DOWN")
    await asyncio.sleep(1)
    await asyncio.gather(inside.hangup(), outside.hangup())
    await lab.link.restore()
    await lab.box.wait_link_state("UP")
    await cdrs_of(lab, [through, inside, outside], 40)
    await recordings_of(lab, [inside], 40)
    traces = {name: trace_of(process) for name, process in lab.box.programs().items()}
    assert {name: queries(trace) for name, trace in traces.items()} == {name: [] for name in traces}
    for name in ("kamailio", "agent"):
        assert SIGNALLING.search(traces[name].read_text(errors="replace")), f"{name} was not watched"
