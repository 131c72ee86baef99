"""Which loopback addresses a lab uses, and how two labs share one machine.

A lab owns one 127.A.B.0/24, claimed by a lock on ``ROOT/A.B.lock`` that the kernel drops when the lab's process ends,
however it ends. Its files lie in ``ROOT/A.B/``. A folder whose lock is free was left by a lab that crashed: the next
claim stops what that lab started (``processes.clean_up``) and removes the folder.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import processes

ROOT = Path("/tmp/kyusai-lab")  # noqa: S108 - every lab on the machine must agree on it; short, for unix sockets
FIRST_A, LAST_A = 80, 99
"""Second byte of a lab's network. Away from 127.0.x.x, where a machine's own services live."""

SIP_PORT = 5060
CENTRE_PORT = 8443
MAX_PHONES = 99
"""Phones at the site take .101 to .199, phones of the cloud .201 to .249."""


@dataclass(frozen=True)
class Addresses:
    """Every address of one lab, from its network's first three bytes, e.g. ``127.80.1``."""

    network: str

    def host(self, last_byte: int) -> str:
        """The address of this lab's network that ends in ``last_byte``."""
        return f"{self.network}.{last_byte}"

    @property
    def box_lan(self) -> str:
        """The box, as the site's phones see it."""
        return self.host(10)

    @property
    def box_wan(self) -> str:
        """The box's own end of the line to the outside."""
        return self.host(11)

    @property
    def freeswitch(self) -> str:
        """The box's FreeSWITCH, and Kamailio's socket beside it: 127.0.0.1 on a real box."""
        return self.host(12)

    @property
    def cloud(self) -> str:
        """The cloud's own end of the line."""
        return self.host(20)

    @property
    def cloud_inside(self) -> str:
        """The cloud, as its own phones see it."""
        return self.host(21)

    @property
    def cloud_seen_by_box(self) -> str:
        """The link emulator's address that stands for the cloud."""
        return self.host(30)

    @property
    def box_seen_by_cloud(self) -> str:
        """The link emulator's address that stands for the box."""
        return self.host(31)

    @property
    def gateway(self) -> str:
        """The site's own gateway to the public network."""
        return self.host(40)

    @property
    def second_gateway(self) -> str:
        """Another gateway at the site, for tests that need two."""
        return self.host(41)

    @property
    def centre(self) -> str:
        """The centre's API."""
        return self.host(50)

    @property
    def centre_seen_by_box(self) -> str:
        """The link emulator's address that stands for the centre."""
        return self.host(51)

    @property
    def carrier(self) -> str:
        """The public network behind the cloud."""
        return self.host(60)

    def phone(self, index: int) -> str:
        """The address of the site's phone ``index``, counted from 1 to 99."""
        return self._counted(100, index, MAX_PHONES)

    def cloud_phone(self, index: int) -> str:
        """The address of the cloud's phone ``index``, counted from 1 to 49."""
        return self._counted(200, index, 49)

    def _counted(self, base: int, index: int, most: int) -> str:
        if not 1 <= index <= most:
            raise ValueError(f"phone index {index}: must be 1 to {most}")
        return self.host(base + index)


@dataclass
class Claim:
    """A network that this process holds until ``release``; ``folder`` is the lab's own and empty at first."""

    addresses: Addresses
    folder: Path
    _lock: int = field(repr=False)

    def release(self, *, keep_files: bool = False) -> None:
        """Give the network back. Stops whatever is still running in it; removes the folder unless told to keep it."""
        processes.clean_up(self.folder)
        if not keep_files:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def claim(root: Path = ROOT) -> Claim:
    """Claim the first free network, cleaning up after crashed labs on the way. Does not wait.

    Raises ``RuntimeError`` when every network is taken.
    """
    root.mkdir(mode=0o700, exist_ok=True)
    sweep(root)
    for network in _networks():
        lock = _try_lock(root / f"{network[4:]}.lock")
        if lock is None:
            continue
        folder = root / network[4:]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return Claim(Addresses(network), folder, lock)
    raise RuntimeError(
        f"every lab network from 127.{FIRST_A}.1 to 127.{LAST_A}.250 is taken (locks in {root})"
    )


def sweep(root: Path = ROOT, *, keep: int = 3) -> list[Path]:
    """Stop the processes of labs that ended without releasing; returns the folders that had some.

    The newest ``keep`` of the abandoned folders stay for somebody to look into, the rest go.
    """
    swept = []
    # What labs share (`freeswitch.PROMPTS`) lies beside their folders and is nobody's to remove.
    labs = (p for p in root.iterdir() if _LAB.fullmatch(p.name) and p.is_dir())
    folders = sorted(labs, key=_changed_s, reverse=True)
    abandoned = 0
    for folder in folders:
        lock = _try_lock(root / f"{folder.name}.lock")
        if lock is None:
            continue
        try:
            if processes.clean_up(folder):
                swept.append(folder)
            abandoned += 1
            if abandoned > keep:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
    return swept


_LAB = re.compile(r"[0-9]{1,3}[.][0-9]{1,3}", re.ASCII)
"""How a lab's folder is called."""


def _changed_s(folder: Path) -> float:
    """When it was changed; 0 for one that another lab has just removed."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _networks() -> Iterator[str]:
    # Start where this process is unlikely to meet another that starts at the same moment.
    count = (LAST_A - FIRST_A + 1) * 250
    start = os.getpid() * 7 % count
    for step in range(count):
        a, b = divmod((start + step) % count, 250)
        yield f"127.{FIRST_A + a}.{b + 1}"


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
