"""Secrets that look-ups send, kept on the box alone: one file each, mode 0600. Adapter: disk.

A site document names them and never holds them; they do not leave the box but in the header of the request.
"""

import os
from pathlib import Path

from appliance import words
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.owner import act_as_owner

SECRET_CHARS_MAX = 4_096


def folder(layout: Layout) -> Path:
    """Where they are."""
    return layout.freeswitch_dir / "secrets"


def trusted(layout: Layout) -> Path:
    """Certificates of look-ups' servers beside the system's, PEM; the file need not be there."""
    return layout.freeswitch_dir / "lookup-ca.pem"


def keep(where: Path, name: str, given: str) -> Path:
    """Write a secret durably. Raises `KyusaiError` "agent.flow.secret", OSError. Blocks on disk."""
    value = given.strip()
    good = words.ID.holds(name) and value.isascii() and value.isprintable()
    if not good or not 0 < len(value) <= SECRET_CHARS_MAX:
        raise KyusaiError(
            "agent.flow.secret",
            f"{name!r} cannot be a secret: 1 to {SECRET_CHARS_MAX} printable ASCII characters",
            "Give it on standard input, as the web service expects it in the header Authorization.",
            value=name,
            most=SECRET_CHARS_MAX,
        )
    act_as_owner(where.parent)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, fresh = where / name, where / f".{name}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path


def read(where: Path, name: str) -> str:
    """A secret, "" where there is none. Blocks on disk."""
    try:
        found = (where / name).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return found if found.isprintable() and len(found) <= SECRET_CHARS_MAX else ""
