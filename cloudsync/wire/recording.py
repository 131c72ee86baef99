"""A recording on its way: the offer, how far it is, its pieces, and the receipt that lets the box delete it."""

import hashlib
from dataclasses import dataclass

from cloudsync.wire.limits import PATH_RECORDINGS
from cloudsync.wire.values import Json, WireError, to_base64


@dataclass(frozen=True, slots=True)
class RecordingOffer:
    """What the box says before it uploads.

    `sha256` is of the plain audio, `cipher_sha256` and `bytes` of what travels. `retention`: its class, "" where the box
    knows none (yet) or is of a release that does not say it; the call's record tells it too, and its word holds.
    """

    id: str
    call: str
    sha256: str
    cipher_sha256: str
    bytes: int
    started_utc: str
    duration_s: float
    format: str
    retention: str = ""


@dataclass(frozen=True, slots=True)
class UploadStands:
    """The answer to an offer: how much of the recording the centre has on disk.

    offset: from where PATCH goes on. pieces: spans (begin, end) that came by PUT, in order; None when the centre is of a
    release that takes PATCH only.
    """

    offset: int
    pieces: tuple[tuple[int, int], ...] | None = None


def upload_stands_from(value: Json) -> UploadStands:
    """An `UploadStands` from its JSON; raises WireError `malformed`."""

    def whole(number: Json) -> int:
        if type(number) is not int or number < 0:
            raise WireError("malformed", f"an upload cannot stand at {number!r}")
        return number

    if not isinstance(value, dict):
        raise WireError("malformed", "the answer to an offer is an object")
    pieces = value.get("pieces")
    try:
        spans = None if pieces is None else tuple((whole(begin), whole(end)) for begin, end in pieces)
    except (TypeError, ValueError) as error:
        raise WireError("malformed", f"pieces are pairs of numbers: {error}") from error
    return UploadStands(whole(value.get("offset")), spans)


def piece_path(recording_id: str, begin: int) -> str:
    """PUT: the piece of a recording that begins at a byte."""
    return f"{PATH_RECORDINGS}/{recording_id}/pieces/{begin}"


def piece_digest(data: bytes) -> str:
    """The value of PIECE_DIGEST_HEADER for a piece."""
    return f"sha-256=:{to_base64(hashlib.sha256(data).digest())}:"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The centre's signed word that it holds a recording:
    verified, fsynced. Only this lets the box delete.
    """

    site_id: str
    id: str
    sha256: str
    cipher_sha256: str
    bytes: int
    stored_utc: str
    key_id: str
    signature: str = ""


def receipt_from(value: Json) -> Receipt:
    """A `Receipt` from its JSON; raises WireError `malformed`. The signature is not checked here."""
    names = ("site_id", "id", "sha256", "cipher_sha256", "stored_utc", "key_id", "signature")
    if (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in names)
        and isinstance(value.get("bytes"), int)
    ):
        return Receipt(bytes=value["bytes"], **{name: value[name] for name in names})
    raise WireError("malformed", f"a receipt has {', '.join(names)} and bytes")
