"""The JSON bodies of the API as pydantic models: they validate requests and make the OpenAPI description.

The words and limits are those of `cloudsync.wire`; unknown fields are ignored, so newer boxes can talk to this.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cloudsync import wire

Id = Annotated[str, StringConstraints(pattern=f"^{wire.ID_PATTERN}$")]
Sha256 = Annotated[str, StringConstraints(pattern=f"^{wire.SHA256_PATTERN}$")]
Utc = Annotated[str, StringConstraints(pattern=f"^{wire.UTC_PATTERN}$")]
Short = Annotated[str, StringConstraints(max_length=256)]


class _Answer(BaseModel):
    """An answer: what the rules give, tuples included."""


class _Body(BaseModel):
    """A request: a number in quotes is no number."""

    model_config = ConfigDict(strict=True, extra="ignore")


class EnrolBody(_Body):
    """POST /v1/enrol."""

    code: Short
    box_id: Short
    public_key: Annotated[Short, Field(description="Ed25519, raw 32 bytes in base64")]
    versions: dict[str, Any] = Field(default_factory=dict)


class ConfigKeyModel(_Answer):
    """A public key that signs site documents and receipts."""

    key_id: str
    public_key: str


class KeyLinkModel(_Answer):
    """The word of the key `signed_by` for the key that followed it."""

    key_id: str
    public_key: str
    signed_by: str
    signature: str


class EnrolAnswer(_Answer):
    """What an enrolled box has to know."""

    site_id: str
    box_id: str
    config_keys: list[ConfigKeyModel]
    recording_recipients: list[str]
    server_time_utc: str
    next_seq: int
    last_hash: str
    key_links: list[KeyLinkModel] = Field(default_factory=list)


class ChallengeBody(_Body):
    """POST /v1/token/challenge."""

    box_id: Short


class ChallengeAnswer(_Answer):
    """A nonce to sign within 60 seconds."""

    nonce: str


class TokenBody(_Body):
    """POST /v1/token; the signature is over `kyusai-token-v1`, NUL, box id, NUL, nonce."""

    box_id: Short
    nonce: Short
    signature: Short


class TokenAnswer(_Answer):
    """A bearer token."""

    token: str
    expires_in_s: int


class KeyBody(_Body):
    """POST /v1/key; the signature is by the new key, over `kyusai-boxkey-v1`, NUL, box id, NUL, public_key."""

    public_key: Short
    signature: Short


class EnvelopeModel(_Answer):
    """A signed site document; `document` is the exact text."""

    document: str
    version: int
    key_id: str
    signature: str


class ConfigStatusBody(_Body):
    """POST /v1/config/status."""

    version: Annotated[int, Field(ge=0, lt=2**31)]
    state: Annotated[str, StringConstraints(pattern="^(applied|refused|rolled_back)$")]
    problems: Annotated[list[Any], Field(max_length=wire.PROBLEMS_MAX)] = Field(default_factory=list)
    details: Annotated[
        list[Any],
        Field(max_length=wire.PROBLEMS_MAX, description="of each problem {key, values, path}, or {}"),
    ] = Field(default_factory=list)


class RecordModel(_Body):
    """One record of the site's sequence."""

    seq: int
    id: str
    kind: str
    priority: int
    created_utc: str
    boot_id: str
    body: dict[str, Any]
    prev_hash: str
    hash: str


class BatchBody(_Body):
    """POST /v1/records, commonly with Content-Encoding gzip."""

    site_id: str
    box_id: str
    records: Annotated[list[RecordModel], Field(max_length=wire.BATCH_RECORDS_MAX)]


class RecordResultModel(_Answer):
    """stored and duplicate both acknowledge; refused has a reason."""

    id: str
    status: str
    reason: str


class BatchAnswer(_Answer):
    """One result per record, in the order of the batch; committed."""

    results: list[RecordResultModel]


class RecordingBody(_Body):
    """POST /v1/recordings."""

    id: Annotated[str, StringConstraints(pattern=f"^{wire.RECORDING_ID_PATTERN}$")]
    call: Short
    sha256: Sha256
    cipher_sha256: Sha256
    bytes: Annotated[int, Field(ge=1, le=wire.RECORDING_BYTES_MAX)]
    started_utc: Utc
    duration_s: Annotated[float, Field(ge=0, le=30 * 86400, strict=False)]
    format: Annotated[str, StringConstraints(max_length=64)]
    retention: Annotated[str, StringConstraints(max_length=32)] = ""


class OffsetAnswer(_Answer):
    """Where the upload stands: what PATCH appended, and the spans [begin, end) that PUT brought."""

    offset: int
    pieces: list[tuple[int, int]]


class ReceiptModel(_Answer):
    """The centre's signed word that it holds the recording."""

    site_id: str
    id: str
    sha256: str
    cipher_sha256: str
    bytes: int
    stored_utc: str
    key_id: str
    signature: str


class LedgerReceiptModel(_Answer):
    """The centre's signed word on a site's sequence: of 1..`seq` it holds `count`, and knows of `given_up` that its box gave them
    up; `hash` is that of record `seq`."""

    site_id: str
    seq: int
    count: int
    hash: str
    utc: str
    key_id: str
    signature: str
    given_up: int = 0


class MissingModel(_Answer):
    """Runs (first, last) of numbers that have not come, in order, the lowest; `seq` is the last number that the centre knows."""

    seq: int
    runs: list[tuple[int, int]]


class RecordingAnswer(_Answer):
    """GET /v1/recordings/{id}; `receipt` is there once the state is stored."""

    id: str
    state: str
    offset: int
    receipt: ReceiptModel | None


class HeartbeatAnswer(_Answer):
    """POST /v1/heartbeat. A revoked box gets 403 `box.revoked` instead."""

    server_time_utc: str
    revoked: bool
    config_version: int
    key_id: str
    lease: str | None
    cloned: bool
    rotate_key: bool


class ErrorAnswer(_Answer):
    """Every answer of 400 and above."""

    key: str
    message: str
    hint: str
    problems: list[Any] = Field(default_factory=list)
