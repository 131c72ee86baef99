"""What a place for recordings does, whatever it is: the centre's rules know this interface only.

An upload is told apart by site, id and the SHA-256 of its encrypted bytes: encrypted anew, it is another one. Every
call may be cut off by a crash and repeated. Failures of the place are OSError; nothing was taken then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, Self

from cloudsync.spans import Span


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole recording as it lies there. sha256: of its encrypted bytes as far as its name tells it, "" where it does not."""

    id: str
    sha256: str
    bytes: int


class Upload(Protocol):
    """An upload held open for writing. `offset` counts the bytes written."""

    offset: int

    def resume(self, acknowledged_bytes: int) -> int:
        """Go on behind what was acknowledged; gives the offset, lower when bytes are gone."""

    def write(self, data: bytes) -> None:
        """Append; nothing is durable before `sync`. Blocks."""

    def sync(self) -> int:
        """Make everything written durable and give the offset that may be acknowledged. Blocks."""

    def close(self) -> None:
        """Let go; what was not synced is forgotten."""

    def __enter__(self) -> Self:
        """The upload itself."""

    def __exit__(self, *_: object) -> None:
        """Close."""


class Storage(Protocol):
    """Recordings: uploads on their way, and whole ones."""

    def part_bytes(self, site_id: str, blob_id: str, sha256: str) -> int:
        """Durable bytes of the upload or of the whole recording, 0 for none."""

    def open_part(self, site_id: str, blob_id: str, sha256: str) -> Upload:
        """The upload. Raises Refused `recording.busy` where only one connection may write."""

    def put_piece(self, site_id: str, blob_id: str, sha256: str, begin: int, data: bytes) -> None:
        """Store a piece of the upload, durably, wholly or not at all; any number of connections at once. Blocks."""

    def held(self, site_id: str, blob_id: str, sha256: str, size_bytes: int) -> list[Span]:
        """Spans of the upload that `put_piece` made durable, merged; all of it when the whole recording is there."""

    def drop_part(self, site_id: str, blob_id: str) -> None:
        """Forget every upload of that id."""

    def finish(self, site_id: str, blob_id: str, sha256: str, size_bytes: int) -> bool:
        """Check size and hash and give the recording its final name, durably. False when the bytes are wrong."""

    def open_whole(self, site_id: str, blob_id: str, sha256: str) -> BinaryIO:
        """A whole recording, still encrypted, for reading. Raises FileNotFoundError."""

    def read_range(self, site_id: str, blob_id: str, sha256: str, begin: int, count: int) -> bytes:
        """`count` bytes of a whole recording from `begin` on, fewer at its end. Raises FileNotFoundError. Blocks."""

    def whole_bytes(self, site_id: str, blob_id: str, sha256: str) -> int | None:
        """The size of a whole recording, None when it is not there."""

    def wholes(self, site_id: str) -> Iterator[Whole]:
        """Every whole recording of a site, in no order. Blocks."""

    def remove_whole(self, site_id: str, blob_id: str, sha256: str) -> None:
        """Remove a whole recording and every upload of that id, durably. One that is gone already is no fault. Blocks."""

    def put_whole(self, site_id: str, blob_id: str, sha256: str, pieces: Iterator[bytes]) -> None:
        """Store a whole recording from its bytes, durably, in place of one that is there. Blocks."""
