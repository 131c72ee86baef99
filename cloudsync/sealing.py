"""ADAPTER for age (pyrage): the tenants' key pairs and the decryption of recordings for an administrator.

A key pair that the centre makes for a tenant leaves it at once: the identity is given to the administrator and not kept, unless
he says so. A listener gives it with each request, as a file that may be protected by a passphrase.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pyrage

from appliance.errors import KyusaiError
from cloudsync import durable

READ_BYTES = 1024 * 1024


def is_recipient(text: str) -> bool:
    """Whether `text` is an age X25519 recipient."""
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


Hand = Callable[[str, str], None]
"""Takes a new recipient and the text of its identity (the file format of `age-keygen`). What it raises undoes the rest."""


def make_identity(hand: Hand) -> str:
    """Make a key pair, hand its identity over, give its recipient."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    hand(recipient, f"# public key: {recipient}\n{identity}\n")
    return recipient


def into_folder(folder: Path) -> Hand:
    """Keeps identities in a folder of the centre, in the clear: whoever has the disk then plays the recordings."""

    def keep(recipient: str, text: str) -> None:
        durable.make_folder(folder)
        durable.write_new_file(folder / f"{recipient}.txt", text.encode())

    return keep


def into_file(path: Path) -> Hand:
    """Writes the identity to a new file (0600). Raises KyusaiError `key.exists`, OSError."""

    def keep(_recipient: str, text: str) -> None:
        if not durable.write_new_file(path, text.encode()):
            raise KyusaiError(
                "key.exists", f"{path} is there already", "Name a file that is not there yet.", path=path
            )

    return keep


def kept_identities(folder: Path) -> list[str]:
    """The identities kept in `folder`."""
    return [one for path in sorted(folder.glob("*.txt")) for one in _identities(path.read_text("utf-8"))]


def read_identities(data: bytes, ask: Callable[[], str]) -> list[str]:
    """The identities in a key file; one that is protected (`age -p`) is opened with the passphrase that `ask` gives.

    Raises KyusaiError `key.unusable`.
    """
    try:
        if data.startswith(b"age-encryption.org/"):
            data = pyrage.passphrase.decrypt(data, ask())
        found = _identities(data.decode("utf-8"))
    except (pyrage.DecryptError, UnicodeDecodeError, ValueError) as error:
        raise _unusable(str(error)) from error
    if not found:
        raise _unusable("no line begins with AGE-SECRET-KEY-1")
    return found


def _identities(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line.startswith("AGE-SECRET-KEY-")]


def _unusable(detail: str) -> KyusaiError:
    return KyusaiError(
        "key.unusable",
        f"the key file holds no key that can be used: {detail}",
        "It is the file that `site add --key` wrote or `age-keygen` made; one protected by `age -p` needs its passphrase.",
        detail=detail,
    )


def open_recording(cipher: BinaryIO, name: str, plain: Path, keys: Sequence[str]) -> str:
    """Decrypt `cipher` into the new file `plain` (0600) and give the SHA-256 of what it holds. Blocks.

    Raises KyusaiError `recording.sealed` when no key fits or the file was altered; `plain` is not there then.
    """
    temporary = plain.with_name(f".{plain.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, durable.PRIVATE_FILE_MODE)
    try:
        with os.fdopen(descriptor, "w+b") as output:
            pyrage.decrypt_io(cipher, output, [pyrage.x25519.Identity.from_str(key) for key in keys])
            output.flush()
            os.fsync(output.fileno())
            output.seek(0)
            digest = hashlib.file_digest(output, "sha256").hexdigest()
        temporary.replace(plain)
    except (pyrage.DecryptError, OSError) as error:
        raise KyusaiError(
            "recording.sealed",
            f"{name} does not open with the {len(keys)} keys at hand: {error}",
            "Name the tenant's key file with --key.",
            name=name,
            keys=len(keys),
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return digest
