"""The certificate that a box makes for its own SIP sockets, where the operator has given none. Adapter over cryptography.

Phones that check it have to be given it; the point of the others is that a listener on the LAN hears nothing. It outlives the box
(`VALID_DAYS`): renewing a certificate must never be a reason for a site to fall silent.
"""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 20 * 365
BACKDATED_DAYS = 3 * 365
"""A box without a battery may come up with a clock that is years behind."""

KEY_MODE = 0o600


def ensure(certificate: Path, key: Path, name: str, address: str) -> bool:
    """Make a self-signed certificate for `address` unless both files exist. True: it was made. Blocks on disk; OSError."""
    if certificate.exists() and key.exists():
        return False
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, pem)
    _write(certificate, _self_signed(private, name, address).public_bytes(serialization.Encoding.PEM))
    return True


def _self_signed(private: ec.EllipticCurvePrivateKey, name: str, address: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=BACKDATED_DAYS))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, KEY_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
