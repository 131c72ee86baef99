"""ADAPTER. Compiles `shim.c`, arms it in a process that runs under it, and reads and writes the folder that it watches."""

import ctypes
import hashlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash.disk import Disk, Nothing
from tests.crash.oplog import BUSY_AT, HEAD_BYTES, STOP_AT, Reached, entries, reached
from tests.crash.plan import Fault

SOURCE = Path(__file__).with_name("shim.c")
LOG_BYTES = 64 * 1024 * 1024
"""Room for all changes between two power cuts (a run writes about 2 MiB); not taken before it is used."""
HALT_LOOKS = 1000
"""A millisecond apart: a change takes microseconds; a writer that died within one stays busy for ever."""
FORGOTTEN = "-shm"
"""SQLite's index of its log lives in memory that all processes share; no disk holds it after a power cut."""


def library() -> Path:
    """The compiled shim; compiled when its source has changed. Raises CalledProcessError."""
    name = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    path = Path("/tmp") / f"kyusai-crash-{os.getuid()}-{name}.so"  # noqa: S108 - checked below
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}")
        command = [
            "gcc",
            "-O1",
            "-Wall",
            "-shared",
            "-fPIC",
            "-o",
            str(fresh),
            str(SOURCE),
            "-ldl",
            "-lpthread",
        ]
        subprocess.run(command, check=True)
        fresh.replace(path)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} is somebody else's")
    return path


def memory() -> str | None:
    """A file system in memory for the runs, so that no disk is worn; the shim's disk is not this one anyway."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a private folder is made in it


def arm(folder: Path, log: Path, fault: Fault | None, muted: str) -> None:
    """In the child: from now on the shim watches `folder` and kills at `fault`. muted: see `Variant.muted`."""
    call = ctypes.CDLL(None).crash_arm
    call.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
    point, moment = (fault.point, fault.moment) if fault else (0, 0)
    call(os.fsencode(folder), os.fsencode(log), point, int(moment), muted.encode())


class Watched:
    """A folder whose writer runs under the shim; the log outlives the writer and goes on with the next one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_name(folder.name + ".oplog")
        self._begin()

    def _begin(self) -> None:
        with self.log.open("wb") as log:
            log.truncate(LOG_BYTES)
        paths = sorted(self.folder.rglob("*"))
        files = {str(p): (p.stat().st_ino, p.read_bytes()) for p in paths if p.is_file()}
        self._disk = Disk(str(self.folder), files, [str(p) for p in paths if p.is_dir()])

    def reached(self) -> Reached:
        """How far the last process came."""
        with self.log.open("rb") as log:
            return reached(log.read(HEAD_BYTES))

    def halt(self, ended: Callable[[], bool]) -> None:
        """Let the writer end the change in hand and begin no other, so that it can be killed between two. ended: whether it
        has ended by itself, perhaps within a change of one of its threads."""
        with self.log.open("r+b", buffering=0) as log:
            log.seek(STOP_AT)
            log.write(b"\1")
            for _ in range(HALT_LOOKS):
                log.seek(BUSY_AT)
                if log.read(1) == b"\0" or ended():
                    return
                time.sleep(0.001)

    def _check(self) -> None:
        """The log must explain the folder to the last byte: otherwise somebody writes in a way the shim does not see."""
        found = {str(p): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        for path, data in self._disk.as_written().items():
            if found.pop(path, None) != data:
                raise AssertionError(f"the log does not explain {path}")
        unexplained = [path for path in found if not path.endswith(FORGOTTEN)]
        if unexplained:
            raise AssertionError(f"the log does not know {unexplained}")

    def cut_power(self, chance: random.Random) -> None:
        """Leave of the folder what a power cut leaves. Nobody may have it open."""
        self._leave(lambda disk: disk.after_power_cut(chance))

    def leave_what_is_sure(self) -> None:
        """The hardest power cut: of what was not synced nothing is left."""
        self._leave(lambda disk: disk.kept(Nothing()))

    def _leave(self, cut: Callable[[Disk], tuple[dict[str, bytes], set[str]]]) -> None:
        with self.log.open("rb") as log:
            used = int.from_bytes(log.read(8), "little")
            log.seek(0)
            noted = log.read(used + HEAD_BYTES)
        for entry in entries(noted):
            self._disk.apply(entry)
        self._check()
        files, folders = cut(self._disk)
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in sorted(folders):
            Path(folder).mkdir(mode=0o700, exist_ok=True)
        for name, data in files.items():
            if not name.endswith(FORGOTTEN):
                Path(name).write_bytes(data)
                Path(name).chmod(0o600)
        self._begin()
