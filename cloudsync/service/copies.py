"""Recordings from one place to another. Each is checked against its hash on the way; one that is there stays."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from cloudsync.storage import Storage

READ_BYTES = 1024 * 1024


class AlteredError(Exception):
    """The bytes do not have the hash that the box named."""


@dataclass(slots=True)
class Copied:
    """What a copy did. `wrong`: site/id of recordings that are missing or altered at their source."""

    copied: int
    kept: int
    wrong: list[str]

    def with_more(self, other: "Copied") -> "Copied":
        """Both together."""
        return Copied(self.copied + other.copied, self.kept + other.kept, self.wrong + other.wrong)


class Held(Protocol):
    """What is copied: a call's recording, or a prompt."""

    @property
    def site_id(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def cipher_sha256(self) -> str: ...
    @property
    def bytes(self) -> int: ...


def copy(found: Iterable[Held], source: Storage, target: Storage) -> Copied:
    """Copy stored recordings that `target` does not have. Blocks. What is wrong is told, and stops nothing."""
    done = Copied(0, 0, [])
    for one in found:
        if target.whole_bytes(one.site_id, one.id, one.cipher_sha256) == one.bytes:
            done.kept += 1
            continue
        try:
            with source.open_whole(one.site_id, one.id, one.cipher_sha256) as file:
                target.put_whole(one.site_id, one.id, one.cipher_sha256, _checked(file, one.cipher_sha256))
            done.copied += 1
        except (FileNotFoundError, AlteredError):
            done.wrong.append(f"{one.site_id}/{one.id}")
    return done


def _checked(file: BinaryIO, sha256: str) -> Iterator[bytes]:
    """The bytes; ends in AlteredError, before the last of them, unless all have the hash."""
    digest = hashlib.sha256()
    held = b""
    while piece := file.read(READ_BYTES):
        digest.update(piece)
        if held:
            yield held
        held = piece
    if digest.hexdigest() != sha256:
        raise AlteredError
    yield held
