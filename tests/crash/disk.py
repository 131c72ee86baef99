"""CORE. A disk as a power cut leaves it: what was synced is there, of everything else any part may be.

The rules are those of POSIX without the kindness of any one file system: `fsync` of a file makes its bytes sure and not its
name; `fsync` of a folder makes the names in it sure and not their bytes. Of unsynced writes to a file none, all, the first
few, or any subset of their 512-byte sectors reached the disk; of unsynced changes of names the first few did. Every other
cut leaves nothing at all that was not synced. So a program that is right here is right on ext4, XFS and flash with a cache,
and more.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.crash.oplog import Entry, Op

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""


@dataclass(slots=True)
class _File:
    """sure: its synced bytes; unsynced: changes since, each a WRITE or a TRUNCATE."""

    sure: bytes
    unsynced: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Change:
    """Names that change together. folders: where; names: path -> inode, None for gone, 0 for a folder."""

    folders: frozenset[str]
    names: tuple[tuple[str, int | None], ...]


FOLDER = 0
"""In place of an inode: the name is a folder's."""
BARE = 0.5
"""Share of cuts that leave nothing unsynced: the hardest, and what a program that forgot one sync fails at."""


class Nothing(random.Random):
    """Chance at its worst: of what was not synced nothing survives."""

    def choice(self, seq: Any) -> Any:
        """The first, which is the least here."""
        return seq[0]


class Disk:
    """Folders and files below `root`, all of them synced. files: path -> (inode, bytes)."""

    def __init__(self, root: str, files: Mapping[str, tuple[int, bytes]], folders: Iterable[str]) -> None:
        self._root = root
        self._files = {ino: _File(data) for ino, data in files.values()}
        self._ids = {ino: ino for ino in self._files}
        self._sure: dict[str, int] = {path: ino for path, (ino, _) in files.items()}
        self._sure |= dict.fromkeys(folders, FOLDER) | {root: FOLDER}
        self._names = dict(self._sure)
        self._unsynced: list[_Change] = []

    def apply(self, entry: Entry) -> None:
        """Take in what happened next. Raises KeyError for a path that cannot be there: the log is not complete then."""
        match entry.op:
            case Op.WRITE | Op.TRUNCATE:
                self._files[self._ids[entry.ino]].unsynced.append(entry)
            case Op.SYNC:
                file = self._files[self._ids[entry.ino]]
                file.sure, file.unsynced = _content(file.sure, file.unsynced), []
            case Op.SYNC_FOLDER:
                self._sync_folder(entry.first.decode())
            case Op.NEW:
                self._change((entry.first.decode(), self._new_file(entry.ino)))
            case Op.MKDIR:
                self._change((entry.first.decode(), FOLDER))
            case Op.UNLINK | Op.RMDIR:
                self._change((entry.first.decode(), None))
            case Op.LINK:
                self._change((entry.second.decode(), self._names[entry.first.decode()]))
            case Op.RENAME:
                old, new = entry.first.decode(), entry.second.decode()
                self._change((new, self._names[old]), (old, None))

    def _new_file(self, ino: int) -> int:
        """A file of its own, though the kernel may give a removed file's number again."""
        id_ = max(self._files, default=0) + 1
        self._files[id_], self._ids[ino] = _File(b""), id_
        return id_

    def _change(self, *names: tuple[str, int | None]) -> None:
        for path, ino in names:
            if ino is None:
                del self._names[path]
            else:
                self._names[path] = ino
        self._unsynced.append(_Change(frozenset(_parent(path) for path, _ in names), names))

    def _sync_folder(self, folder: str) -> None:
        for change in self._unsynced:
            if folder in change.folders:
                _rename(self._sure, change)
        self._unsynced = [change for change in self._unsynced if folder not in change.folders]

    def as_written(self) -> dict[str, bytes]:
        """Files with their bytes as the processes saw them: what is really in the folder, if the log is complete."""
        return {
            path: _content(self._files[ino].sure, self._files[ino].unsynced)
            for path, ino in self._names.items()
            if ino != FOLDER
        }

    def after_power_cut(self, chance: random.Random) -> tuple[dict[str, bytes], set[str]]:
        """Files with their bytes, and folders, as they may be found afterwards."""
        return self.kept(Nothing() if chance.random() < BARE else chance)

    def kept(self, chance: random.Random) -> tuple[dict[str, bytes], set[str]]:
        """The same, with `chance` alone to say what of the unsynced survives."""
        names = dict(self._sure)
        for change in self._unsynced[: _some(chance, len(self._unsynced))]:
            _rename(names, change)
        folders = {path for path in names if self._hangs_together(path, names)}
        files = {
            path: _content(self._files[ino].sure, _survivors(self._files[ino].unsynced, chance))
            for path, ino in sorted(names.items())
            if ino != FOLDER and _parent(path) in folders
        }
        return files, folders

    def _hangs_together(self, path: str, names: Mapping[str, int]) -> bool:
        """Whether `path` is a folder and all above it up to the root are there too."""
        while path != self._root:
            if names.get(path) != FOLDER:
                return False
            path = _parent(path)
        return True


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _rename(names: dict[str, int], change: _Change) -> None:
    for path, ino in change.names:
        if ino is None:
            names.pop(path, None)
        else:
            names[path] = ino


def _some(chance: random.Random, count: int) -> int:
    """How many of `count` in a row survive: none and all are likely, anything between is possible."""
    return chance.choice((0, count, chance.randint(0, count)))


def _survivors(unsynced: list[Entry], chance: random.Random) -> list[Entry]:
    manner = chance.choice(("first", "first", "sectors"))
    if manner == "first":
        return unsynced[: _some(chance, len(unsynced))]
    kept: list[Entry] = []
    for entry in unsynced:
        if entry.op is Op.TRUNCATE:
            if chance.random() < 0.5:
                kept.append(entry)
            continue
        kept += [sector for sector in _sectors(entry) if chance.random() < 0.5]
    return kept


def _sectors(write: Entry) -> list[Entry]:
    """A write in pieces that end at the sectors' ends."""
    pieces = []
    at, end = write.offset, write.offset + len(write.first)
    while at < end:
        next_at = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        data = write.first[at - write.offset : next_at - write.offset]
        pieces.append(Entry(Op.WRITE, write.ino, at, data))
        at = next_at
    return pieces


def _content(sure: bytes, changes: Iterable[Entry]) -> bytes:
    data = bytearray(sure)
    for change in changes:
        if change.op is Op.TRUNCATE:
            del data[change.offset :]
            data += bytes(max(change.offset - len(data), 0))
        else:
            if len(data) < change.offset:
                data += bytes(change.offset - len(data))
            data[change.offset : change.offset + len(change.first)] = change.first
    return bytes(data)
