"""ADAPTER. The self-signed certificate of a box to which nobody gave one: SIP over TLS encrypts from the first minute.

It proves nothing of who the box is; an operator who wants that names a certificate of his own in box.toml.
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.identity import write_private

LIFE_DAYS = 20 * 365
"""It outlives the box: an expired certificate would silence a site's phones."""

BACKDATED_DAYS = 3 * 365
"""A box without a battery comes up with a clock that is years behind, and must not take its own for one of the future."""


def ensure(certificate: Path, key: Path, addresses: tuple[str, ...]) -> bool:
    """Make both files unless both are there; True when they were made. Raises `OSError`. Blocks on disk."""
    if certificate.is_file() and key.is_file():
        return False
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, addresses[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=BACKDATED_DAYS))
        .not_valid_after(now + datetime.timedelta(days=LIFE_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]),
            False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(key, pem)
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM))
    return True
