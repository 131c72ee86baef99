"""The box's identity: an Ed25519 key made on the box that never leaves it, and what enrolment brought.

ADAPTER for the `cryptography` library and the identity folder. Every function blocks on disk. A file is written beside
its place, synced and renamed, so that a power cut leaves the old one or the new one.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.errors import KyusaiError
from cloudsync.wire import ConfigKey, Enrolment, WireError, enrolment_from, from_base64, to_base64

Signer = Callable[[bytes], bytes]
"""Signs bytes with the box's key."""


class IdentityError(KyusaiError):
    """The key or the enrolment cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """All that the box must know of the centre. ca_pem: the pinned CA. url: as it was when the box enrolled."""

    url: str
    ca_pem: str
    enrolment: Enrolment


class Identity:
    """The box's key pair."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> str:
        """The raw public key in base64, as the centre keeps it."""
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return to_base64(raw)

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature of `message`."""
        return self._key.sign(message)

    def pem(self) -> bytes:
        """The private key as files hold it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def load_or_make(path: Path) -> Identity:
    """The key at `path` (PEM, 0600), made if there is none. Raises IdentityError when it cannot be read or made."""
    try:
        if path.exists():
            return load(path)
        made = Identity(Ed25519PrivateKey.generate())
        write_private(path, made.pem())
    except OSError as error:
        raise unusable(path, str(error)) from error
    return made


def forget(path: Path) -> None:
    """Put the key aside as `key.old.pem`, so that the next one is new. Raises IdentityError."""
    try:
        load_or_make(path)
        path.replace(path.with_suffix(".old.pem"))
    except OSError as error:
        raise unusable(path, str(error)) from error


def put_in_place(new: Path, path: Path) -> None:
    """Make the key `new` that of `path`, in one durable step. Raises IdentityError."""
    try:
        write_private(path, new.read_bytes())
        new.unlink()
    except OSError as error:
        raise unusable(path, str(error)) from error


def drop_forgotten(path: Path) -> None:
    """The key that `forget` put aside is not needed any more. Raises IdentityError."""
    try:
        path.with_suffix(".old.pem").unlink(missing_ok=True)
    except OSError as error:
        raise unusable(path, str(error)) from error


def recall(path: Path) -> None:
    """Take back the key that `forget` put aside. Raises IdentityError."""
    try:
        path.with_suffix(".old.pem").replace(path)
    except OSError as error:
        raise unusable(path, str(error)) from error


def load(path: Path) -> Identity:
    """The key at `path`. Raises IdentityError."""
    try:
        return identity_of(path.read_bytes())
    except (OSError, ValueError) as error:
        raise unusable(path, str(error)) from error


def identity_of(pem: bytes) -> Identity:
    """The key that a PEM holds. Raises ValueError."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is no Ed25519 key")
    return Identity(key)


def unusable(path: Path, detail: str) -> IdentityError:
    """The error of a key that cannot be read or written."""
    return IdentityError(
        "identity.unusable",
        f"the box's key {path} cannot be used: {detail}",
        "Check the folder's owner. If the file is spoilt, move it away and enrol the box again.",
        path=path,
        detail=detail,
    )


def save_enrolled(path: Path, enrolled: Enrolled) -> None:
    """Write what enrolment brought in one step. Raises IdentityError."""
    try:
        write_private(path, json.dumps(asdict(enrolled), indent=1, ensure_ascii=False).encode())
    except OSError as error:
        raise unusable(path, str(error)) from error


def load_enrolled(path: Path) -> Enrolled | None:
    """What enrolment brought, None for a box that is not enrolled. Raises IdentityError when the file is spoilt."""
    try:
        value = json.loads(path.read_bytes())
        return Enrolled(str(value["url"]), str(value["ca_pem"]), enrolment_from(value["enrolment"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, WireError) as error:
        raise IdentityError(
            "identity.enrolment_unusable",
            f"the enrolment {path} cannot be read: {error}",
            "Enrol the box again with a new code; its calls and records are not affected.",
            path=path,
            detail=str(error),
        ) from error


def signed_by(keys: Iterable[ConfigKey], key_id: str, message: bytes, signature: str) -> bool:
    """Whether `signature` (base64) of `message` is by the key named `key_id` among `keys`. Never raises."""
    for known in keys:
        if known.key_id != key_id:
            continue
        try:
            public_key = Ed25519PublicKey.from_public_bytes(from_base64(known.public_key))
            public_key.verify(from_base64(signature), message)
        except (InvalidSignature, WireError, ValueError):
            return False
        return True
    return False


def write_private(path: Path, data: bytes) -> None:
    """Put `data` at `path`, readable by its owner alone (folder 0700, file 0600), durable and in one step."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
