"""Literal network addresses: "host:port" pairs and SIP URIs. Pure; never asks a resolver.

A box has to work while DNS is dead, so every address in its configuration is a literal IPv4 or IPv6 address.
IPv6 is written in brackets where a port may follow (RFC 3261 section 25.1, `IPv6reference`).
"""

import ipaddress
import re
from dataclasses import dataclass

SIP_PORT = 5060
"""Where a SIP URI without a port points (RFC 3261 section 19.1.2); 5061 for TLS."""

SIPS_PORT = 5061

TRANSPORTS = ("udp", "tcp", "tls")
"""Transports that a peer may be reached by."""

PORT_MAX = 65535

_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[^\[\]:/@;?]+))(?::(?P<port>[0-9]{1,5}))?")
_URI = re.compile(
    r"sip:(?P<where>\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?|[^\[\]:/@;?\s]+(?::[0-9]{1,5})?)(?P<params>(?:;[^;?\s]+)*)"
)


class AddressError(ValueError):
    """Not an address in the wanted form. reason: "syntax", "name" (not a literal), "unusable", "port", "parameter"."""

    def __init__(self, reason: str, value: str) -> None:
        super().__init__(f"{value!r}: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A literal address and a port. host: without brackets, in canonical form. port: 0 when none is given."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        host = bracketed(self.host)
        return f"{host}:{self.port}" if self.port else host


@dataclass(frozen=True, slots=True)
class SipAddress:
    """Where a SIP peer is reached: literal address, port (filled in) and transport."""

    host: str
    port: int
    transport: str

    @property
    def uri(self) -> str:
        """The SIP URI in canonical form."""
        return f"sip:{bracketed(self.host)}:{self.port};transport={self.transport}"


def bracketed(host: str) -> str:
    """A host as it stands in a URI: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def literal(value: str) -> str:
    """Canonical form of a literal IPv4 or IPv6 address. Raises `AddressError` "name" for anything else."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise AddressError("name", value) from None
    if getattr(address, "scope_id", None):
        raise AddressError("syntax", value)
    if address.is_unspecified or address.is_multicast:
        raise AddressError("unusable", value)
    return str(address)


def endpoint(value: str) -> Endpoint:
    """Parse "address", "address:port" or "[IPv6]:port". Raises `AddressError`."""
    if value.count(":") > 1 and not value.startswith("["):
        return Endpoint(literal(value))
    match = _HOST_PORT.fullmatch(value)
    if match is None:
        raise AddressError("syntax", value)
    return Endpoint(literal(match["six"] or match["four"]), _port(match["port"], value))


def sip_address(value: str) -> SipAddress:
    """Parse `sip:address[:port][;transport=...]`. Raises `AddressError`; other URI parameters are refused."""
    match = _URI.fullmatch(value)
    if match is None:
        raise AddressError("syntax", value)
    transport = "udp"
    for parameter in filter(None, match["params"].split(";")):
        name, _, given = parameter.partition("=")
        if name != "transport" or given not in TRANSPORTS:
            raise AddressError("parameter", value)
        transport = given
    where = endpoint(match["where"])
    return SipAddress(where.host, where.port or _default_port(transport), transport)


def _default_port(transport: str) -> int:
    return SIPS_PORT if transport == "tls" else SIP_PORT


def _port(digits: str | None, value: str) -> int:
    if digits is None:
        return 0
    port = int(digits)
    if not 1 <= port <= PORT_MAX:
        raise AddressError("port", value)
    return port
