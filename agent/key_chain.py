"""Which signing keys of the centre a box believes: those of its enrolment, and every key that one of them vouches for.

A chain of links leads a box that slept through any number of rotations to the key that signs now. Site documents are
taken from the two newest keys only: the one that signs, and the one before it while boxes still learn the new one. So a
key that was stolen and rotated away twice opens nothing. Opens nothing itself.
"""

from collections.abc import Iterable

from agent.identity import signed_by
from cloudsync.wire import ConfigKey, KeyLink, WireError, from_base64, key_id, key_link_signing_bytes

DOCUMENT_KEYS = 2
"""The newest keys whose documents are taken: the one that signs, and its predecessor for the overlap."""


def extended(known: tuple[ConfigKey, ...], links: Iterable[KeyLink]) -> tuple[ConfigKey, ...]:
    """`known` (oldest first) and every key that the links lead to from its newest, in their order.

    A link from a key that was rotated away before, with a wrong name or a wrong signature, ends the way.
    """
    keys = list(known)
    for link in links:
        if any(key.key_id == link.key_id for key in keys):
            continue
        if not keys or link.signed_by != keys[-1].key_id or not _fits(link, keys[-1]):
            break
        keys.append(ConfigKey(link.key_id, link.public_key))
    return tuple(keys)


def document_keys(known: tuple[ConfigKey, ...]) -> tuple[ConfigKey, ...]:
    """Those of `known` that may sign site documents."""
    return known[-DOCUMENT_KEYS:]


def _fits(link: KeyLink, by: ConfigKey) -> bool:
    try:
        named = key_id(from_base64(link.public_key)) == link.key_id
    except WireError:
        return False
    message = key_link_signing_bytes(link.signed_by, link.public_key)
    return named and signed_by((by,), link.signed_by, message, link.signature)
