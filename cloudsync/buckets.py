"""ADAPTER for S3 (obstore): recordings as objects, uploads as pieces that are put together once all are there.

A piece is an object of its own, `uploads/SITE/ID/HASH/BEGIN-END`: it is there wholly or not at all, so several
processes of the centre may take pieces of one upload without a lock between them. Pieces of one HASH are pieces of
the same bytes; where they overlap, any will do, and the hash of the whole is checked before it counts. An answer of
the server to a PUT means that it holds the object; how safely is the server's to say.
"""

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, Self, cast
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from appliance.errors import KyusaiError
from cloudsync.spans import Span, chain, merged, name_of, span_of
from cloudsync.storage import Whole
from cloudsync.wire import is_recording_id

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

SMALL_BYTES = 16 * 1024 * 1024
"""A recording up to this size (two hours of Opus) is one PUT; a larger one goes up in parts."""
MULTIPART_BYTES = 8 * 1024 * 1024
"""A part of a larger one: S3 takes 5 MiB to 5 GiB, and at most 10,000 of them."""
READ_BYTES = 1024 * 1024
TIMEOUT_S = 30
"""One request to the server; boxes wait longer for the end of an upload."""
_WHOLE_NAME = re.compile(r"(.+)\.([0-9a-f]{32})\.age")
RETRY_S = 10.0
"""How long a request is tried again within; then the box is told to come later."""


