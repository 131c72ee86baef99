"""ADAPTER for X.509 (cryptography): the centre's own CA and its server certificate, made at first start.

Boxes pin the CA, so nothing depends on public CAs or their clocks. Both certificates begin to be valid in 1970:
the start of validity protects nobody here, and a box without a battery-backed clock must still get in. The CA has
no expiry (RFC 5280, 4.1.2.5); the server certificate is replaced when a third of its life is left.
"""

import ipaddress
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloudsync import durable

VALID_FROM = datetime(1970, 1, 1, tzinfo=UTC)
CA_VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
SERVER_LIFE = timedelta(days=825)
"""What clients take for a server certificate at most; over twice the longest outage that is promised (180 days)."""
SERVER_RENEWAL_LEFT = SERVER_LIFE / 3

_CA_PEM, _SERVER_PEM = "ca.pem", "server.pem"


class ServerTls:
    """The files in the centre's TLS folder. A PEM of ours holds the private key first, then the chain."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def server_pem(self) -> Path:
        """Server key, server certificate and CA certificate in one file, so that they change together."""
        return self._folder / _SERVER_PEM

    def ca_certificate(self) -> str:
        """The CA's certificate in PEM, made on first use. Blocks on the disk."""
        certificate, _ = self._authority()
        return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def ensure(self, addresses: Iterable[str], now: datetime) -> bool:
        """Make or renew the server certificate; True when a new one was written.

        `addresses`: literal addresses or names under which boxes reach the centre. Those of the certificate in
        place stay in it, so that a start with fewer of them locks nobody out.
        """
        wanted = set(addresses)
        current = self._server_certificate()
        if current is not None:
            named = _names_of(current)
            if wanted <= named and current.not_valid_after_utc - now > SERVER_RENEWAL_LEFT:
                return False
            wanted |= named
        authority, authority_key = self._authority()
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder("Kyusai centre", key, authority.subject)
            .not_valid_after(now + SERVER_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(a) for a in sorted(wanted)]), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        certificate = builder.sign(authority_key, hashes.SHA256())
        durable.write_file(self.server_pem, _pem(key, certificate, authority))
        return True

    def _server_certificate(self) -> x509.Certificate | None:
        try:
            return x509.load_pem_x509_certificates(self.server_pem.read_bytes())[0]
        except FileNotFoundError:
            return None

    def _authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        path = self._folder / _CA_PEM
        if not path.exists():
            durable.write_new_file(path, _new_authority())
        data = path.read_bytes()
        key = serialization.load_pem_private_key(data, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{path}: the CA's key is not an elliptic curve key")
        return x509.load_pem_x509_certificates(data)[0], key


def _new_authority() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"Kyusai centre CA {secrets.token_hex(4)}"
    builder = (
        _builder(name, key, _name(name))
        .not_valid_after(CA_VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
        )
    )
    return _pem(key, builder.sign(key, hashes.SHA256()))


def _builder(name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _pem(key: ec.EllipticCurvePrivateKey, *chain: x509.Certificate) -> bytes:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _names_of(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}
