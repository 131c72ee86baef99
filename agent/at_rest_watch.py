"""ADAPTER. Reads what `at_rest` decides from: mounts, fscrypt policies, and the block devices below, as Linux tells them.

The mount is found by the open folder itself (`/proc/self/fdinfo`, `mountinfo`), not by its path: links and mounts inside
`state_dir` are seen. Formats: Documentation/filesystems/proc.rst, fscrypt.rst, Documentation/ABI/stable/sysfs-block. No rights
are needed but to open the folders.
"""

import asyncio
import errno
import fcntl
import os
import re
import struct
from pathlib import Path

from agent.at_rest import Device, Place, judge, weakest
from agent.logs import Logger
from appliance.layout import Layout
from cloudsync.wire import AtRest

LOOK_S = 600.0
"""Folders change their disk when somebody mounts something over them, or makes one: seldom, and looked at in a millisecond."""

SYS_BLOCK = Path("/sys/dev/block")
DEPTH_MAX = 16
"""Layers of block devices that are looked through; real stacks have four or five."""

_GET_POLICY_EX = 0xC0096616
"""FS_IOC_GET_ENCRYPTION_POLICY_EX, `_IOWR('f', 22, __u8[9])` of linux/fscrypt.h (x86 and ARM)."""
_POLICY = struct.Struct("=Q24x")
"""`struct fscrypt_get_policy_ex_arg`: room for a policy, in bytes, then the policy; version 2, the longest, has 24."""
_NO_POLICY = frozenset({errno.ENODATA, errno.ENOTTY, errno.EOPNOTSUPP})
"""This folder is not encrypted; this file system cannot; this one could, but is not set up for it."""

_OCTAL = re.compile(r"\\([0-7]{3})")


class AtRestWatch:
    """Looks now and then. kind: what was found last, "" before the first look. audio: the same of where audio lies."""

    def __init__(self, layout: Layout, log: Logger) -> None:
        self._layout = layout
        self._log = log
        self.kind = ""
        self.audio = ""

    async def look(self) -> None:
        """Look once. Says so when a disk is not encrypted that was, or that was not looked at before."""
        found = await asyncio.to_thread(look, self._layout)
        audio = await asyncio.to_thread(look_at, self._layout.audio_dir) or AtRest.UNKNOWN
        if found is AtRest.NONE and self.kind != found:
            self._log.warning("disk_not_encrypted", folder=str(self._layout.state_dir))
        if audio is AtRest.NONE and self.audio != audio:
            self._log.warning("audio_in_the_clear", folder=str(self._layout.audio_dir))
        self.kind, self.audio = found.value, audio.value

    async def run(self) -> None:
        """Look again for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()


def look(layout: Layout) -> AtRest:
    """The weakest of the folders in which a box keeps what nobody else should read. Blocks on system calls.

    Prompts are none of it: every caller hears them."""
    own = [folder for folder in layout.folders() if folder.is_relative_to(layout.state_dir)]
    own.remove(layout.prompts_dir)
    return weakest(found for folder in own if (found := look_at(folder)) is not None)


def look_at(folder: Path) -> AtRest | None:
    """One folder; None when it is not there (yet)."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return AtRest.UNKNOWN
    try:
        return judge(_place(handle))
    except (OSError, ValueError):
        return AtRest.UNKNOWN
    finally:
        os.close(handle)


def _place(handle: int) -> Place:
    mount = _field(Path(f"/proc/self/fdinfo/{handle}").read_text(), "mnt_id")
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        number, _, device, *_ = line.split(" ")
        if number == mount:
            filesystem, _, options = line.partition(" - ")[2].split(" ", 2)
            return Place(filesystem, unescaped(options), _has_policy(handle), read_device(device))
    raise ValueError(f"mount {mount} is not listed")


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    raise ValueError(f"no {name} in fdinfo")


def unescaped(text: str) -> str:
    """A field of mountinfo, where blanks and the like are written as three octal digits."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def _has_policy(handle: int) -> bool:
    """Whether fscrypt encrypts what is in an open folder. Raises OSError when the kernel says neither yes nor no."""
    answer = bytearray(_POLICY.pack(_POLICY.size - 8))
    try:
        fcntl.ioctl(handle, _GET_POLICY_EX, answer)
    except OSError as error:
        if error.errno in _NO_POLICY:
            return False
        raise
    return True


def read_device(number: str, sys_block: Path = SYS_BLOCK) -> Device | None:
    """The device "major:minor" and what it is made of; None for the made-up numbers of file systems without one."""
    if number.startswith("0:"):
        return None
    try:
        return _device((sys_block / number).resolve(strict=True), DEPTH_MAX)
    except OSError:
        return None


def _device(folder: Path, depth: int) -> Device:
    """Raises OSError for what cannot be read: the rest of a stack says nothing then."""
    if (folder / "partition").exists():
        folder = folder.parent  # of a disk or an array, which has the folder "slaves"
    uuid = folder / "dm" / "uuid"
    slaves = folder / "slaves"
    below = sorted(slaves.iterdir()) if depth and slaves.is_dir() else []
    return Device(
        uuid.read_text().strip() if uuid.exists() else "",
        tuple(_device(one.resolve(strict=True), depth - 1) for one in below),
    )
