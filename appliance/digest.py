"""HTTP and SIP digest: the hash of a password that a document may carry in the password's place. Pure."""

import hashlib

MD5_DIGITS = 32
"""Hexadecimal digits of an MD5 HA1."""

SHA256_DIGITS = 64
"""Hexadecimal digits of a SHA-256 HA1."""


def digest_ha1(username: str, realm: str, password: str) -> tuple[str, str]:
    """(MD5, SHA-256) of "username:realm:password", lower-case hexadecimal (RFC 7616 section 3.4.2, RFC 8760).

    MD5 is what most phones still speak; it protects nothing here but the wire format's compatibility.
    """
    a1 = f"{username}:{realm}:{password}".encode()
    return hashlib.md5(a1, usedforsecurity=False).hexdigest(), hashlib.sha256(a1).hexdigest()


def pin_sha256(number: str, domain: str, pin: str) -> str:
    """SHA-256 of "number:domain:PIN", lower-case hexadecimal: what a site document holds of the PIN for logging in at other
    telephones. A PIN has few digits; whoever has the document can find it."""
    return hashlib.sha256(f"{number}:{domain}:{pin}".encode()).hexdigest()
