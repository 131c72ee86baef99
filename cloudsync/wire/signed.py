"""The bytes that get signed, each with a purpose of its own in front, and the name of a signing key."""

import hashlib
from collections.abc import Mapping

from cloudsync.wire.values import Json, canonical_json


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
