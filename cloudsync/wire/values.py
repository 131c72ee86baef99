"""Values as they travel: canonical JSON, base64, times, ids, and what is wrong with what is none of these."""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = Any
"""What `json.loads` gives."""


class WireError(ValueError):
    """Something that the other side sent breaks the contract.

    `key` is stable, `hint` says what to do about it.
    """

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.hint = hint


ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
"""Site, box and tenant ids: safe in paths, headers and metric labels."""

RECORD_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:@#+-]{0,127}"

RECORDING_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
"""A recording's id becomes a file name at the centre: no separators, never a leading dot."""

SHA256_PATTERN = r"[0-9a-f]{64}"

UTC_PATTERN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"
"""RFC 3339 in UTC with a capital Z."""


def is_id(text: str) -> bool:
    """Whether `text` may name a site, a box or a tenant."""
    return re.fullmatch(ID_PATTERN, text) is not None


def is_recording_id(text: str) -> bool:
    """Whether `text` may name a recording."""
    return re.fullmatch(RECORDING_ID_PATTERN, text) is not None


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Json) -> str:
    """One text for one value:
    sorted keys, no blanks, UTF-8 kept, no NaN (as RFC 8785, numbers as Python writes them).
    """
    return _CANONICAL.encode(value)


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def format_utc(moment: datetime) -> str:
    """A moment as `2026-11-21T09:30:00.123Z`. All times on the wire look so, and sort as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """Inverse of `format_utc`; raises WireError `malformed`."""
    if re.fullmatch(UTC_PATTERN, text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise WireError("malformed", f"not a time in UTC: {text[:40]!r}", "Write 2026-11-21T09:30:00.123Z.")


def ca_fingerprint(pem: str) -> str:
    """SHA-256 in hex of the first certificate in `pem`; the box compares it with the enrolment text's digits.

    The box fetches the PEM from PATH_CA over a connection that it cannot verify yet, and pins it when it fits.
    Raises WireError `bad_certificate`.
    """
    match = re.search(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", pem)
    if match is None:
        raise WireError("bad_certificate", "no certificate in PEM form")
    return hashlib.sha256(from_base64("".join(match.group(1).split()))).hexdigest()


def from_base64(text: str) -> bytes:
    """Inverse of `to_base64`; raises WireError for anything that is not strict base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("bad_base64", f"not base64: {text[:40]!r}") from error


def parse_json(data: bytes) -> Json:
    """Strict JSON in UTF-8 (no NaN); raises WireError `malformed`."""

    def refuse_constant(name: str) -> Json:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError("malformed", f"the body is not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What every 4xx and 5xx answer of the centre holds."""

    key: str
    message: str
    hint: str = ""
    problems: list[Json] = field(default_factory=list)


def as_json(value: Json) -> dict[str, Json]:
    """A dataclass of the wire as the JSON object that travels."""
    return asdict(value)
