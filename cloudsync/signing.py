"""ADAPTER for Ed25519 (cryptography): the centre's signing keys, and the check of a box's signature.

Keys lie in one folder as PEM, 0600, named by number and key id. The one with the highest number signs, all are
handed to boxes, so a new key can be made known before it is used for the first time.
"""

from dataclasses import replace
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.errors import KyusaiError
from cloudsync import durable
from cloudsync.wire import (
    ConfigKey,
    Envelope,
    LedgerReceipt,
    Receipt,
    WireError,
    as_json,
    envelope_signing_bytes,
    from_base64,
    key_id,
    ledger_signing_bytes,
    receipt_signing_bytes,
    to_base64,
)

PUBLIC_KEY_BYTES = 32
"""RFC 8032, section 5.1.5."""


class SigningKeys:
    """The centre's keys for site documents and receipts."""

    def __init__(self, keys: tuple[Ed25519PrivateKey, ...]) -> None:
        self._keys = keys

    @classmethod
    def load_or_create(cls, folder: Path) -> Self:
        """The keys of `folder`; makes the first one. Blocks on the disk. Raises KyusaiError `keys.unusable`."""
        if not any(folder.glob("*.pem")):
            new = Ed25519PrivateKey.generate()
            pem = new.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            durable.write_new_file(folder / "0001.pem", pem)
        return cls(tuple(_load(path) for path in sorted(folder.glob("*.pem"))))

    def public(self) -> tuple[ConfigKey, ...]:
        """What boxes need to check signatures."""
        return tuple(ConfigKey(key_id(raw), to_base64(raw)) for raw in map(_public_bytes, self._keys))

    def sign_document(self, document: str, version: int) -> Envelope:
        """The signed envelope around the exact text `document`."""
        signature = self._keys[-1].sign(envelope_signing_bytes(document))
        return Envelope(document, version, self._key_id(), to_base64(signature))

    def sign_receipt(self, receipt: Receipt) -> Receipt:
        """The receipt with key id and signature filled in."""
        unsigned = replace(receipt, key_id=self._key_id(), signature="")
        signature = self._keys[-1].sign(receipt_signing_bytes(as_json(unsigned)))
        return replace(unsigned, signature=to_base64(signature))

    def sign_ledger(self, receipt: LedgerReceipt) -> LedgerReceipt:
        """The ledger receipt with key id and signature filled in."""
        unsigned = replace(receipt, key_id=self._key_id(), signature="")
        signature = self._keys[-1].sign(ledger_signing_bytes(as_json(unsigned)))
        return replace(unsigned, signature=to_base64(signature))

    def _key_id(self) -> str:
        return key_id(_public_bytes(self._keys[-1]))


def is_public_key(text: str) -> bool:
    """Whether `text` is an Ed25519 public key in base64."""
    try:
        Ed25519PublicKey.from_public_bytes(from_base64(text))
    except (WireError, ValueError):
        return False
    return True


def signature_fits(public_key: str, signature: str, data: bytes) -> bool:
    """Whether `signature` (base64) over `data` was made with the private half of `public_key` (base64)."""
    try:
        Ed25519PublicKey.from_public_bytes(from_base64(public_key)).verify(from_base64(signature), data)
    except (InvalidSignature, WireError, ValueError):
        return False
    return True


def _public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KyusaiError(
            "keys.unusable",
            f"{path}: no usable private key: {error}",
            "Restore it from the backup.",
            path=path,
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KyusaiError(
            "keys.unusable", f"{path}: not an Ed25519 key", "Restore it from the backup.", path=path
        )
    return key
