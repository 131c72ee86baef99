"""What a site box and the centre say to each other: words, shapes, limits, hashes, the bytes that get signed.

Both sides import this module and nothing else of each other. It opens nothing, reads no clock and needs the
standard library only. The HTTP paths are under `/v1`; `docs/centre.md` describes them. Every number below is a
limit of the protocol, with its unit in the name and its reason beside it.

Hash chain of records: `record_hash` covers the hash of the record before it, so a gap, a change or a swap
shows, and whoever holds records 1..n can check them without trusting the centre.
"""

import base64
import binascii
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

Json = Any
"""What `json.loads` gives."""

PATH_CA = "/v1/ca"
"""GET: the centre's CA certificate in PEM. No access token needed."""
PATH_ENROL = "/v1/enrol"
PATH_ENROLMENT = "/v1/enrolment"
PATH_TOKEN_CHALLENGE = "/v1/token/challenge"  # noqa: S105 - a path
PATH_TOKEN = "/v1/token"  # noqa: S105 - a path
PATH_KEY = "/v1/key"
"""POST: a key that the box will use from now on."""
PATH_CONFIG = "/v1/config"
PATH_CONFIG_STATUS = "/v1/config/status"
PATH_RECORDS = "/v1/records"
PATH_LEDGER = "/v1/ledger"
"""GET: the centre's signed word on how much of the site's sequence it holds."""
PATH_RECORDINGS = "/v1/recordings"
PATH_PROMPTS = "/v1/prompts"
PATH_LISTEN = "/v1/listen"
"""GET, for a listener and not for boxes: the audio of a recording."""
PATH_HEARTBEAT = "/v1/heartbeat"

# ---------------------------------------------------------------------------------------------- limits

BATCH_RECORDS_MAX = 500
"""Records in one POST:
the centre commits them as one transaction, whose fsync is then spread over 500 rows.
"""
BATCH_BYTES_MAX = 8 * 1024 * 1024
"""A batch after decompression: 500 records of 16 KiB. More is a mistake or a decompression bomb."""
BATCH_GZIP_BYTES_MAX = 2 * 1024 * 1024
"""A batch as sent, whatever its coding: CDRs shrink to a sixth or less (1,270 bytes to 190 were measured)."""
CODING_GZIP = "gzip"
"""Content-Encoding of a batch that every centre takes."""
CODING_ZSTD = "zstd"
"""Content-Encoding (RFC 8878) that a centre takes when its last answer on PATH_RECORDS named it in `Accept-Encoding`
(RFC 7694); a box begins with gzip, and goes back to it on 415."""
PREFER_SHORT = "return=minimal"
"""`Prefer` header (RFC 7240) of a box that understands a short answer to a batch, see `short_answer`."""
RECORD_BYTES_MAX = 64 * 1024
"""The canonical JSON of one record's body: a CDR has about 1 KiB, statistics of a day below 32 KiB."""
JSON_BYTES_MAX = 256 * 1024
"""Any other JSON request body (heartbeat, enrolment, configuration status)."""
DOCUMENT_BYTES_MAX = 32 * 1024 * 1024
"""A site document: 20,000 extensions of 500 bytes are 10 MB; the same limit as `appliance.site` has."""
LONG_POLL_MAX_S = 50
"""The longest that the centre holds a configuration poll:
below the 60 s after which proxies and NATs cut in.
"""
TOKEN_LIFE_S = 3600
"""An access token lives an hour; revocation does not wait for its end, it is looked up with each request."""
NONCE_LIFE_S = 60
"""A challenge must be answered within this time: one slow round trip with retransmissions."""
HEARTBEAT_INTERVAL_S = 10
"""How often a box that is well reports.

Two missed ones and a late one make it silent, see `SILENT_AFTER_S`.
"""
SILENT_AFTER_S = 35
"""A box is shown as silent when nothing came for three and a half intervals."""
UPLOAD_PIECE_BYTES = 1024 * 1024
"""What a box sends in one PATCH by choice: lost work at a broken link stays below a second at 20 Mbit/s."""
UPLOAD_PIECE_BYTES_MAX = 16 * 1024 * 1024
"""What the centre takes in one PATCH."""
PIECE_BYTES = 256 * 1024
"""What a box sends in one PUT by choice. A piece counts wholly or not at all: eight of these on their way at once are
there within the minute at 300 kbit/s, and at 20 Mbit/s they leave no gaps between them (measured)."""
PROMPT_PIECE_BYTES = 256 * 1024
"""Of a prompt in one answer: half a minute on a line of 64 kbit/s; what came is kept when the line breaks."""
PROMPT_BYTES_MAX = 20 * 1024 * 1024
"""Ten minutes at 16 kHz and 16 bits, and a header."""
PIECE_BYTES_MAX = 4 * 1024 * 1024
"""What the centre takes in one PUT: it is held in memory until its hash is checked."""
PIECE_BYTES_MIN = 4 * 1024
"""Every piece but the last one of a recording has at least so many: a piece is a file at the centre."""
PIECE_DIGEST_HEADER = "Content-Digest"
"""RFC 9530, `sha-256=:<base64>:`: a piece that arrived damaged is refused before it counts."""
RECORDING_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""One recording: 24 hours of stereo G.711 are 1.4 GB before compression."""
ENROLMENT_CODE_CHARACTERS = 16
"""Characters of the secret part of a code, 5 bits each: 80 bits cannot be guessed within its life of days."""
CA_FINGERPRINT_CHARACTERS = 32
"""Hex digits of the CA's SHA-256 within the enrolment text:
128 bits, so nobody can make a second CA that fits.
"""
PROBLEMS_MAX = 200
"""Problems of a configuration that a box reports at most."""

GENESIS_HASH = "0" * 64
"""`prev_hash` of a site's first record (seq 1)."""

