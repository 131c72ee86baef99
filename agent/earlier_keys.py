"""The box's keys of before the one in use, kept for a centre that was restored from an old backup: it knows one of those alone.

They open nothing at a centre that has seen the key in use. One file (0600) beside that key holds them, the newest first, and
is written in one step. They are shown to the centre alone that they were made for, see `agent.enrol`, and go when it shuts the
box out.
"""

import re
from pathlib import Path

from agent.identity import Identity, IdentityError, identity_of, load, unusable, write_private

KEPT = 4
"""By the yearly change backups of four years; each more costs a box that no key lets in a question and a line of the centre's
audit trail."""
_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\n.+?\n-----END PRIVATE KEY-----\n", re.DOTALL)


def earlier_file(key: Path) -> Path:
    """Where those of before the key `key` lie."""
    return key.with_name("key.earlier.pem")


def load_earlier(key: Path) -> list[Identity]:
    """The newest first, without the one in place. Never raises: one that is spoilt is passed over, it may not be needed."""
    try:
        pems = _PEM.findall(earlier_file(key).read_bytes())
        present = load(key).public_key
    except (OSError, IdentityError):
        return []
    found: dict[str, Identity] = {}
    for pem in pems:
        try:
            one = identity_of(pem)
        except ValueError:
            continue
        found.setdefault(one.public_key, one)
    found.pop(present, None)
    return list(found.values())[:KEPT]


def keep_earlier(key: Path) -> None:
    """Keep the key in place, which is about to be replaced. May be repeated. Raises IdentityError."""
    kept = [load(key), *load_earlier(key)]
    try:
        write_private(earlier_file(key), b"".join(one.pem() for one in kept[:KEPT]))
    except OSError as error:
        raise unusable(key, str(error)) from error


def forget_earlier(key: Path) -> None:
    """Keep none any more. Raises IdentityError."""
    try:
        earlier_file(key).unlink(missing_ok=True)
    except OSError as error:
        raise unusable(key, str(error)) from error
