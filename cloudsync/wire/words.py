"""Words that travel: what the centre says to a record, kinds of records, states, and keys of errors that a box acts on."""

from enum import StrEnum


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


class AtRest(StrEnum):
    """What protects a box's files from whoever takes its disk. NONE: nothing. UNKNOWN: the box cannot tell. FSCRYPT: the folder
    is encrypted. DM_CRYPT: the disk is, by LUKS or its like. MEMORY: they are on no disk."""

    NONE = "none"
    UNKNOWN = "unknown"
    FSCRYPT = "fscrypt"
    DM_CRYPT = "dm_crypt"
    MEMORY = "memory"


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
