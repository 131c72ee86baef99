"""ADAPTER for Ed25519 (cryptography): the centre's signing keys, and the check of a box's signature.

Keys lie in one folder as PEM, 0600, named by number. The one with the highest number signs. Beside each but the first
lies a link (`0002.KEY_ID.link`): the word of the key before it, by which a box that knows that one believes this one.
A key that another process adds is used from the next signature on.
"""

import json
from dataclasses import asdict, replace
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
    KeyLink,
    LedgerReceipt,
    Receipt,
    WireError,
    as_json,
    envelope_signing_bytes,
    from_base64,
    key_id,
    key_link_signing_bytes,
    ledger_signing_bytes,
    receipt_signing_bytes,
    to_base64,
)

PUBLIC_KEY_BYTES = 32
"""RFC 8032, section 5.1.5."""


class SigningKeys:
    """The centre's keys for site documents and receipts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: tuple[str, ...] = ()
        self._loaded: tuple[Ed25519PrivateKey, ...] = ()

    @classmethod
    def load_or_create(cls, folder: Path) -> Self:
        """The keys of `folder`; makes the first one. Blocks on the disk. Raises KyusaiError `keys.unusable`."""
        if not any(folder.glob("*.pem")):
            durable.write_new_file(folder / f"{1:04d}.pem", _pem(Ed25519PrivateKey.generate()))
        keys = cls(folder)
        keys.public()
        return keys

    @property
    def _keys(self) -> tuple[Ed25519PrivateKey, ...]:
        """All keys, oldest first; read anew when the folder holds others than before."""
        names = tuple(sorted(path.name for path in self._folder.glob("*.pem")))
        if names != self._names:
            self._loaded = tuple(_load(self._folder / name) for name in names)
            self._names = names
        return self._loaded

    @property
    def newest_id(self) -> str:
        """The id of the key that signs."""
        return _id(self._keys[-1])

    def rotate(self) -> KeyLink:
        """Make a new key, signed by the one before it; from now on it signs. Blocks on the disk.

        Raises KyusaiError `keys.rotating` when another process rotates at the same moment.
        """
        before, new = self._keys[-1], Ed25519PrivateKey.generate()
        raw = _public_bytes(new)
        signed_by, public_key = _id(before), to_base64(raw)
        signature = _signature(before, key_link_signing_bytes(signed_by, public_key))
        link = KeyLink(key_id(raw), public_key, signed_by, signature)
        path = self._folder / f"{len(self._keys) + 1:04d}.pem"
        durable.write_file(
            path.with_name(f"{path.stem}.{link.key_id}.link"), json.dumps(asdict(link)).encode()
        )
        if not durable.write_new_file(path, _pem(new)):
            raise KyusaiError(
                "keys.rotating",
                f"{path} is there already: another rotation was quicker",
                "Nothing was changed by this one; look with: kyusai centre keys",
                path=path,
            )
        return link

    def links(self) -> tuple[KeyLink, ...]:
        """The links between the keys that are there, oldest first. Blocks on the disk."""
        found = {}
        for path in self._folder.glob("*.link"):
            said = json.loads(path.read_text("utf-8"))
            found[str(said["key_id"])] = KeyLink(**said)
        return tuple(found[key.key_id] for key in self.public() if key.key_id in found)

    def public(self) -> tuple[ConfigKey, ...]:
        """What boxes need to check signatures."""
        return tuple(ConfigKey(key_id(raw), to_base64(raw)) for raw in map(_public_bytes, self._keys))

    def sign_document(self, document: str, version: int) -> Envelope:
        """The signed envelope around the exact text `document`."""
        key = self._keys[-1]
        return Envelope(document, version, _id(key), _signature(key, envelope_signing_bytes(document)))

    def sign_receipt(self, receipt: Receipt) -> Receipt:
        """The receipt with key id and signature filled in."""
        key = self._keys[-1]
        unsigned = replace(receipt, key_id=_id(key), signature="")
        return replace(unsigned, signature=_signature(key, receipt_signing_bytes(as_json(unsigned))))

    def sign_ledger(self, receipt: LedgerReceipt) -> LedgerReceipt:
        """The ledger receipt with key id and signature filled in."""
        key = self._keys[-1]
        unsigned = replace(receipt, key_id=_id(key), signature="")
        return replace(unsigned, signature=_signature(key, ledger_signing_bytes(as_json(unsigned))))

    def sign(self, data: bytes) -> str:
        """The newest key's signature in base64, over bytes that begin with a purpose of their own."""
        return _signature(self._keys[-1], data)

    def renewed(self, envelope: Envelope) -> Envelope:
        """The envelope signed by the newest key, if an older one of ours signed it; what fits no key stays."""
        if envelope.key_id == self.newest_id:
            return envelope
        data = envelope_signing_bytes(envelope.document)
        for key in self.public():
            if key.key_id == envelope.key_id and signature_fits(key.public_key, envelope.signature, data):
                return self.sign_document(envelope.document, envelope.version)
        return envelope


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


def _id(key: Ed25519PrivateKey) -> str:
    return key_id(_public_bytes(key))


def _signature(key: Ed25519PrivateKey, data: bytes) -> str:
    return to_base64(key.sign(data))


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


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
