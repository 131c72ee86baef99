"""ADAPTER. Takes what `audio_dir` holds to the place where it belongs, with the box's services stopped: messages, greetings, and
captures that are not converted yet.

The old place counts until everything has been copied, and on a disk is written out; then one rename or one link makes the new
one count (`audio_place.complete` ends a move that was killed). What leaves a disk is removed there, not overwritten: flash
memory does not overwrite what it is told to.
"""

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.audio_place import Lies, alone, belongs, coming, complete, lay, leaving, lies, make_memory
from agent.guarded_process import FREESWITCH, pid_of
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.media.ng import NgClient, RtpengineSilent

ASK_S = 1.0
"""How long a program on the same machine may take to answer whether it is there."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved. there: where it lies now, which may be where it lay before."""

    there: Lies
    files: int = 0
    bytes: int = 0


def move(box: Box) -> Moved:
    """Move everything, or nothing. Blocks on disk.

    Raises OSError, `KyusaiError` "audio.running", "audio.no_room", "audio.no_memory".
    """
    layout = Layout.of(box)
    for running in _running(box, layout):
        raise KyusaiError(
            "audio.running",
            f"{running} is running and may be writing audio",
            "Stop the box's services, move, and start them again. Nothing was moved.",
            program=running,
        )
    with alone(layout):
        complete(layout)
        here, there = lies(layout), belongs(layout, box.audio)
        if here is there or here in (Lies.NOWHERE, Lies.ELSEWHERE):
            return Moved(here)
        files = [path for path in layout.audio_dir.rglob("*") if path.is_file()]
        moved = Moved(there, len(files), sum(path.stat().st_size for path in files))
        if not files:
            lay(layout, there)
        elif there is Lies.MEMORY:
            _to_memory(layout, moved)
        else:
            _to_disk(layout, moved)
        return moved


def _to_memory(layout: Layout, moved: Moved) -> None:
    shutil.rmtree(layout.memory_audio_dir, ignore_errors=True)  # of an earlier try; a mount stays, empty
    make_memory(layout)
    _has_room(layout.memory_audio_dir, moved.bytes)
    shutil.copytree(layout.audio_dir, layout.memory_audio_dir, dirs_exist_ok=True)
    layout.audio_dir.rename(leaving(layout))
    layout.audio_dir.symlink_to(layout.memory_audio_dir)
    sync(layout.state_dir)
    shutil.rmtree(leaving(layout))


def _to_disk(layout: Layout, moved: Moved) -> None:
    _has_room(layout.state_dir, moved.bytes)
    shutil.copytree(layout.audio_dir.resolve(), coming(layout))
    for folder, _folders, names in os.walk(coming(layout), topdown=False):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))
    layout.audio_dir.unlink()
    coming(layout).rename(layout.audio_dir)
    sync(layout.state_dir)
    shutil.rmtree(layout.memory_audio_dir, ignore_errors=True)


def sync(path: Path) -> None:
    """Have a file or a folder written to its disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _has_room(folder: Path, wanted_bytes: int) -> None:
    found = os.statvfs(folder)
    free_bytes = found.f_bavail * found.f_frsize
    if wanted_bytes >= free_bytes:
        raise KyusaiError(
            "audio.no_room",
            f"{folder} has room for {free_bytes >> 20} MiB; {wanted_bytes >> 20} MiB are to be moved",
            "Make room there, or leave the audio where it is. Nothing was moved.",
            folder=str(folder),
            free_mib=free_bytes >> 20,
            wanted_mib=wanted_bytes >> 20,
        )


def _running(box: Box, layout: Layout) -> list[str]:
    """Names of the box's programs that answer. The converter cannot be asked; what it does meanwhile it does again."""
    tried: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("rtpengine", lambda: _relays(box)),
        ("FreeSWITCH", lambda: pid_of(layout.freeswitch_pid, FREESWITCH) is not None),
        ("kyusai agent", lambda: _listens(layout.agent_socket)),
        ("kyusai control", lambda: _listens(layout.control_socket)),
    )
    return [name for name, is_there in tried if is_there()]


def _relays(box: Box) -> bool:
    try:
        NgClient(box.rtp.ng, ASK_S).calls(1)
    except RtpengineSilent:
        return False
    return True


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(ASK_S)
        return asked.connect_ex(str(path)) == 0