# ----------------------------------------------------------------------------------------------- words


class ItemStatus(StrEnum):
    """The centre's word on one record.

    STORED and DUPLICATE both allow the box to delete it; REFUSED parks it.
    """

    STORED = "stored"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why a record was refused (`reason`)."""

    CONFLICT = "conflict"
    """The id is there with another hash."""
    SEQ_CONFLICT = "seq_conflict"
    """The sequence number is there under another id: two boxes with one identity, or a restored old disk."""
    BAD_HASH = "bad_hash"
    """The hash does not fit the record."""
    BROKEN_CHAIN = "broken_chain"
    """`prev_hash` differs from the hash of the neighbour that the centre holds."""
    MALFORMED = "malformed"
    """A field is missing or of the wrong kind."""
    TOO_LARGE = "too_large"
    """The body is above RECORD_BYTES_MAX."""


VOICEMAIL_EVENT = "voicemail"
"""Event of a message that was left in a voicemail box: box, caller, caller_name, recording, left_utc, duration_s."""


class RecordKind(StrEnum):
    """The three sorts of record; one mechanism carries all."""

    CDR = "cdr"
    EVENT = "event"
    STAT = "stat"


class Priority:
    """Order of sending: lower goes first."""

    EMERGENCY = 0
    CDR = 1
    REST = 2


class ConfigState(StrEnum):
    """What became of a configuration version on the box."""

    APPLIED = "applied"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"


class RecordingState(StrEnum):
    """RECEIVING:
    pieces are missing. STORED: verified and on disk at the centre; only now may the box delete.
    """

    RECEIVING = "receiving"
    STORED = "stored"


class ErrorKey(StrEnum):
    """Stable keys of the centre's error answers that a box acts on; any other key is for people."""

    TOKEN_INVALID = "token.invalid"  # noqa: S105 - an error key
    """401: unknown or expired access token. Get a new one and repeat."""
    TOKEN_REFUSED = "token.refused"  # noqa: S105 - an error key
    """401: the challenge was not answered rightly, or the box is not known here."""
    BOX_REVOKED = "box.revoked"
    """403: stop talking to the centre until somebody enrols the box again. Calls go on."""
    OTHER_SITE = "site.other"
    """403: the credential belongs to another site or box."""
    CODE_UNKNOWN = "enrol.code_unknown"
    CODE_USED = "enrol.code_used"
    CODE_EXPIRED = "enrol.code_expired"
    TOO_MANY_ATTEMPTS = "enrol.too_many_attempts"
    """429, with Retry-After."""
    OFFSET_WRONG = "recording.offset_wrong"
    """409: go on from the Upload-Offset header of this answer."""
    RECORDING_CONFLICT = "recording.conflict"
    """409: this id is stored with other audio."""
    RECORDING_CORRUPT = "recording.corrupt"
    """422: all bytes came and their hash is wrong; the offset is 0 again."""
    RECORDING_UNKNOWN = "recording.unknown"
    PIECE_DAMAGED = "recording.piece_damaged"
    """409: the piece does not have the hash that its header says. Send it again."""
    OTHER_UPLOAD = "recording.other_upload"
    """412: the recording was offered anew with another encryption meanwhile. Offer it again."""
    RECORDING_BUSY = "recording.busy"
    """423: another connection is writing to this upload."""
    TOO_LARGE = "body.too_large"
    TOO_SLOW = "body.too_slow"
    MALFORMED = "body.malformed"
    UNAVAILABLE = "centre.unavailable"
    """503 or 507, with Retry-After: the store is locked, full or broken. Nothing was taken."""


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


