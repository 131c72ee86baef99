"""Files that are there after a power cut: temporary name, fsync, rename, fsync of the folder. Decides nothing."""

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

PRIVATE_FOLDER_MODE = 0o700
PRIVATE_FILE_MODE = 0o600


def make_folder(path: Path) -> None:
    """Create a folder and its parents, all 0700, durably; what is there stays as it is. Blocks on the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER_MODE, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Make renames and new names in `path` durable. Blocks on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes, mode: int = PRIVATE_FILE_MODE) -> None:
    """Put `data` in place of `path`, wholly or not at all. Blocks on the disk."""
    write_pieces(path, (data,), mode)


def write_pieces(path: Path, pieces: Iterable[bytes], mode: int = PRIVATE_FILE_MODE) -> None:
    """The same for what is too large to hold at once."""
    temporary = _write_temporary(path, pieces, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_new_file(path: Path, data: bytes, mode: int = PRIVATE_FILE_MODE) -> bool:
    """Create `path` unless it is there; False when somebody else was first, whose content then stays."""
    temporary = _write_temporary(path, (data,), mode)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _write_temporary(path: Path, pieces: Iterable[bytes], mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary
