"""What the box believes of a signed envelope, and what it says of one that it does not take."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config_check import ConfigRefused, Trust, examine
from cloudsync.wire import ConfigKey, Envelope, envelope_signing_bytes, key_id, to_base64
from tests.helpers.site_documents import document, extension

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def public(key: Ed25519PrivateKey) -> ConfigKey:
    raw = key.public_key().public_bytes_raw()
    return ConfigKey(key_id(raw), to_base64(raw))


TRUST = Trust("tokyo-1", (public(KEY),))


def sealed(text: str | None = None, *, key: Ed25519PrivateKey = KEY, **changes: Any) -> Envelope:
    """A signed envelope; `text` or the fields of the document may be anything."""
    body = text if text is not None else json.dumps(document(**changes))
    version = changes.get("version", 12)
    signature = to_base64(key.sign(envelope_signing_bytes(body)))
    return Envelope(body, version, public(key).key_id, signature)


def refusal(envelope: Envelope, newest: int = 0, trust: Trust = TRUST) -> ConfigRefused:
    with pytest.raises(ConfigRefused) as caught:
        examine(envelope, trust, newest)
    return caught.value


def test_a_signed_document_for_this_site_is_taken() -> None:
    assert examine(sealed(), TRUST, 11).version == 12


def changed(envelope: Envelope, **changes: Any) -> Envelope:
    values = {name: getattr(envelope, name) for name in ("document", "version", "key_id", "signature")}
    return Envelope(**(values | changes))


@pytest.mark.parametrize(
    ("envelope", "key"),
    [
        pytest.param(
            changed(sealed(), document=sealed(version=13).document), "config.signature", id="text changed"
        ),
        pytest.param(changed(sealed(), signature="AAAA"), "config.signature", id="signature spoilt"),
        pytest.param(
            changed(sealed(), signature="not base64!"), "config.signature", id="signature is no base64"
        ),
        pytest.param(sealed(key=OTHER_KEY), "config.key", id="unknown key"),
        pytest.param(
            changed(sealed(key=OTHER_KEY), key_id=public(KEY).key_id),
            "config.signature",
            id="other key, our name",
        ),
        pytest.param(
            changed(sealed(), version=99), "config.version_differs", id="envelope says another version"
        ),
        pytest.param(sealed('{"format": 1}'), "config.version_differs", id="signed rubbish"),
        pytest.param(sealed("[[["), "config.version_differs", id="signed, no JSON"),
    ],
)
def test_what_cannot_be_believed_is_refused_and_leaves_no_trace(envelope: Envelope, key: str) -> None:
    refused = refusal(envelope)
    assert (refused.key, refused.believed) == (key, False)


def test_another_sites_document_is_refused() -> None:
    site = document()["site"] | {"id": "osaka-1"}
    refused = refusal(sealed(site=site))
    assert (refused.key, refused.believed) == ("config.other_site", False)
    assert "osaka-1" in refused.message


@pytest.mark.parametrize("newest", [12, 13, 500])
def test_a_replayed_older_version_is_refused(newest: int) -> None:
    assert refusal(sealed(), newest).key == "config.old"


def test_a_signed_document_with_faults_is_refused_with_all_of_them_and_remembered() -> None:
    bad = sealed(
        extensions=[extension("201"), extension("201"), extension("2x")],
        upstreams=[{"id": "cloud", "uri": "sip:pbx.example.com"}],
    )
    refused = refusal(bad)
    assert refused.believed, "so that it is not asked for again"
    assert len(refused.problems) >= 3
    assert any("$.upstreams[0].uri" in str(line) for line in refused.problems)
    assert any("$.extensions[2].number" in str(line) for line in refused.problems)
