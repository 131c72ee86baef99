"""A record and its place in the hash chain: what is hashed, and a record from its JSON."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from cloudsync.wire.limits import RECORD_BYTES_MAX
from cloudsync.wire.values import (
    RECORD_ID_PATTERN,
    SHA256_PATTERN,
    UTC_PATTERN,
    Json,
    WireError,
    canonical_json,
)
from cloudsync.wire.words import RecordKind, Refusal


@dataclass(frozen=True, slots=True)
class Record:
    """One item of a site's sequence. `seq` starts at 1 and has no gap; `id` was made at the source."""

    seq: int
    id: str
    kind: str
    priority: int
    created_utc: str
    boot_id: str
    body: dict[str, Json]
    prev_hash: str
    hash: str


class RecordText(NamedTuple):
    """A record of which the body is `text`, its canonical JSON: what is hashed, kept and sent without being made anew."""

    seq: int
    id: str
    kind: str
    priority: int
    created_utc: str
    boot_id: str
    text: str
    prev_hash: str
    hash: str

    @property
    def body(self) -> dict[str, Json]:
        """The body decoded."""
        value: dict[str, Json] = json.loads(self.text)
        return value


_PLAIN_TEXT = re.compile(r"[ !#-\[\]-~]*")
"""ASCII of which JSON escapes nothing."""


def quoted(text: str) -> str:
    return f'"{text}"' if _PLAIN_TEXT.fullmatch(text) else canonical_json(text)


def text_hash(record: RecordText) -> str:
    """SHA-256 in hex over the previous record's hash and everything that this record says; not over its `hash`."""
    seq, id_, kind, priority, created_utc, boot_id, text, prev_hash, _ = record
    if _PLAIN_TEXT.fullmatch(f"{id_}{kind}{created_utc}{boot_id}"):  # nearly always: looked at once
        fields = f'"{id_}","{kind}",{priority},"{created_utc}","{boot_id}"'
    else:
        fields = f"{quoted(id_)},{quoted(kind)},{priority},{quoted(created_utc)},{quoted(boot_id)}"
    said = f"kyusai-record-v1\0{prev_hash}\0[{seq},{fields},{text}]"
    return hashlib.sha256(said.encode()).hexdigest()


def record_hash(record: Record) -> str:
    """`text_hash` of a record whose body is not text yet."""
    return text_hash(
        RecordText(
            record.seq,
            record.id,
            record.kind,
            record.priority,
            record.created_utc,
            record.boot_id,
            canonical_json(record.body),
            record.prev_hash,
            "",
        )
    )


def chain_text(
    prev_hash: str,
    *,
    seq: int,
    record_id: str,
    kind: str,
    priority: int,
    created_utc: str,
    boot_id: str,
    text: str,
) -> RecordText:
    """`chain_record` for a body that is canonical text already."""
    made = RecordText(seq, record_id, kind, priority, created_utc, boot_id, text, prev_hash, "")
    return made._replace(hash=text_hash(made))


def text_fits(record: RecordText) -> bool:
    """`hash_fits` for a record whose body is text."""
    return text_hash(record) == record.hash


def chain_record(
    prev_hash: str,
    *,
    seq: int,
    record_id: str,
    kind: str,
    priority: int,
    created_utc: str,
    boot_id: str,
    body: dict[str, Json],
) -> Record:
    """The record that follows the one with `prev_hash` (GENESIS_HASH for the first)."""
    made = Record(seq, record_id, kind, priority, created_utc, boot_id, body, prev_hash, "")
    return replace(made, hash=record_hash(made))


def hash_fits(record: Record) -> bool:
    """Whether the record's own hash is right; says nothing of its neighbours."""
    return record_hash(record) == record.hash


_RECORD_FIELDS: tuple[tuple[str, type], ...] = (
    ("seq", int),
    ("id", str),
    ("kind", str),
    ("priority", int),
    ("created_utc", str),
    ("boot_id", str),
    ("body", dict),
    ("prev_hash", str),
    ("hash", str),
)


def record_from(value: Json) -> Record:
    """A record from its JSON; raises WireError with key `malformed` or `too_large` that names the field.

    Unknown fields are ignored, so that a newer box can talk to an older centre.
    """
    if not isinstance(value, dict):
        raise WireError(Refusal.MALFORMED, f"a record must be an object, not {type(value).__name__}")
    for name, kind in _RECORD_FIELDS:
        if not isinstance(value.get(name), kind) or isinstance(value.get(name), bool):
            raise WireError(Refusal.MALFORMED, f"record field {name!r} must be {kind.__name__}")
    record = Record(**{name: value[name] for name, _ in _RECORD_FIELDS})
    checks = (
        ("seq", 1 <= record.seq < 2**63),
        ("id", re.fullmatch(RECORD_ID_PATTERN, record.id) is not None),
        ("kind", record.kind in tuple(RecordKind)),
        ("priority", 0 <= record.priority <= 9),
        ("created_utc", re.fullmatch(UTC_PATTERN, record.created_utc) is not None),
        ("boot_id", re.fullmatch(r"[\x20-\x7e]{0,64}", record.boot_id) is not None),
        ("prev_hash", re.fullmatch(SHA256_PATTERN, record.prev_hash) is not None),
        ("hash", re.fullmatch(SHA256_PATTERN, record.hash) is not None),
    )
    for name, fits in checks:
        if not fits:
            raise WireError(Refusal.MALFORMED, f"record field {name!r} has a value that is not allowed")
    try:
        size_bytes = len(canonical_json(record.body).encode())
    except (ValueError, RecursionError) as error:
        raise WireError(Refusal.MALFORMED, "record field 'body' is not JSON in UTF-8") from error
    if size_bytes > RECORD_BYTES_MAX:
        raise WireError(Refusal.TOO_LARGE, f"a record body of {size_bytes} bytes is above {RECORD_BYTES_MAX}")
    return record
