"""CORE. How often a source may fail before it has to wait. Times are seconds since 1970, by the centre's clock.

The failures themselves are in the store, so that all processes of a centre count together.
"""

import ipaddress
from collections.abc import Sequence

FAILURES_MAX = 10
"""Failed enrolments of one source within the window; a person who mistypes needs three or four."""
WINDOW_S = 600.0
"""A source that failed too often waits ten minutes at most."""
SOURCES_MAX = 4096
"""Sources remembered, the oldest forgotten first: a bounded table even when somebody owns many addresses."""
IPV6_SOURCE_BITS = 64
"""One customer commonly holds a whole /64."""


def wait_s(
    failures: Sequence[float],
    now_s: float,
    *,
    failures_max: int = FAILURES_MAX,
    window_s: float = WINDOW_S,
) -> float:
    """Seconds until the source of these failures (oldest first) may try again; 0 when it may now.

    A clock that was set back makes nobody wait longer than the window.
    """
    recent = [moment for moment in failures if moment > now_s - window_s]
    if len(recent) < failures_max:
        return 0.0
    return min(recent[-failures_max] + window_s - now_s, window_s)


def with_failure(
    failures: Sequence[float],
    now_s: float,
    *,
    failures_max: int = FAILURES_MAX,
    window_s: float = WINDOW_S,
) -> tuple[float, ...]:
    """The failures to remember after one more, oldest first."""
    recent = [min(moment, now_s) for moment in failures if moment > now_s - window_s]
    return (*recent, now_s)[-failures_max:]


def source_of(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address; other text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, IPV6_SOURCE_BITS), strict=False))
