"""A signed site document."""

from dataclasses import dataclass

from cloudsync.wire.values import Json, WireError


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
