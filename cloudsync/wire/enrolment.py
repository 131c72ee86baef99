"""The text that an administrator hands over, and what enrolment brings."""

import re
from dataclasses import dataclass

from cloudsync.wire.limits import CA_FINGERPRINT_CHARACTERS, ENROLMENT_CODE_CHARACTERS, GENESIS_HASH
from cloudsync.wire.values import Json, WireError

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
