"""Which of the centre's signing keys a box comes to believe. A failure locks boxes out, or lets a forger in."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.key_chain import document_keys, extended
from cloudsync.wire import ConfigKey, KeyLink, key_id, key_link_signing_bytes, to_base64

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 6)]


def public(number: int) -> ConfigKey:
    raw = KEYS[number].public_key().public_bytes_raw()
    return ConfigKey(key_id(raw), to_base64(raw))


def link(new: int, by: int) -> KeyLink:
    key, signer = public(new), public(by)
    signature = to_base64(KEYS[by].sign(key_link_signing_bytes(signer.key_id, key.public_key)))
    return KeyLink(key.key_id, key.public_key, signer.key_id, signature)


def test_a_box_that_slept_through_three_rotations_believes_the_newest_key() -> None:
    links = [link(1, 0), link(2, 1), link(3, 2)]
    assert extended((public(0),), links) == (public(0), public(1), public(2), public(3))
    assert extended((public(1),), links) == (public(1), public(2), public(3)), "it enrolled later"
    known = (public(0), public(1), public(2), public(3))
    assert extended(known, links) == known


@pytest.mark.parametrize(
    "links",
    [
        pytest.param([link(1, 4)], id="by a stranger"),
        pytest.param([replace(link(1, 4), signed_by=public(0).key_id)], id="by a stranger in the key's name"),
        pytest.param([replace(link(1, 0), key_id="0" * 16)], id="under another name"),
        pytest.param([replace(link(1, 0), public_key="no base64!")], id="no key"),
        pytest.param([replace(link(1, 0), public_key=public(4).public_key)], id="other key, right signature"),
        pytest.param([link(2, 1)], id="a link is missing"),
    ],
)
def test_a_link_that_does_not_hold_leads_nowhere(links: list[KeyLink]) -> None:
    assert extended((public(0),), links) == (public(0),)


def test_a_key_that_was_rotated_away_vouches_for_nobody() -> None:
    """Whoever stole the first key cannot lead a box that has moved on to a key of his own."""
    assert extended((public(0), public(1)), [link(4, 0)]) == (public(0), public(1))


def test_documents_are_taken_from_the_key_that_signs_and_the_one_before_it() -> None:
    known = (public(0), public(1), public(2))
    assert document_keys(known) == (public(1), public(2))
    assert document_keys(known[:1]) == (public(0),)
