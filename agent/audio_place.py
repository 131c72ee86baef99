"""ADAPTER. Where audio in the clear lies: captures of calls, recorded rooms, messages and greetings, as FreeSWITCH and rtpengine
write them and need them back.

`audio_dir` is a folder where the disk is encrypted, and a link to `memory_audio_dir`, a tmpfs, where it is not or where nobody
knows: a stolen disk plays nothing, and nobody has to set anything up for that. `box.audio` in box.toml says otherwise. Every
program of the box has this looked at when it starts, so paths are the same either way and nothing else need know. What holds
files is never moved here, where rtpengine and FreeSWITCH may be writing: `audio_move` does that when somebody asks.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from agent.at_rest import PROTECTED
from agent.at_rest_watch import look_at
from appliance.box import Audio, Box
from appliance.errors import KyusaiError
from appliance.layout import Layout
from cloudsync.wire import AtRest

MEMORY_MODE = 0o700
"""Of the folder in memory: nobody but the box's own user has any business there."""


class Lies(StrEnum):
    """Where `audio_dir` leads. NOWHERE: it is not there, or a link to what is not there. ELSEWHERE: somebody linked it to a place
    of his own, which is left as it is."""

    NOWHERE = "nowhere"
    DISK = "disk"
    MEMORY = "memory"
    ELSEWHERE = "elsewhere"


def make_folders(box: Box) -> None:
    """Every folder that the box's programs need, and before them the place of its audio. Blocks on disk.

    Raises OSError, `KyusaiError` "audio.no_memory".
    """
    layout = Layout.of(box)
    for folder in (layout.state_dir, layout.run_dir):
        folder.mkdir(parents=True, exist_ok=True)
    settle(layout, box.audio)
    for folder in layout.folders():
        folder.mkdir(parents=True, exist_ok=True)


def settle(layout: Layout, setting: Audio) -> None:
    """Lay `audio_dir` where it belongs, unless there are files where it lies. May run in several programs at once.

    Blocks on disk. Raises OSError, `KyusaiError` "audio.no_memory".
    """
    with alone(layout):
        complete(layout)
        here, there = lies(layout), belongs(layout, setting)
        if here is Lies.NOWHERE or (here is not Lies.ELSEWHERE and here is not there and not _holds(layout)):
            lay(layout, there)
        elif here is Lies.MEMORY:
            make_memory(layout)


def lies(layout: Layout) -> Lies:
    """Where audio lies now."""
    if layout.audio_dir.is_symlink() and _target(layout) == layout.memory_audio_dir:
        return Lies.MEMORY
    if not layout.audio_dir.exists():
        return Lies.NOWHERE
    return Lies.ELSEWHERE if layout.audio_dir.is_symlink() else Lies.DISK


def belongs(layout: Layout, setting: Audio) -> Lies:
    """Where it should lie. The folder itself may be mounted from a disk that is encrypted."""
    if setting is Audio.AUTO:
        folder = layout.audio_dir if lies(layout) is Lies.DISK else layout.state_dir
        return Lies.DISK if look_at(folder) in PROTECTED else Lies.MEMORY
    return Lies.DISK if setting is Audio.DISK else Lies.MEMORY


def lay(layout: Layout, there: Lies) -> None:
    """Replace what `audio_dir` is, which holds no file. Raises OSError also where it does, `KyusaiError` "audio.no_memory"."""
    if there is Lies.MEMORY:
        make_memory(layout)
    if layout.audio_dir.is_symlink():
        layout.audio_dir.unlink()
    else:
        for folder, _folders, _names in os.walk(layout.audio_dir, topdown=False):
            Path(folder).rmdir()
    if there is Lies.MEMORY:
        layout.audio_dir.symlink_to(layout.memory_audio_dir)
    else:
        layout.audio_dir.mkdir()


def make_memory(layout: Layout) -> None:
    """The folder in memory. Raises OSError, `KyusaiError` "audio.no_memory" where it would lie on a disk."""
    layout.memory_audio_dir.mkdir(mode=MEMORY_MODE, exist_ok=True)
    if look_at(layout.memory_audio_dir) is not AtRest.MEMORY:
        raise KyusaiError(
            "audio.no_memory",
            f"{layout.memory_audio_dir} is on a disk; what people say must not be written to one in the clear",
            "Put box.run_dir on a tmpfs (/run is one), encrypt the disk, "
            'or accept that a thief hears it: [box] audio = "disk".',
            folder=str(layout.memory_audio_dir),
        )


def leaving(layout: Layout) -> Path:
    """What was on the disk while it goes into memory; `audio_move`."""
    return layout.audio_dir.with_name("audio.leaving")


def coming(layout: Layout) -> Path:
    """What was in memory while it comes to the disk; `audio_move`."""
    return layout.audio_dir.with_name("audio.coming")


def complete(layout: Layout) -> None:
    """What a move that was killed left: each has one instant from which on it counts. Raises OSError."""
    if lies(layout) is Lies.NOWHERE:
        for whole in (leaving(layout), coming(layout)):
            if whole.is_dir():
                layout.audio_dir.unlink(missing_ok=True)
                whole.rename(layout.audio_dir)
                return
    for half in (leaving(layout), coming(layout)):
        if half.is_dir():
            shutil.rmtree(half)


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """One at a time, whichever program it is. Raises OSError."""
    handle = os.open(layout.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _target(layout: Layout) -> Path:
    return Path(os.path.normpath(layout.audio_dir.parent / layout.audio_dir.readlink()))


def _holds(layout: Layout) -> bool:
    return any(names for _folder, _folders, names in os.walk(layout.audio_dir))
