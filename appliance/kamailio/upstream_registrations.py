"""When the box registers which extension at which upstream: due times, pace, retries. Pure.

In `upstream_auth: trusted` the phone is answered by the box at once, and the box registers the number upstream itself (RFC 3327
for the Path), later and at a pace: the cloud learns that the number is here, the phone never waits for it. While the link is
down nothing is sent; on recovery all numbers are due again, since the cloud may have been restarted meanwhile.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.model import LinkState

EXPIRES_S = 600
"""Asked for: how long the cloud still sends calls to a box that has vanished."""

PER_SECOND = 50
"""Registrations sent per second and upstream: 5,000 numbers in 100 s after an outage, 30 kbyte/s on the line."""

REFRESH_EARLIEST, REFRESH_LATEST = 0.5, 0.8
"""Part of the granted time after which the next one is due; spread, so that one recovery does not make a beat."""

RETRY_FIRST_S, RETRY_MAX_S = 10, 600
"""After a failure: doubled from the first to the cap."""

SILENCE_S = 40
"""No word of a request for this long: its reply was lost inside the box, too (tm says 408 after 5 s)."""

SENDABLE = frozenset(set(LinkState) - {LinkState.DOWN})
"""SUSPECT: most doubts end as UP again, and a blip must not make every number due. UNKNOWN: the agent is dead. In both,
the retries' own back-off keeps the line quiet."""

Key = tuple[str, str]
"""Upstream id, extension number."""


@dataclass(slots=True)
class _Entry:
    """sent: a request is on its way. changed: what it says is out of date already."""

    due_ms: int
    failures: int = 0
    sent: bool = False
    changed: bool = False


@dataclass(slots=True)
class UpstreamRegistrations:
    """All numbers of the site at all upstreams. Times are milliseconds of one monotonic clock."""

    _entries: dict[Key, _Entry] = field(default_factory=dict)
    _queues: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    _links: dict[str, LinkState] = field(default_factory=dict)
    _credit: dict[str, float] = field(default_factory=dict)
    _credit_ms: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def want(self, upstream: str, number: str, now_ms: int) -> None:
        """A phone has registered: due at once, unless it is known already."""
        if (upstream, number) not in self._entries:
            self._set((upstream, number), now_ms, 0)

    def hasten(self, upstream: str, number: str, now_ms: int) -> None:
        """Something about a number has changed: due at once, if it is known; if a request is on its way, after its answer."""
        entry = self._entries.get((upstream, number))
        if entry is not None and entry.sent:
            entry.changed = True
        elif entry is not None:
            self._set((upstream, number), now_ms, 0)

    def drop(self, upstream: str, number: str) -> None:
        """The number has no phone any more."""
        self._entries.pop((upstream, number), None)

    def link(self, upstream: str, state: LinkState, now_ms: int) -> None:
        """What the agent says of an upstream. After an outage, everything is due."""
        before = self._links.get(upstream, LinkState.UNKNOWN)
        self._links[upstream] = state
        if before not in SENDABLE and state in SENDABLE:
            for key in [key for key in self._entries if key[0] == upstream]:
                self._set(key, now_ms, 0)

    def due(self, upstream: str, now_ms: int) -> list[str]:
        """Numbers to register now; each counts as sent. Empty while the link is down."""
        allowance = self._allowance(upstream, now_ms)
        if self._links.get(upstream, LinkState.UNKNOWN) not in SENDABLE:
            return []
        found: list[str] = []
        queue = self._queues.get(upstream, [])
        while queue and queue[0][0] <= now_ms and len(found) < allowance:
            due_ms, number = heapq.heappop(queue)
            entry = self._entries.get((upstream, number))
            if entry is None or entry.due_ms != due_ms:
                continue  # it was moved to another time, where it is in the queue as well
            self._set((upstream, number), now_ms + SILENCE_S * 1000, entry.failures, sent=True)
            found.append(number)
        self._credit[upstream] -= len(found)
        return found

    def answered(self, key: Key, code: int, granted_s: int, now_ms: int, jitter: float) -> None:
        """The upstream's answer. granted_s: its expiry. jitter: 0.0 to 1.0, spreads what comes next."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if 200 <= code < 300 and entry.changed:
            self._set(key, now_ms, 0)
            return
        if 200 <= code < 300:
            part = REFRESH_EARLIEST + jitter * (REFRESH_LATEST - REFRESH_EARLIEST)
            self._set(key, now_ms + int(max(granted_s, RETRY_FIRST_S) * part * 1000), 0)
            return
        wait_s = min(RETRY_FIRST_S * 2.0**entry.failures, RETRY_MAX_S) * (1 + jitter / 4)
        self._set(key, now_ms + int(wait_s * 1000), min(entry.failures + 1, 10))

    def upstreams(self, wanted: Iterable[str]) -> None:
        """Forget upstreams that the site document does not name any more."""
        names = set(wanted)
        for key in [key for key in self._entries if key[0] not in names]:
            del self._entries[key]
        for name in [name for name in self._queues if name not in names]:
            del self._queues[name]

    def _set(self, key: Key, due_ms: int, failures: int, sent: bool = False) -> None:
        self._entries[key] = _Entry(due_ms, failures, sent)
        heapq.heappush(self._queues.setdefault(key[0], []), (due_ms, key[1]))

    def _allowance(self, upstream: str, now_ms: int) -> int:
        """A bucket of one second's worth."""
        since_ms = now_ms - self._credit_ms.get(upstream, now_ms)
        self._credit_ms[upstream] = now_ms
        credit = self._credit.get(upstream, 1.0) + since_ms * PER_SECOND / 1000
        self._credit[upstream] = min(credit, float(PER_SECOND))
        return int(self._credit[upstream])