# ------------------------------------------------------------------------------ canonical JSON, base64


def canonical_json(value: Json) -> str:
    """One text for one value:
    sorted keys, no blanks, UTF-8 kept, no NaN (as RFC 8785, numbers as Python writes them).
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


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


# ---------------------------------------------------------------------------------------- signed bytes


def token_signing_bytes(box_id: str, nonce: str) -> bytes:
    """What the box signs with its Ed25519 key to get an access token."""
    return b"kyusai-token-v1\0" + box_id.encode() + b"\0" + nonce.encode()


def box_key_signing_bytes(box_id: str, public_key: str) -> bytes:
    """What a box's next key signs to show that the box holds it."""
    return b"kyusai-boxkey-v1\0" + box_id.encode() + b"\0" + public_key.encode()


def envelope_signing_bytes(document: str) -> bytes:
    """What the centre signs of a site document; `document` is the exact text that travels."""
    return b"kyusai-site-v1\0" + document.encode()


def receipt_signing_bytes(receipt: Mapping[str, Json]) -> bytes:
    """What the centre signs of a receipt: all of it but the signature itself."""
    return (
        b"kyusai-receipt-v1\0"
        + canonical_json({k: v for k, v in receipt.items() if k != "signature"}).encode()
    )


def ledger_signing_bytes(receipt: Mapping[str, Json]) -> bytes:
    """What the centre signs of a ledger receipt: all of it but the signature itself."""
    said = {name: value for name, value in receipt.items() if name != "signature"}
    if not said.get("given_up"):  # as in receipts from before boxes gave anything up
        said.pop("given_up", None)
    return b"kyusai-ledger-v1\0" + canonical_json(said).encode()


def key_link_signing_bytes(signed_by: str, public_key: str) -> bytes:
    """What a signing key signs of the key that follows it. signed_by: its own id; public_key: the new one, base64."""
    return b"kyusai-key-v1\0" + signed_by.encode() + b"\0" + public_key.encode()


def key_id(public_key: bytes) -> str:
    """The name of a signing key: the first 16 hex digits of the SHA-256 of its 32 raw bytes."""
    return hashlib.sha256(public_key).hexdigest()[:16]


# --------------------------------------------------------------------------------------------- records


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


def _quoted(text: str) -> str:
    return f'"{text}"' if _PLAIN_TEXT.fullmatch(text) else canonical_json(text)


def hash_of_text(
    prev_hash: str,
    *,
    seq: int,
    record_id: str,
    kind: str,
    priority: int,
    created_utc: str,
    boot_id: str,
    text: str,
) -> str:
    """SHA-256 in hex over the previous record's hash and everything that this record says. text: the canonical body."""
    said = (
        f"kyusai-record-v1\0{prev_hash}\0[{seq},{_quoted(record_id)},{_quoted(kind)},{priority},"
        f"{_quoted(created_utc)},{_quoted(boot_id)},{text}]"
    )
    return hashlib.sha256(said.encode()).hexdigest()