class BucketUpload:
    """Gathers what is written since the last `sync` and puts it as one object."""

    def __init__(self, bucket: "Bucket", prefix: str) -> None:
        self.offset = 0
        self._bucket = bucket
        self._prefix = prefix
        self._pending = bytearray()

    def resume(self, acknowledged_bytes: int) -> int:
        """Go on behind what was acknowledged; gives the offset, lower when pieces are gone."""
        self._pending.clear()
        self.offset = min(acknowledged_bytes, self._bucket.reach(self._prefix))
        return self.offset

    def write(self, data: bytes) -> None:
        """Append; nothing is durable before `sync`."""
        self._pending += data
        self.offset += len(data)

    def sync(self) -> int:
        """Put what was written since the last time and give the offset that may be acknowledged. Blocks."""
        if self._pending:
            begin = self.offset - len(self._pending)
            self._bucket.put(f"{self._prefix}{name_of(begin, self.offset)}", bytes(self._pending))
            self._pending.clear()
        return self.offset

    def close(self) -> None:
        """Forget what was not synced."""
        self._pending.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bucket:
    """Recordings below a prefix of one bucket. Credentials come from the environment (AWS_ACCESS_KEY_ID, …)."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def part_bytes(self, site_id: str, blob_id: str, sha256: str) -> int:
        """Bytes from 0 on that pieces cover without a gap, or the size of the whole recording; 0 for none."""
        reach = self.reach(_pieces(site_id, blob_id, sha256))
        return reach or self.whole_bytes(site_id, blob_id, sha256) or 0

    def open_part(self, site_id: str, blob_id: str, sha256: str) -> BucketUpload:
        """The upload; several connections may hold it, see the module's text."""
        return BucketUpload(self, _pieces(site_id, blob_id, sha256))

    def put_piece(self, site_id: str, blob_id: str, sha256: str, begin: int, data: bytes) -> None:
        """One object, as `BucketUpload.sync` puts them."""
        self.put(f"{_pieces(site_id, blob_id, sha256)}{name_of(begin, begin + len(data))}", data)

    def held(self, site_id: str, blob_id: str, sha256: str, size_bytes: int) -> list[Span]:
        """Spans that pieces cover; all when the whole recording is there (its name has the hash in it)."""
        found = merged(self._spans(_pieces(site_id, blob_id, sha256)))
        if not found and self.whole_bytes(site_id, blob_id, sha256) == size_bytes:
            return [(0, size_bytes)]
        return found

    def drop_part(self, site_id: str, blob_id: str) -> None:
        """Remove every piece of that id."""
        with _errors():
            paths = [str(path) for path in self._paths(_uploads(site_id, blob_id))]
            if paths:
                obstore.delete(self._store, paths)

    def finish(self, site_id: str, blob_id: str, sha256: str, size_bytes: int) -> bool:
        """Put the pieces together under the final name, if they have the right size and hash. Blocks.

        May be repeated after a crash at any point, and done by two processes at once: nothing takes the final name
        before all of its bytes were read and hashed. False when the bytes are wrong; the pieces are gone then.
        """
        prefix = _pieces(site_id, blob_id, sha256)
        chain = self._chain(prefix)
        if not chain or chain[-1][1] != size_bytes:
            fits = self._whole_fits(site_id, blob_id, sha256, size_bytes)
        else:
            try:
                self.put_whole(site_id, blob_id, sha256, _checked(self._read(prefix, chain), sha256))
                fits = True
            except _WrongBytesError:
                fits = False
        self.drop_part(site_id, blob_id)
        return fits

    def _whole_fits(self, site_id: str, blob_id: str, sha256: str, size_bytes: int) -> bool:
        if self.whole_bytes(site_id, blob_id, sha256) != size_bytes:
            return False
        digest = hashlib.sha256()
        with self.open_whole(site_id, blob_id, sha256) as file:
            while piece := file.read(READ_BYTES):
                digest.update(piece)
        return digest.hexdigest() == sha256

    def open_whole(self, site_id: str, blob_id: str, sha256: str) -> BinaryIO:
        """A whole recording for reading. Raises FileNotFoundError."""
        with _errors():
            return cast(BinaryIO, _Reader(obstore.open_reader(self._store, _whole(site_id, blob_id, sha256))))

    def read_range(self, site_id: str, blob_id: str, sha256: str, begin: int, count: int) -> bytes:
        """Bytes of a whole recording, by one request. Raises FileNotFoundError."""
        with _errors():
            return bytes(
                obstore.get_range(self._store, _whole(site_id, blob_id, sha256), start=begin, length=count)
            )

    def whole_bytes(self, site_id: str, blob_id: str, sha256: str) -> int | None:
        """The size of a whole recording, None when it is not there."""
        try:
            with _errors():
                return int(obstore.head(self._store, _whole(site_id, blob_id, sha256))["size"])
        except FileNotFoundError:
            return None

    def wholes(self, site_id: str) -> Iterator[Whole]:
        """Every whole recording of a site; the names tell half of the hash."""
        with _errors():
            for found in obstore.list(self._store, f"recordings/{site_id}/"):
                for one in found:
                    name = _WHOLE_NAME.fullmatch(one["path"].rpartition("/")[2])
                    if name and is_recording_id(name[1]):
                        yield Whole(name[1], name[2], int(one["size"]))

    def remove_whole(self, site_id: str, blob_id: str, sha256: str) -> None:
        """Remove a whole recording and every piece of that id. Blocks."""
        self.drop_part(site_id, blob_id)
        with suppress(FileNotFoundError), _errors():
            obstore.delete(self._store, _whole(site_id, blob_id, sha256))

    def put_whole(self, site_id: str, blob_id: str, sha256: str, pieces: Iterator[bytes]) -> None:
        """Store a whole recording, in place of one that is there. Blocks."""
        begun = bytearray()
        for piece in pieces:
            begun += piece
            if len(begun) > SMALL_BYTES:
                break
        path = _whole(site_id, blob_id, sha256)
        with _errors():
            if len(begun) <= SMALL_BYTES:
                obstore.put(self._store, path, bytes(begun), use_multipart=False)
            else:
                rest = _in_parts(bytes(begun), pieces)
                obstore.put(self._store, path, rest, use_multipart=True, chunk_size=MULTIPART_BYTES)

    def put(self, path: str, data: bytes) -> None:
        """Store one object. Blocks."""
        with _errors():
            obstore.put(self._store, path, data, use_multipart=False)

    def reach(self, prefix: str) -> int:
        """Bytes from 0 on that the pieces below `prefix` cover without a gap."""
        chain = self._chain(prefix)
        return chain[-1][1] if chain else 0

    def _chain(self, prefix: str) -> list[tuple[int, int]]:
        """Pieces, by begin and end, of which each begins where bytes are still missing or before."""
        return chain(self._spans(prefix))

    def _spans(self, prefix: str) -> list[Span]:
        with _errors():
            names = [str(path).rpartition("/")[2] for path in self._paths(prefix)]
        return [span for name in names if (span := span_of(name)) is not None]

    def _read(self, prefix: str, chain: list[tuple[int, int]]) -> Iterator[bytes]:
        reached = 0
        for begin, end in chain:
            with _errors():
                data = bytes(obstore.get(self._store, f"{prefix}{name_of(begin, end)}").bytes())
            yield data[reached - begin :]
            reached = end

    def _paths(self, prefix: str) -> Iterator[str]:
        for found in obstore.list(self._store, prefix):
            for one in found:
                yield one["path"]


