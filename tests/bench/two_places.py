"""Two places with a line between them: network namespaces of their own, held by two processes that do nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.link_shape import Shape
from tests.bench.link_tun import DEVICE

ROOT = Path(__file__).resolve().parents[2]
BOX, CENTRE = "198.51.100.1", "198.51.100.2"
"""Addresses for documentation (RFC 5737), in namespaces that lead nowhere else."""


class NoNamespaces(Exception):
    """This machine does not let us make network namespaces or TUN devices."""


@dataclass(frozen=True, slots=True)
class Place:
    """One end. `command` gives the words that run something there."""

    pid: int

    def command(self, *words: str) -> list[str]:
        """Words that run a command at this place."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *words]

    def python(self, module: str, *words: str) -> list[str]:
        """Words that run a module of ours at this place."""
        return self.command(sys.executable, "-m", module, *words)

    def run(self, *words: str) -> None:
        """Run to the end. Raises CalledProcessError."""
        subprocess.run(self.command(*words), check=True, capture_output=True, timeout=30)


@dataclass(frozen=True, slots=True)
class Places:
    """Both ends and the line's process."""

    box: Place
    centre: Place
    line: "subprocess.Popen[str]"

    def counts(self) -> list[dict[str, Any]]:
        """What became of packets since the last call: from the box, and to it."""
        assert self.line.stdin and self.line.stdout
        self.line.stdin.write("counts\n")
        self.line.stdin.flush()
        found: list[dict[str, Any]] = json.loads(self.line.stdout.readline())
        return found


@contextmanager
def two_places(shape: Shape, seed: int, congestion: str) -> Iterator[Places]:
    """Both, for as long as this holds. congestion: what connections use that do not choose. Raises NoNamespaces."""
    if os.geteuid() or not Path("/dev/net/tun").exists():
        raise NoNamespaces("network namespaces and TUN devices need root")
    with ExitStack() as stack:
        ends = [Place(_holder(stack)) for _ in range(2)]
        words = [sys.executable, "-m", "tests.bench.link_tun", *(str(end.pid) for end in ends)]
        line = subprocess.Popen(
            [*words, json.dumps(asdict(shape)), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        stack.callback(_end, line)
        assert line.stdout
        if line.stdout.readline() != "ready\n":
            raise NoNamespaces("no TUN device can be made here")
        for end, own, other in ((ends[0], BOX, CENTRE), (ends[1], CENTRE, BOX)):
            end.run("ip", "address", "add", own, "peer", other, "dev", DEVICE)
            end.run("ip", "link", "set", DEVICE, "up")
            end.run("ip", "link", "set", "lo", "up")
            end.run("ip", "route", "replace", other, "dev", DEVICE, "src", own, "congctl", congestion)
        yield Places(ends[0], ends[1], line)


def _holder(stack: ExitStack) -> int:
    """A process with a namespace of its own; the namespace goes with it."""
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo made; exec sleep infinity"], stdout=subprocess.PIPE, text=True
    )
    stack.callback(_end, process)
    assert process.stdout
    if process.stdout.readline() != "made\n":
        raise NoNamespaces("no network namespace can be made here")
    return process.pid


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