def record_hash(
    prev_hash: str,
    *,
    seq: int,
    record_id: str,
    kind: str,
    priority: int,
    created_utc: str,
    boot_id: str,
    body: Mapping[str, Json],
) -> str:
    """`hash_of_text` of a body that is not text yet."""
    return hash_of_text(
        prev_hash,
        seq=seq,
        record_id=record_id,
        kind=kind,
        priority=priority,
        created_utc=created_utc,
        boot_id=boot_id,
        text=canonical_json(body),
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
    digest = hash_of_text(
        prev_hash,
        seq=seq,
        record_id=record_id,
        kind=kind,
        priority=priority,
        created_utc=created_utc,
        boot_id=boot_id,
        text=text,
    )
    return RecordText(seq, record_id, kind, priority, created_utc, boot_id, text, prev_hash, digest)


def text_fits(record: RecordText) -> bool:
    """`hash_fits` for a record whose body is text."""
    expected = hash_of_text(
        record.prev_hash,
        seq=record.seq,
        record_id=record.id,
        kind=record.kind,
        priority=record.priority,
        created_utc=record.created_utc,
        boot_id=record.boot_id,
        text=record.text,
    )
    return expected == record.hash


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
    digest = record_hash(
        prev_hash,
        seq=seq,
        record_id=record_id,
        kind=kind,
        priority=priority,
        created_utc=created_utc,
        boot_id=boot_id,
        body=body,
    )
    return Record(seq, record_id, kind, priority, created_utc, boot_id, body, prev_hash, digest)


def hash_fits(record: Record) -> bool:
    """Whether the record's own hash is right; says nothing of its neighbours."""
    expected = record_hash(
        record.prev_hash,
        seq=record.seq,
        record_id=record.id,
        kind=record.kind,
        priority=record.priority,
        created_utc=record.created_utc,
        boot_id=record.boot_id,
        body=record.body,
    )
    return expected == record.hash


EVENT_GIVEN_UP = "records_given_up"
"""`event` of the record by which a box tells which records it gave up before the centre had them."""
GIVEN_UP_MAX = 400
"""Records that one such event names: 400 that stand alone take 57 KB of its body."""


class GivenUpRun(NamedTuple):
    """Neighbouring records that a box gave up: the first one's number, the hash before it, and each one's hash.

    What they said is gone; that they were, and where in the chain, is what the hashes keep."""

    first_seq: int
    prev_hash: str
    hashes: tuple[str, ...]

    def links(self) -> list[tuple[int, str, str]]:
        """(number, hash before, hash) of each."""
        before = (self.prev_hash, *self.hashes)
        return [(self.first_seq + n, before[n], digest) for n, digest in enumerate(self.hashes)]


def given_up_json(links: Iterable[tuple[int, str, str]]) -> list[list[Json]]:
    """`runs` of an event EVENT_GIVEN_UP: (number, hash before, hash) of each record, by number, as
    `[[first number, hash before it, hash, hash, ...], ...]`."""
    runs: list[list[Json]] = []
    next_seq = 0
    for seq, prev_hash, digest in links:
        if seq == next_seq and runs[-1][-1] == prev_hash:
            runs[-1].append(digest)
        else:
            runs.append([seq, prev_hash, digest])
        next_seq = seq + 1
    return runs


def given_up_runs(body: Mapping[str, Json]) -> list[GivenUpRun]:
    """Inverse of `given_up_json`, of the event's body; raises WireError `malformed`."""
    runs = body.get("runs")
    if not isinstance(runs, list) or not all(_is_run(run) for run in runs):
        raise WireError(Refusal.MALFORMED, "'runs' are lists of a number and two or more hashes")
    if sum(len(run) - 2 for run in runs) > GIVEN_UP_MAX:
        raise WireError(Refusal.MALFORMED, f"more than {GIVEN_UP_MAX} records are given up at once")
    return [GivenUpRun(run[0], run[1], tuple(run[2:])) for run in runs]


def _is_run(run: Json) -> bool:
    return (
        isinstance(run, list)
        and len(run) > 2
        and type(run[0]) is int
        and 1 <= run[0] < 2**62
        and all(isinstance(digest, str) and re.fullmatch(SHA256_PATTERN, digest) for digest in run[1:])
    )


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


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The centre's word on one record; results come in the order of the batch, one for each record."""

    id: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What travels in POST /v1/records.

    `records` are raw JSON: each is judged by itself, see `record_from`.
    """

    site_id: str
    box_id: str
    records: list[Json]


def batch_json(site_id: str, box_id: str, records: Iterable[Record | RecordText]) -> bytes:
    """A batch as canonical JSON, before its coding. The same input gives the same bytes."""
    items = ",".join([_record_json(record) for record in records])
    return f'{{"box_id":{_quoted(box_id)},"records":[{items}],"site_id":{_quoted(site_id)}}}'.encode()


def _record_json(record: Record | RecordText) -> str:
    text = record.text if isinstance(record, RecordText) else canonical_json(record.body)
    return (
        f'{{"body":{text},"boot_id":{_quoted(record.boot_id)},"created_utc":{_quoted(record.created_utc)},'
        f'"hash":{_quoted(record.hash)},"id":{_quoted(record.id)},"kind":{_quoted(record.kind)},'
        f'"prev_hash":{_quoted(record.prev_hash)},"priority":{record.priority},"seq":{record.seq}}}'
    )


def gzip_batch(plain: bytes) -> bytes:
    """The batch as every centre takes it (Content-Encoding gzip). The same input gives the same bytes."""
    return gzip.compress(plain, compresslevel=6, mtime=0)


def encode_batch(site_id: str, box_id: str, records: Sequence[Record | RecordText]) -> bytes:
    """A batch as gzip JSON (Content-Type application/json, Content-Encoding gzip).

    The same input gives the same bytes.
    """
    return gzip_batch(batch_json(site_id, box_id, records))


def gunzip(data: bytes, limit_bytes: int) -> bytes:
    """Inflate one gzip member to at most `limit_bytes`; raises WireError `bad_gzip` or `too_large`."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise WireError("bad_gzip", f"the body is not gzip: {error}") from error
    if len(plain) > limit_bytes:
        raise WireError(
            "too_large", f"the body inflates to more than {limit_bytes} bytes", "Send smaller batches."
        )
    if not inflater.eof:
        raise WireError("bad_gzip", "the gzip body ends early", "Send the batch again.")
    return plain


def decode_batch(data: bytes, *, gzipped: bool = True) -> Batch:
    """A batch from the request body; raises WireError when it is no batch.

    Its records are not judged here.
    """
    plain = gunzip(data, BATCH_BYTES_MAX) if gzipped else data
    if len(plain) > BATCH_BYTES_MAX:
        raise WireError("too_large", f"a batch of {len(plain)} bytes is above {BATCH_BYTES_MAX}")
    value = parse_json(plain)
    if not isinstance(value, dict) or not isinstance(value.get("records"), list):
        raise WireError("malformed", "a batch must be an object with the list 'records'")
    if not isinstance(value.get("site_id"), str) or not isinstance(value.get("box_id"), str):
        raise WireError("malformed", "a batch must name 'site_id' and 'box_id'")
    if len(value["records"]) > BATCH_RECORDS_MAX:
        raise WireError(
            "too_many_records",
            f"a batch of {len(value['records'])} records is above {BATCH_RECORDS_MAX}",
            "Send smaller batches.",
        )
    return Batch(value["site_id"], value["box_id"], value["records"])


def parse_json(data: bytes) -> Json:
    """Strict JSON in UTF-8 (no NaN); raises WireError `malformed`."""

    def refuse_constant(name: str) -> Json:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError("malformed", f"the body is not JSON: {error}") from error


def ids_sha256(ids: Iterable[str]) -> str:
    """What a short answer names a batch by: SHA-256 in hex over its ids, a line each."""
    return hashlib.sha256("\n".join(ids).encode("utf-8", "surrogatepass")).hexdigest()


def short_answer(results: Sequence[RecordResult]) -> dict[str, Json] | None:
    """The answer to a batch of which every record got the same word, STORED or DUPLICATE; None when that is not so.

    It takes a hundred bytes instead of eighty for each record, and says of which records it speaks.
    """
    words = {(result.status, result.reason) for result in results}
    if len(words) != 1 or results[0].status == ItemStatus.REFUSED:
        return None
    return one_word(results[0].status, [result.id for result in results])


def one_word(status: str, ids: Sequence[str]) -> dict[str, Json]:
    """The short answer: this word on each of these records."""
    return {"status": str(status), "count": len(ids), "ids_sha256": ids_sha256(ids)}


def decode_results(data: bytes, expected: Sequence[str]) -> list[RecordResult]:
    """The centre's answer to a batch whose record ids were `expected`, in full or short.

    Raises WireError unless it holds exactly one known word for each record in the same order, or one word for
    just these records: an answer that is not certain (a proxy's page, a truncated body, the answer to another
    batch) must never count as an acknowledgement.
    """
    value = parse_json(data)
    if isinstance(value, dict) and "results" not in value and "ids_sha256" in value:
        return _short_results(value, expected)
    items = value.get("results") if isinstance(value, dict) else None
    if not isinstance(items, list) or len(items) != len(expected):
        raise WireError("malformed", f"expected {len(expected)} results")
    results = []
    for item, id_ in zip(items, expected, strict=True):
        if not isinstance(item, dict) or item.get("id") != id_ or item.get("status") not in tuple(ItemStatus):
            raise WireError("malformed", f"no usable result for record {id_!r}")
        results.append(RecordResult(id_, item["status"], str(item.get("reason") or "")))
    return results


def _short_results(value: dict[str, Json], expected: Sequence[str]) -> list[RecordResult]:
    """One word for all records of the batch."""
    fits = value.get("count") == len(expected) and value["ids_sha256"] == ids_sha256(expected)
    if not fits or value.get("status") not in (ItemStatus.STORED, ItemStatus.DUPLICATE):
        raise WireError("malformed", f"no usable word on these {len(expected)} records")
    return [RecordResult(id_, value["status"]) for id_ in expected]


# -------------------------------------------------------------------------------- enrolment and access


_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O, U, so that a code survives being read out over the telephone."""
_CODE_LOOKALIKES = str.maketrans("ILO", "110")


@dataclass(frozen=True, slots=True)
class EnrolmentText:
    """What an administrator hands over:
    the one-time code, and the start of the CA's SHA-256 fingerprint (lower hex).
    """

    code: str
    ca_fingerprint: str


def code_from_bytes(random: bytes) -> str:
    """A code of ENROLMENT_CODE_CHARACTERS from at least as many random bytes (5 bits of each are used)."""
    return "".join(_CODE_ALPHABET[byte & 31] for byte in random[:ENROLMENT_CODE_CHARACTERS])


def format_enrolment(code: str, ca_sha256: str) -> str:
    """`KYU-<code>-<fingerprint>`, the text that `kyusai enrol` takes.

    `ca_sha256`: hex SHA-256 of the CA's DER.
    """
    return f"KYU-{code}-{ca_sha256[:CA_FINGERPRINT_CHARACTERS].lower()}"


def parse_enrolment(text: str) -> EnrolmentText:
    """Inverse of `format_enrolment`, forgiving about case and blanks; raises WireError
    `bad_enrolment_text`.
    """
    parts = "".join(text.split()).upper().split("-")
    if len(parts) == 3 and parts[0] == "KYU":
        code = parts[1].translate(_CODE_LOOKALIKES)
        if (
            len(code) == ENROLMENT_CODE_CHARACTERS
            and all(c in _CODE_ALPHABET for c in code)
            and re.fullmatch(rf"[0-9A-F]{{{CA_FINGERPRINT_CHARACTERS}}}", parts[2])
        ):
            return EnrolmentText(code, parts[2].lower())
    raise WireError(
        "bad_enrolment_text",
        f"an enrolment text reads KYU-<{ENROLMENT_CODE_CHARACTERS} characters>"
        f"-<{CA_FINGERPRINT_CHARACTERS} hex digits>",
        "Copy the whole line that `kyusai centre site code SITE` printed.",
    )


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """A public key that may sign site documents and receipts (raw 32 bytes in base64)."""

    key_id: str
    public_key: str


@dataclass(frozen=True, slots=True)
class KeyLink:
    """One signing key's word for the next: who believes the key `signed_by` may believe `key_id`.

    `signature` is by `signed_by`, over `key_link_signing_bytes`.
    """

    key_id: str
    public_key: str
    signed_by: str
    signature: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The answer to POST /v1/enrol, and of GET /v1/enrolment at any later time (keys and recipients rotate).

    A code works once. A box whose answer got lost is enrolled all the same: its key already opens
    POST /v1/token, and GET /v1/enrolment then gives this again. `next_seq` and `last_hash` are where the site's
    records go on when the box is a new one in an old one's place. `config_keys` and `key_links`: oldest first.
    """

    site_id: str
    box_id: str
    config_keys: tuple[ConfigKey, ...]
    recording_recipients: tuple[str, ...]
    server_time_utc: str
    next_seq: int = 1
    last_hash: str = GENESIS_HASH
    key_links: tuple[KeyLink, ...] = ()


def enrolment_from(value: Json) -> Enrolment:
    """An `Enrolment` from its JSON; raises WireError `malformed`."""
    try:
        return Enrolment(
            site_id=str(value["site_id"]),
            box_id=str(value["box_id"]),
            config_keys=tuple(
                ConfigKey(str(k["key_id"]), str(k["public_key"])) for k in value["config_keys"]
            ),
            recording_recipients=tuple(str(r) for r in value["recording_recipients"]),
            server_time_utc=str(value["server_time_utc"]),
            next_seq=int(value.get("next_seq", 1)),
            last_hash=str(value.get("last_hash", GENESIS_HASH)),
            key_links=tuple(
                KeyLink(str(k["key_id"]), str(k["public_key"]), str(k["signed_by"]), str(k["signature"]))
                for k in value.get("key_links", ())
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WireError("malformed", f"the enrolment answer lacks or spoils {error}") from error


# ------------------------------------------------------------------------ configuration and recordings


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed site document.

    `document` is the exact JSON text; `signature` is Ed25519 over `envelope_signing_bytes`.
    """

    document: str
    version: int
    key_id: str
    signature: str


def envelope_from(value: Json) -> Envelope:
    """An `Envelope` from its JSON; raises WireError `malformed`. The signature is not checked here."""
    if (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in ("document", "key_id", "signature"))
        and isinstance(value.get("version"), int)
        and not isinstance(value["version"], bool)
    ):
        return Envelope(value["document"], value["version"], value["key_id"], value["signature"])
    raise WireError("malformed", "a configuration envelope has document, version, key_id and signature")


@dataclass(frozen=True, slots=True)
class RecordingOffer:
    """What the box says before it uploads.

    `sha256` is of the plain audio, `cipher_sha256` and `bytes` of what travels.
    """

    id: str
    call: str
    sha256: str
    cipher_sha256: str
    bytes: int
    started_utc: str
    duration_s: float
    format: str


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


@dataclass(frozen=True, slots=True)
class LedgerReceipt:
    """The centre's signed word on a site's sequence: of the records 1..`seq` it holds `count`, on disk; of `given_up` more the
    box has said that it gave them up, and with which hashes.

    `hash` is that of record `seq` (GENESIS_HASH when there is none) and so, by the chain, speaks for every record before
    it: nobody can later hold other records under the same receipt. `utc` is the centre's clock.
    """

    site_id: str
    seq: int
    count: int
    hash: str
    utc: str
    key_id: str
    signature: str = ""
    given_up: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.count + self.given_up == self.seq


def ledger_receipt_from(value: Json) -> LedgerReceipt:
    """A `LedgerReceipt` from its JSON; raises WireError `malformed`. The signature is not checked here."""
    texts, numbers = ("site_id", "hash", "utc", "key_id", "signature"), ("seq", "count", "given_up")
    if isinstance(value, dict):
        value = {"given_up": 0, **value}
    if (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in texts)
        and all(type(value.get(name)) is int and value[name] >= 0 for name in numbers)
        and value["count"] + value["given_up"] <= value["seq"]
    ):
        return LedgerReceipt(**{name: value[name] for name in (*texts, *numbers)})
    raise WireError("malformed", f"a ledger receipt has {', '.join((*texts, *numbers))}, count at most seq")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What every 4xx and 5xx answer of the centre holds."""

    key: str
    message: str
    hint: str = ""
    problems: list[Json] = field(default_factory=list)


def as_json(value: Json) -> dict[str, Json]:
    """A dataclass of this module as the JSON object that travels."""
    return asdict(value)