class _Reader:
    """An object as a file: bytes are bytes, failures are OSError."""

    def __init__(self, reader: "obstore.ReadableFile") -> None:
        self._reader = reader

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all of the rest for -1."""
        with _errors():
            return bytes(self._reader.read(None if size < 0 else size))

    def close(self) -> None:
        """Let go."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_bucket(url: str) -> Bucket:
    """The place that a URL names: s3://BUCKET/PREFIX?endpoint=URL&region=NAME. Opens no connection yet.

    Raises KyusaiError `store.bad_bucket`.
    """
    parsed = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parsed.query).items()}
    if (
        parsed.scheme != "s3"
        or not parsed.netloc
        or "@" in parsed.netloc
        or not set(query) <= {"endpoint", "region"}
    ):
        raise KyusaiError(
            "store.bad_bucket",
            f"{url!r}: recordings are named by an absolute path or by s3://BUCKET/PREFIX",
            "Write s3://BUCKET/PREFIX?endpoint=https://…&region=…, and put the credentials into the environment.",
            value=url,
        )
    endpoint = query.get("endpoint", "")
    config: S3Config = {"region": query.get("region", "us-east-1"), "checksum_algorithm": "SHA256"}
    if endpoint:
        config["endpoint"] = endpoint
    client: ClientConfig = {"allow_http": endpoint.startswith("http://"), "timeout": f"{TIMEOUT_S}s"}
    return Bucket(
        S3Store(
            parsed.netloc,
            prefix=parsed.path.strip("/") or None,
            config=config,
            client_options=client,
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=RETRY_S)},
        )
    )


class BucketAwayError(OSError):
    """The store could not be reached, or said no."""


_FOR_PROGRAMMERS = "\n\nDebug source"
"""What follows in an error of the client fills a screen."""


class _WrongBytesError(Exception):
    """The pieces have another hash than was offered."""


def _checked(pieces: Iterator[bytes], sha256: str) -> Iterator[bytes]:
    """The pieces; ends in _WrongBytesError, before the last of them, unless all have the hash."""
    digest = hashlib.sha256()
    held = b""
    for piece in pieces:
        digest.update(piece)
        if held:
            yield held
        held = piece
    if digest.hexdigest() != sha256:
        raise _WrongBytesError
    yield held


def _in_parts(begun: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield begun
    yield from rest


@contextmanager
def _errors() -> Iterator[None]:
    """What the client raises as OSError, which the centre answers with 503."""
    try:
        yield
    except BaseError as error:
        told = str(error).partition(_FOR_PROGRAMMERS)[0]
        raise BucketAwayError(errno.EIO, f"the store of the recordings: {told}"[:500]) from error


def _whole(site_id: str, blob_id: str, sha256: str) -> str:
    """With the hash in it: a process that comes late with an older encryption cannot replace the stored one."""
    return f"recordings/{site_id}/{blob_id}.{sha256[:32]}.age"


def _uploads(site_id: str, blob_id: str) -> str:
    return f"uploads/{site_id}/{blob_id}/"


def _pieces(site_id: str, blob_id: str, sha256: str) -> str:
    return f"{_uploads(site_id, blob_id)}{sha256[:32]}/"
