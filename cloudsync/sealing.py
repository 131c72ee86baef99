"""ADAPTER for age (pyrage): the tenants' key pairs and the decryption of recordings for an administrator.

By default the centre makes a key pair for a tenant and keeps the identity below `keys/`, 0600. A tenant that
brings its own recipient keeps its identity to itself; the centre then cannot play its recordings.
"""

import contextlib
import hashlib
import os
import secrets
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


def make_identity(folder: Path) -> str:
    """Make a key pair, keep its identity in `folder`, give its recipient. Blocks on the disk."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    durable.make_folder(folder)
    durable.write_new_file(folder / f"{recipient}.txt", f"# public key: {recipient}\n{identity}\n".encode())
    return recipient


def identities(folder: Path) -> list[pyrage.x25519.Identity]:
    """The identities kept in `folder` (the file format of `age-keygen`)."""
    lines = [
        line.strip() for path in sorted(folder.glob("*.txt")) for line in path.read_text("utf-8").splitlines()
    ]
    return [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-")]


def open_recording(cipher: BinaryIO, name: str, plain: Path, keys: list[pyrage.x25519.Identity]) -> str:
    """Decrypt `cipher` into the new file `plain` (0600) and give the SHA-256 of what it holds. Blocks.

    Raises KyusaiError `recording.sealed` when no key fits or the file was altered; `plain` is not there then.
    """
    temporary = plain.with_name(f".{plain.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, durable.PRIVATE_FILE_MODE)
    try:
        with os.fdopen(descriptor, "w+b") as output:
            pyrage.decrypt_io(cipher, output, keys)
            output.flush()
            os.fsync(output.fileno())
            output.seek(0)
            digest = hashlib.file_digest(output, "sha256").hexdigest()
        temporary.replace(plain)
    except (pyrage.DecryptError, OSError) as error:
        raise KyusaiError(
            "recording.sealed",
            f"{name} does not open with the {len(keys)} keys kept here: {error}",
            "A tenant with its own recipient opens it with `age -d -i KEY`.",
            name=name,
            keys=len(keys),
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return digest
