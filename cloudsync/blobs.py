"""ADAPTER. Recordings as files: parts that grow by acknowledged pieces, and whole ones. Decides nothing.

An offset is acknowledged only after `sync`; whatever lies behind it in the file (bytes that a crash left
unsynced) is cut off before the next piece. A whole file appears under its final name by rename, after its hash was
checked, with file and folder fsynced.

Pieces that come over several connections are files of their own, `uploads/SITE/ID.HASH.parts/BEGIN-END`. Each takes its
name by a rename once it is fsynced, so the names are the account of what is there, and no file has holes.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from cloudsync import durable
from cloudsync.refusals import Refused
from cloudsync.spans import Span, chain, covers, merged, name_of, span_of
from cloudsync.storage import Whole
from cloudsync.wire import ErrorKey, is_recording_id

READ_BYTES = 1024 * 1024
"""Piece in which a file is hashed: large enough that the system call does not count."""
HASH_CHARACTERS = 32
"""Of the SHA-256 in a folder's name: 128 bits tell encryptions of the same audio apart."""
WHOLE_SUFFIX = ".age"
PIECES_SUFFIX = ".parts"
JOINED = "joined"
"""The pieces of a folder put together; no piece's name, so it never counts as one."""


class Part:
    """An upload held open for writing by exactly one connection. `offset` counts bytes written."""

    def __init__(self, path: Path) -> None:
        """Open or create; raises Refused `recording.busy` when another connection holds it."""
        self.offset = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE_MODE)
        try:
            self._lock()
            durable.sync_folder(path.parent)
        except BaseException:
            os.close(self._descriptor)
            raise

    def resume(self, acknowledged_bytes: int) -> int:
        """Cut back to what was acknowledged and go on there; gives the offset, lower when the disk lost bytes."""
        self.offset = min(acknowledged_bytes, os.fstat(self._descriptor).st_size)
        os.ftruncate(self._descriptor, self.offset)
        os.lseek(self._descriptor, self.offset, os.SEEK_SET)
        return self.offset

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise Refused(
                423,
                ErrorKey.RECORDING_BUSY,
                "another connection is writing to this upload",
                "Wait for a second, then ask for the offset.",
                headers={"Retry-After": "1"},
            ) from error

    def write(self, data: bytes) -> None:
        """Append; nothing is durable before `sync`. Blocks on the disk."""
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self.offset += written
            view = view[written:]

    def sync(self) -> int:
        """Make everything written durable and give the offset that may be acknowledged."""
        os.fdatasync(self._descriptor)
        return self.offset

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BlobFolder:
    """Recordings below two folders of one file system, one folder per site."""

    def __init__(self, parts_dir: Path, whole_dir: Path) -> None:
        self._parts_dir = parts_dir
        self._whole_dir = whole_dir

    def whole_path(self, site_id: str, blob_id: str) -> Path:
        """Where a complete recording lies. Both ids have been checked by the wire's patterns."""
        return self._whole_dir / site_id / f"{blob_id}{WHOLE_SUFFIX}"

    def _part_path(self, site_id: str, blob_id: str) -> Path:
        return self._parts_dir / site_id / f"{blob_id}.part"

    def part_bytes(self, site_id: str, blob_id: str, sha256: str) -> int:
        """Bytes in the part or in the whole file, 0 for none. One part has one name, whatever it is a part of."""
        for path in (self._part_path(site_id, blob_id), self.whole_path(site_id, blob_id)):
            try:
                return path.stat().st_size
            except FileNotFoundError:
                continue
        return 0

    def open_part(self, site_id: str, blob_id: str, sha256: str) -> Part:
        """The part, locked. Read the acknowledged offset after this and hand it to `Part.resume`."""
        path = self._part_path(site_id, blob_id)
        durable.make_folder(path.parent)
        return Part(path)

    def put_piece(self, site_id: str, blob_id: str, sha256: str, begin: int, data: bytes) -> None:
        """A file of its own, there wholly or not at all. Blocks on the disk."""
        folder = self._pieces_dir(site_id, blob_id, sha256)
        if not folder.is_dir():
            durable.make_folder(folder)
            durable.sync_folder(folder.parent)
            durable.sync_folder(self._parts_dir)
        durable.write_file(folder / name_of(begin, begin + len(data)), data)

    def held(self, site_id: str, blob_id: str, sha256: str, size_bytes: int) -> list[Span]:
        """Spans that pieces cover; all when the whole file is there and has the hash (a crash came before its receipt)."""
        found = merged(_spans(self._pieces_dir(site_id, blob_id, sha256)))
        if not found and _fits(self.whole_path(site_id, blob_id), sha256, size_bytes):
            return [(0, size_bytes)]
        return found

    def _pieces_dir(self, site_id: str, blob_id: str, sha256: str) -> Path:
        return self._parts_dir / site_id / f"{blob_id}.{sha256[:HASH_CHARACTERS]}{PIECES_SUFFIX}"

    def drop_part(self, site_id: str, blob_id: str) -> None:
        """Forget every upload of that id, whatever it was encrypted to."""
        self._part_path(site_id, blob_id).unlink(missing_ok=True)
        begins, length = f"{blob_id}.", len(blob_id) + 1 + HASH_CHARACTERS + len(PIECES_SUFFIX)
        folder = self._parts_dir / site_id
        for path in folder.iterdir() if folder.is_dir() else ():
            if (
                path.name.startswith(begins)
                and path.name.endswith(PIECES_SUFFIX)
                and len(path.name) == length
            ):
                _remove(path)

    def finish(self, site_id: str, blob_id: str, sha256: str, size_bytes: int) -> bool:
        """Check size and hash, then move the part to its final name, durably. Blocks on the disk.

        May be repeated after a crash at any point. False when the bytes are wrong; the part is gone then.
        """
        part, whole = self._part_path(site_id, blob_id), self.whole_path(site_id, blob_id)
        pieces = self._pieces_dir(site_id, blob_id, sha256)
        with _alone(pieces):
            source = part if part.exists() else whole
            if covers(_spans(pieces), size_bytes):
                source = _joined(pieces, chain(_spans(pieces)))
            if not _fits(source, sha256, size_bytes):
                source.unlink(missing_ok=True)
                self.drop_part(site_id, blob_id)
                return False
            if source != whole:
                durable.make_folder(whole.parent)
                durable.sync_folder(self._whole_dir)
                source.replace(whole)
            durable.sync_folder(whole.parent)
            self.drop_part(site_id, blob_id)
        return True

    def open_whole(self, site_id: str, blob_id: str, sha256: str) -> BinaryIO:
        """A whole recording for reading. Raises FileNotFoundError."""
        return self.whole_path(site_id, blob_id).open("rb")

    def read_range(self, site_id: str, blob_id: str, sha256: str, begin: int, count: int) -> bytes:
        """Bytes of a whole recording. Raises FileNotFoundError."""
        with self.whole_path(site_id, blob_id).open("rb") as file:
            file.seek(begin)
            return file.read(count)

    def whole_bytes(self, site_id: str, blob_id: str, sha256: str) -> int | None:
        """The size of a whole recording, None when it is not there."""
        try:
            return self.whole_path(site_id, blob_id).stat().st_size
        except FileNotFoundError:
            return None

    def wholes(self, site_id: str) -> Iterator[Whole]:
        """Every whole recording of a site; the names tell no hash."""
        with suppress(FileNotFoundError), os.scandir(self._whole_dir / site_id) as found:
            for entry in found:
                if entry.name.endswith(WHOLE_SUFFIX) and is_recording_id(
                    entry.name.removesuffix(WHOLE_SUFFIX)
                ):
                    yield Whole(entry.name.removesuffix(WHOLE_SUFFIX), "", entry.stat().st_size)

    def remove_whole(self, site_id: str, blob_id: str, sha256: str) -> None:
        """Remove a whole recording and every upload of that id, durably. Blocks on the disk."""
        self.drop_part(site_id, blob_id)
        whole = self.whole_path(site_id, blob_id)
        whole.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # of a site that never stored any
            durable.sync_folder(whole.parent)

    def put_whole(self, site_id: str, blob_id: str, sha256: str, pieces: Iterator[bytes]) -> None:
        """Store a whole recording, in place of one that is there. Blocks on the disk."""
        whole = self.whole_path(site_id, blob_id)
        durable.make_folder(whole.parent)
        durable.sync_folder(self._whole_dir)
        durable.write_pieces(whole, pieces)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While this holds nobody else puts these pieces together; whoever comes later finds what the first one left."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _spans(folder: Path) -> list[Span]:
    """The pieces in a folder, by their names."""
    try:
        return [span for path in folder.iterdir() if (span := span_of(path.name)) is not None]
    except FileNotFoundError:
        return []


def _remove(folder: Path) -> None:
    """A folder with all that is in it; another may be at it too."""
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()


def _joined(folder: Path, spans: list[Span]) -> Path:
    """A file with the pieces one behind the other, in the same folder, durable."""

    def bytes_of() -> Iterator[bytes]:
        reached = 0
        for begin, end in spans:
            yield (folder / name_of(begin, end)).read_bytes()[reached - begin :]
            reached = end

    path = folder / JOINED
    durable.write_pieces(path, bytes_of())
    return path


def _fits(path: Path, sha256: str, size_bytes: int) -> bool:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size_bytes:
                return False
            while piece := file.read(READ_BYTES):
                digest.update(piece)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == sha256
