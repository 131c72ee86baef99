"""CORE. How often a source may fail before it has to wait. Time comes as an argument (seconds, monotonic)."""

import ipaddress
from collections import OrderedDict, deque

FAILURES_MAX = 10
"""Failed enrolments of one source within the window; a person who mistypes needs three or four."""
WINDOW_S = 600.0
"""A source that failed too often waits ten minutes at most."""
SOURCES_MAX = 4096
"""Sources remembered, the oldest forgotten first: a bounded table even when somebody owns many addresses."""
IPV6_SOURCE_BITS = 64
"""One customer commonly holds a whole /64."""


class Attempts:
    """Failures of each source within a sliding window."""

    def __init__(
        self, failures_max: int = FAILURES_MAX, window_s: float = WINDOW_S, sources_max: int = SOURCES_MAX
    ) -> None:
        self._failures_max = failures_max
        self._window_s = window_s
        self._sources_max = sources_max
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, source: str, now_s: float) -> float:
        """Seconds until the source may try again; 0 when it may now."""
        failures = self._failures.get(source)
        if failures is None:
            return 0.0
        while failures and failures[0] <= now_s - self._window_s:
            failures.popleft()
        if len(failures) < self._failures_max:
            return 0.0
        return failures[0] + self._window_s - now_s

    def failed(self, source: str, now_s: float) -> None:
        """Count a failure."""
        failures = self._failures.setdefault(source, deque(maxlen=self._failures_max))
        failures.append(now_s)
        self._failures.move_to_end(source)
        while len(self._failures) > self._sources_max:
            self._failures.popitem(last=False)


def source_of(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 address; other text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, IPV6_SOURCE_BITS), strict=False))
