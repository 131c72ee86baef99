"""A disk that can be stolen: an ext4 image on a loop device, mounted below a temporary folder, and fscrypt on folders of it.

Structures and numbers: linux/fscrypt.h, Documentation/filesystems/fscrypt.rst ("User API"). Needs root, loop devices and a
kernel with CONFIG_FS_ENCRYPTION; `Missing` says what this machine lacks.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

IMAGE_BYTES = 24 * 1024 * 1024
IMAGE_SUFFIX = ".kyusai-disk.img"
"""Behind the id of the process that made it."""
PIECE_BYTES = 256
"""What is looked for at once: seldom does one lie across the end of a block of the file system."""
_TIMEOUT_S = 60

_ADD_KEY = 0xC0506617
"""FS_IOC_ADD_ENCRYPTION_KEY, `_IOWR('f', 23, struct fscrypt_add_key_arg)`."""
_SET_POLICY = 0x800C6613
"""FS_IOC_SET_ENCRYPTION_POLICY, `_IOR('f', 19, struct fscrypt_policy_v1)`; takes version 2 all the same."""
_KEY_ARG = struct.Struct("=II32sII32x")
"""`struct fscrypt_add_key_arg`: type, reserved, identifier (the kernel fills it in), bytes of the key, key_id; then the key."""
_BY_IDENTIFIER = 2
_POLICY = struct.Struct("=BBBB4x16s")
"""`struct fscrypt_policy_v2`: version, how contents and names are encrypted, flags, the key's identifier."""
_AES_256_XTS, _AES_256_CTS, _PAD_32 = 1, 4, 3
KEY_BYTES = 64


class Missing(Exception):
    """What this machine cannot do."""


def make_image(folder: Path, *features: str, size_bytes: int = IMAGE_BYTES) -> Path:
    """An empty ext4 file system in a file of a folder. features: of `mkfs.ext4 -O`."""
    if os.geteuid() != 0:
        raise Missing("only root mounts a disk")
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if mkfs is None:
        raise Missing("no mkfs.ext4 (package e2fsprogs)")
    sweep()
    path = folder / f"{os.getpid()}{IMAGE_SUFFIX}"
    with path.open("wb") as file:
        file.truncate(size_bytes)
    _run(mkfs, "-q", "-F", *(word for feature in features for word in ("-O", feature)), str(path))
    return path


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """The image mounted at a new folder. The loop device goes with the mount; both are gone afterwards, whatever happens."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-o", "loop", str(image), str(folder)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise Missing(f"loop mounting does not work here: {done.stderr.strip()[:200]}")
    try:
        yield folder
    finally:
        if subprocess.run(["umount", str(folder)], timeout=_TIMEOUT_S, check=False).returncode:
            _run("umount", "--lazy", str(folder))
            raise AssertionError(f"{folder} was still in use")


def sweep() -> None:
    """Unmount what a killed test has left: images whose name has the id of a process that is no more."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        _, _, device, _, folder, *_ = line.split(" ")
        backing = Path("/sys/dev/block", device, "loop", "backing_file")
        name = backing.read_text().strip().removesuffix(" (deleted)") if backing.exists() else ""
        owner = Path(name).name.removesuffix(IMAGE_SUFFIX) if name.endswith(IMAGE_SUFFIX) else ""
        if owner.isdecimal() and not Path("/proc", owner).exists():
            _run("umount", "--lazy", folder)


def settle(folder: Path) -> None:
    """Wait until everything on the file system of a folder is in its image."""
    _run("sync", "--file-system", str(folder))


def pieces(audio: bytes, count: int = 16, size_bytes: int = PIECE_BYTES) -> list[bytes]:
    """Parts of what was said, from all over it. Silence, which stands everywhere, is left out."""
    step = max(size_bytes, len(audio) // count)
    found = [audio[at : at + size_bytes] for at in range(0, len(audio) - size_bytes, step)]
    return [piece for piece in found if len(set(piece)) > size_bytes // 32]


def seen(image: Path, needles: Sequence[bytes]) -> int:
    """How many of them stand anywhere in the raw image."""
    raw = b"\0".join(_written(image))
    return sum(needle in raw for needle in needles)


def _written(image: Path) -> Iterator[bytes]:
    """What was ever written to the image; its holes are left out."""
    with image.open("rb") as file:
        size, at = image.stat().st_size, 0
        while at < size:
            try:
                begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # a hole up to the end
                    return
                raise
            at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            yield os.pread(file.fileno(), at - begin, begin)


def encrypt(folder: Path, key: bytes) -> None:
    """Let fscrypt encrypt what will be in an empty folder."""
    identifier = unlock(folder, key)
    policy = bytearray(_POLICY.pack(2, _AES_256_XTS, _AES_256_CTS, _PAD_32, identifier))
    with _opened(folder) as handle:
        fcntl.ioctl(handle, _SET_POLICY, policy)


def unlock(folder: Path, key: bytes) -> bytes:
    """Give the file system of a folder the key; its identifier. The kernel forgets it when it is unmounted."""
    argument = bytearray(_KEY_ARG.pack(_BY_IDENTIFIER, 0, b"", len(key), 0) + key)
    with _opened(folder) as handle:
        try:
            fcntl.ioctl(handle, _ADD_KEY, argument)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOPKG):
                raise Missing(f"this kernel does not know fscrypt: {error}") from error
            raise
    found: bytes = _KEY_ARG.unpack_from(argument)[2]
    return found[:16]


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def _run(*words: str) -> None:
    subprocess.run(words, capture_output=True, timeout=_TIMEOUT_S, check=True)
