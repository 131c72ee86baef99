"""CORE. What the box has seen of one upstream lately: a sliding window of probe outcomes and of real calls.

It counts; it decides nothing. `link` reads the counts. Times are seconds of one monotonic clock, handed in.
A probe that was answered later than `ROUND_TRIP_LIMIT_MS` is counted as lost: a call would have passed the
upstream over by then, so seconds of delay and a black hole are the same thing to a caller.
"""

from collections import deque
from enum import StrEnum

WINDOW_S = 6.0
"""Loss is judged over this span. Simulated with the probe rates of `link`: at 30 % loss the limit is reached after
3.6 s in the median and 8.7 s in the worst of 1,000 runs; at 5 % steady loss not once in 24 hours."""

ROUND_TRIP_LIMIT_MS = 600
"""Answers slower than this count as lost. The time a call gives an upstream to show life (`UPSTREAM_LIFE_MS`), and
about where talking becomes hard: ITU-T G.114 plans for at most 400 ms one way, mouth to ear, codecs included."""

ROUND_TRIPS_KEPT = 256
"""Round trips that median and 99th percentile are taken of: 51 s at the usual five probes a second."""


NEWEST_S = 2.0
"""A round trip older than this says nothing of the line now."""


class Sighting(StrEnum):
    """One thing seen of an upstream. PROBE_* come from the box's own OPTIONS, CALL_* from real transactions."""

    PROBE_ANSWERED = "probe_answered"
    PROBE_LOST = "probe_lost"  # no answer in time
    PROBE_UNSENT = "probe_unsent"  # the send failed at once, the port is closed, the connection broke
    PROBE_OVERLOADED = "probe_overloaded"  # answered 5xx or 408: something lives there but does not serve
    CALL_SERVED = "call_served"  # any reply that is not 5xx, within its time
    CALL_SILENT = "call_silent"  # no sign of life within the step's life_ms
    CALL_OVERLOADED = "call_overloaded"  # 5xx


GOOD = frozenset({Sighting.PROBE_ANSWERED, Sighting.CALL_SERVED})
CALLS = frozenset({Sighting.CALL_SERVED, Sighting.CALL_SILENT, Sighting.CALL_OVERLOADED})

WINDOWED = frozenset(set(Sighting) - {Sighting.CALL_OVERLOADED})
"""A call's 5xx may be about that one call (a full trunk behind the PBX): it counts for `failed_calls` alone."""


class Evidence:
    """Counts of one upstream. `add` as things are seen; every property is as of the last `add`.

    loss_ratio: bad share of the window, 0..1. bad_streak, good_streak: consecutive outcomes of one sort.
    failed_calls: real calls in a row that got nothing useful. probes, answers: since the start, never reset.
    """

    def __init__(self) -> None:
        self._window: deque[tuple[float, bool]] = deque()
        self._bad = 0
        self._round_trips_ms: deque[float] = deque(maxlen=ROUND_TRIPS_KEPT)
        self.bad_streak = 0
        self.good_streak = 0
        self.failed_calls = 0
        self.probes = 0
        self.answers = 0
        self.last_s: float | None = None
        self._answered_s: float | None = None

    def add(self, sighting: Sighting, now_s: float, rtt_ms: float | None = None) -> bool:
        """Count one sighting; returns whether it was good. rtt_ms: of an answered probe; over the limit it is bad."""
        good = sighting in GOOD and (rtt_ms is None or rtt_ms <= ROUND_TRIP_LIMIT_MS)
        self.last_s = now_s
        if rtt_ms is not None:
            self._round_trips_ms.append(rtt_ms)
            self._answered_s = now_s
        if sighting in CALLS:
            self.failed_calls = 0 if good else self.failed_calls + 1
        else:
            self.probes += 1
            self.answers += sighting is Sighting.PROBE_ANSWERED
        if sighting in WINDOWED:
            self._window.append((now_s, good))
            self._bad += not good
            self.good_streak, self.bad_streak = (
                (self.good_streak + 1, 0) if good else (0, self.bad_streak + 1)
            )
        self._drop_older_than(now_s - WINDOW_S)
        return good

    def note_late(self, rtt_ms: float) -> None:
        """A round trip whose probe was already counted as lost: for the figures only."""
        self._round_trips_ms.append(rtt_ms)

    def forget(self) -> None:
        """Empty the window: what an outage looked like says nothing about the time after it."""
        self._window.clear()
        self._bad = 0
        self.failed_calls = 0

    def newest_round_trip_ms(self, now_s: float) -> float | None:
        """The last probe's round trip, None when it is older than `NEWEST_S`."""
        if self._answered_s is None or now_s - self._answered_s > NEWEST_S:
            return None
        return self._round_trips_ms[-1]

    @property
    def seen(self) -> int:
        """Outcomes in the window."""
        return len(self._window)

    @property
    def loss_ratio(self) -> float:
        return self._bad / len(self._window) if self._window else 0.0

    @property
    def round_trip_ms(self) -> float | None:
        """Median of the kept round trips; None before the first answer."""
        return self._percentile(0.5)

    @property
    def round_trip_p99_ms(self) -> float | None:
        """99th percentile of the kept round trips."""
        return self._percentile(0.99)

    def _percentile(self, share: float) -> float | None:
        ordered = sorted(self._round_trips_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def _drop_older_than(self, limit_s: float) -> None:
        while self._window and self._window[0][0] < limit_s:
            _, good = self._window.popleft()
            self._bad -= not good
