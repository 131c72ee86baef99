"""CORE. The state of one upstream: evidence, then hysteresis. One table, no clock, no socket.

UP and SUSPECT: Kamailio tries the upstream first (and passes it over within the call when it shows no life).
DOWN and RECOVERING: local first. RECOVERING is the hold-down: the upstream answers again and is not yet trusted
with calls. Registrations of the phones are renewed there by Kamailio, paced, as soon as it reads RECOVERING.
The state saves callers a wait; correctness does not rest on it. A call that is up is never touched by a change.

What is promised (`HoldDown.failbacks_promised`, property-tested): however the line behaves, a failback needs `hold_s` of good
evidence, `hold_s` doubles with each failback up to a cap, and halves only after a long time without an outage.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from agent.evidence import ROUND_TRIP_LIMIT_MS, Evidence, Sighting
from appliance.model import LinkState

PROBE_INTERVAL_S = 0.2
"""Five probes a second: hard loss is certain after `LOST_STREAK` of them; about 36 kbit/s over both directions."""

PROBE_INTERVAL_FAST_S = 0.05
"""After a miss: twenty a second, so that 30 % loss shows within seconds. About the bandwidth of one telephone call."""

FAST_AFTER_MISS_S = 3.0
"""How long one miss keeps the fast rate."""

LOST_STREAK = 5
"""This many probes in a row without an answer are a hard loss: known 0.2 + 4 x 0.2 + 0.6 = 1.6 s after the cut at
the latest. At 5 % random loss that happens by chance once in a week."""

DOUBT_STREAK = 2
"""Two in a row: doubt."""

BROWNOUT_RATIO = 0.20
"""Loss (either direction: a lost request and a lost answer look the same from here) at which new calls go local."""

STRAIN_RATIO = 0.10
"""Loss at which UP becomes SUSPECT, and which a whole hold-down must stay under. Half the limit: hysteresis."""

WINDOW_MINIMUM = 20
"""A ratio of fewer outcomes than this is not judged."""

CLEAR_STREAK = 5
"""Answers in a row (a second of them) that begin the hold-down."""

FAILED_CALLS = 3
"""Real calls in a row that got silence or 5xx although probes are answered: the service is gone, not the line."""

HOLD_BASE_S = 10.0
"""First hold-down."""

HOLD_CAP_S = 1800.0
"""Longest hold-down: 30 minutes."""

SUSPECT_CALM_S = 10.0
"""SUSPECT becomes UP after this long without doubt, so that UP is not announced more than once in ten seconds."""

STABLE_S = 900.0
"""Each quarter of an hour without an outage halves the hold-down."""

LIFE_ROUND_TRIPS = 3
"""A call waits for a sign of life at least this many times the usual round trip (the median: a few slow answers,
as at the end of an outage, must not make the next caller wait)."""


class Event(StrEnum):
    """What evidence amounts to. Names of what was found out, not of what to do."""

    ANSWER = "answer"
    CLEAR = "clear"
    MISS = "miss"
    DOUBT = "doubt"
    BROWNOUT = "brownout"
    LOST = "lost"
    FAILING = "failing"
    HELD = "held"
    STRAINED = "strained"
    SETTLED = "settled"


class Effect(StrEnum):
    """What the machine's owner or the machine itself has to do about a step."""

    ANNOUNCE = "announce"  # tell Kamailio at once, log it, send an event to the centre
    GO_ON = "go_on"  # a failback: what waits out a pause because of the line may go on
    PROBE_FAST = "probe_fast"
    RESTART_STEADY = "restart_steady"
    FORGET = "forget"
    DOUBLE_HOLD = "double_hold"
    HALVE_HOLD = "halve_hold"


_UP, _SUSPECT, _DOWN, _RECOVERING = LinkState.UP, LinkState.SUSPECT, LinkState.DOWN, LinkState.RECOVERING
_STAY: tuple[Effect, ...] = ()
_FALL = (Effect.ANNOUNCE, Effect.RESTART_STEADY)
_DOUBTED = (Effect.ANNOUNCE, Effect.PROBE_FAST, Effect.RESTART_STEADY)

TRANSITIONS: dict[tuple[LinkState, Event], tuple[LinkState, tuple[Effect, ...]]] = {
    (_UP, Event.ANSWER): (_UP, _STAY),
    (_UP, Event.CLEAR): (_UP, _STAY),
    (_UP, Event.MISS): (_UP, (Effect.PROBE_FAST,)),
    (_UP, Event.DOUBT): (_SUSPECT, _DOUBTED),
    (_UP, Event.BROWNOUT): (_DOWN, _FALL),
    (_UP, Event.LOST): (_DOWN, _FALL),
    (_UP, Event.FAILING): (_DOWN, _FALL),
    (_UP, Event.SETTLED): (_UP, (Effect.HALVE_HOLD,)),
    (_SUSPECT, Event.ANSWER): (_SUSPECT, _STAY),
    (_SUSPECT, Event.CLEAR): (_SUSPECT, _STAY),
    (_SUSPECT, Event.MISS): (_SUSPECT, (Effect.PROBE_FAST,)),
    (_SUSPECT, Event.DOUBT): (_SUSPECT, (Effect.PROBE_FAST, Effect.RESTART_STEADY)),
    (_SUSPECT, Event.BROWNOUT): (_DOWN, _FALL),
    (_SUSPECT, Event.LOST): (_DOWN, _FALL),
    (_SUSPECT, Event.FAILING): (_DOWN, _FALL),
    (_SUSPECT, Event.HELD): (_UP, (Effect.ANNOUNCE,)),
    (_DOWN, Event.ANSWER): (_DOWN, _STAY),
    (_DOWN, Event.CLEAR): (_RECOVERING, (Effect.ANNOUNCE, Effect.FORGET, Effect.RESTART_STEADY)),
    (_DOWN, Event.MISS): (_DOWN, _STAY),
    (_DOWN, Event.DOUBT): (_DOWN, _STAY),
    (_DOWN, Event.BROWNOUT): (_DOWN, _STAY),
    (_DOWN, Event.LOST): (_DOWN, _STAY),
    (_DOWN, Event.FAILING): (_DOWN, _STAY),
    (_RECOVERING, Event.ANSWER): (_RECOVERING, _STAY),
    (_RECOVERING, Event.CLEAR): (_RECOVERING, _STAY),
    (_RECOVERING, Event.MISS): (_RECOVERING, (Effect.PROBE_FAST,)),
    (_RECOVERING, Event.DOUBT): (_RECOVERING, (Effect.PROBE_FAST,)),
    (_RECOVERING, Event.BROWNOUT): (_RECOVERING, (Effect.FORGET, Effect.RESTART_STEADY)),
    (_RECOVERING, Event.STRAINED): (_RECOVERING, (Effect.RESTART_STEADY,)),
    (_RECOVERING, Event.LOST): (_DOWN, _FALL),
    (_RECOVERING, Event.FAILING): (_DOWN, _FALL),
    (_RECOVERING, Event.HELD): (_UP, (Effect.ANNOUNCE, Effect.DOUBLE_HOLD, Effect.GO_ON)),
}
"""(state, event) -> (next state, effects). HELD, STRAINED and SETTLED come from `tick`, in the states named here only;
elsewhere they raise `IllegalEvent`."""

RESUME = {_UP: _SUSPECT, _SUSPECT: _SUSPECT, _DOWN: _DOWN, _RECOVERING: _RECOVERING}
"""State before a restart of the agent -> state after it. UP has to be shown again; a hold-down begins anew. Anything
unknown resumes in SUSPECT: the upstream is tried first and doubted, which is right whether it lives or not."""


class IllegalEvent(Exception):
    """An event that cannot happen in this state: a bug in the caller."""

    def __init__(self, state: LinkState, event: Event) -> None:
        super().__init__(f"the link machine cannot take {event.value!r} in state {state.value!r}")


@dataclass(frozen=True, slots=True)
class HoldDown:
    """The hysteresis of one upstream, all in seconds; see the constants for what each is. A site may ask for other
    values; a laboratory that cuts a line fifty times in a row has to."""

    base_s: float = HOLD_BASE_S
    cap_s: float = HOLD_CAP_S
    calm_s: float = SUSPECT_CALM_S
    stable_s: float = STABLE_S

    def hold_s(self, failbacks: int) -> float:
        """Hold-down after so many doublings."""
        return min(self.cap_s, self.base_s * float(2 ** min(failbacks, 30)))

    def failbacks_promised(self, span_s: float) -> int:
        """Most failbacks (RECOVERING to UP) that any `span_s` seconds can hold, whatever the line does.

        One may end a hold-down that began before; each stable time halves once and so allows one repetition; the
        rest must fit their doubling hold-downs into the span."""
        most, spent_s = 1 + int(span_s // self.stable_s), 0.0
        for doublings in range(1, 1 + int(span_s // self.base_s)):
            spent_s += self.hold_s(doublings)
            if spent_s > span_s:
                break
            most += 1
        return most


@dataclass(frozen=True, slots=True)
class LinkMemory:
    """What outlives a restart of the agent. failbacks: how often the hold-down has been doubled."""

    state: str
    failbacks: int = 0


class Link:
    """One upstream's machine. Feed it sightings and ticks with the time; it answers with effects for its owner.

    state, since_s: now and since when. reason: the event that led here. transitions: (from, to) -> count.
    """

    def __init__(
        self,
        upstream_id: str,
        now_s: float,
        memory: LinkMemory | None = None,
        hold_down: HoldDown | None = None,
    ) -> None:
        self.upstream_id = upstream_id
        self.hold_down = hold_down or HoldDown()
        self.evidence = Evidence()
        self.state = _resumed(memory)
        self.since_s = now_s
        self.reason = "start"
        self.failbacks = memory.failbacks if memory else 0
        self.transitions: dict[tuple[LinkState, LinkState], int] = {}
        self._steady_since_s = now_s
        self._stable_since_s = now_s
        self._probes_at_steady = 0
        self._answers_at_steady = 0
        self._fast_until_s = now_s

    @property
    def memory(self) -> LinkMemory:
        return LinkMemory(self.state.value, self.failbacks)

    @property
    def hold_s(self) -> float:
        """Length of the hold-down in force, in seconds."""
        return self.hold_down.hold_s(self.failbacks)

    def hold_left_s(self, now_s: float) -> float:
        """Seconds of good evidence still wanted before UP; 0 outside RECOVERING."""
        if self.state is not _RECOVERING:
            return 0.0
        return max(0.0, self.hold_s - (now_s - self._steady_since_s))

    def probe_interval_s(self, now_s: float) -> float:
        """Seconds until the next probe is due."""
        return PROBE_INTERVAL_FAST_S if now_s < self._fast_until_s else PROBE_INTERVAL_S

    def life_ms(self, stated_ms: int) -> int:
        """How long a call waits for a sign of life: the stated time, never below three round trips."""
        usual_ms = min(self.evidence.round_trip_ms or 0.0, float(ROUND_TRIP_LIMIT_MS))
        return max(stated_ms, math.ceil(LIFE_ROUND_TRIPS * usual_ms))

    def observe(self, sighting: Sighting, now_s: float, rtt_ms: float | None = None) -> tuple[Effect, ...]:
        """Take one sighting into account; returns the effects of the step that it led to."""
        good = self.evidence.add(sighting, now_s, rtt_ms)
        return self.step(self._judge(good), now_s)

    def tick(self, now_s: float) -> tuple[Effect, ...]:
        """Take the passing of time into account. To be called about once a second."""
        steady_s = now_s - self._steady_since_s
        if self.state is _RECOVERING and steady_s >= self.hold_s:
            if not self._steady_enough():
                return self.step(Event.STRAINED, now_s)
            return self.step(Event.HELD, now_s) if self._good_now() else ()
        if self.state is _SUSPECT and steady_s >= self.hold_down.calm_s:
            return self.step(Event.HELD, now_s) if self._steady_enough() and self._good_now() else ()
        if self.state is _UP and self.failbacks and now_s - self._stable_since_s >= self.hold_down.stable_s:
            return self.step(Event.SETTLED, now_s)
        return ()

    def step(self, event: Event, now_s: float) -> tuple[Effect, ...]:
        """One step of the table. Raises `IllegalEvent`."""
        if (self.state, event) not in TRANSITIONS:
            raise IllegalEvent(self.state, event)
        before = self.state
        self.state, effects = TRANSITIONS[before, event]
        if self.state is not before:
            self.transitions[before, self.state] = self.transitions.get((before, self.state), 0) + 1
            self.since_s, self.reason = now_s, event.value
            if self.state is _DOWN or before is _RECOVERING:
                self._stable_since_s = now_s
        for effect in effects:
            self._apply(effect, now_s)
        return effects

    def _judge(self, good: bool) -> Event:
        """The strongest thing that the evidence says right now."""
        seen = self.evidence
        if seen.bad_streak >= LOST_STREAK:
            return Event.LOST
        if self.state is _DOWN:  # its window still holds the outage: only what comes in a row counts
            return Event.CLEAR if seen.good_streak >= CLEAR_STREAK else Event.ANSWER if good else Event.MISS
        if seen.failed_calls >= FAILED_CALLS:
            return Event.FAILING
        ratio = seen.loss_ratio if seen.seen >= WINDOW_MINIMUM else 0.0
        if ratio >= BROWNOUT_RATIO:
            return Event.BROWNOUT
        if ratio >= STRAIN_RATIO or seen.bad_streak >= DOUBT_STREAK:
            return Event.DOUBT
        if not good:
            return Event.MISS
        return Event.CLEAR if seen.good_streak >= CLEAR_STREAK else Event.ANSWER

    def _steady_enough(self) -> bool:
        """Answers came, and loss since the steady time began stayed under the strain limit."""
        probes = self.evidence.probes - self._probes_at_steady
        answers = self.evidence.answers - self._answers_at_steady
        return answers >= CLEAR_STREAK and probes - answers < STRAIN_RATIO * probes

    def _good_now(self) -> bool:
        """The last outcomes are good too: no failback into an outage that has just begun."""
        return self.evidence.good_streak > 0 and self.evidence.loss_ratio < STRAIN_RATIO

    def _apply(self, effect: Effect, now_s: float) -> None:
        """The machine's own share of an effect; ANNOUNCE and GO_ON are its owner's."""
        match effect:
            case Effect.PROBE_FAST:
                self._fast_until_s = now_s + FAST_AFTER_MISS_S
            case Effect.RESTART_STEADY:
                self._steady_since_s = now_s
                self._probes_at_steady, self._answers_at_steady = self.evidence.probes, self.evidence.answers
            case Effect.FORGET:
                self.evidence.forget()
            case Effect.DOUBLE_HOLD:
                self.failbacks += self.hold_s < self.hold_down.cap_s
            case Effect.HALVE_HOLD:
                self.failbacks -= 1
                self._stable_since_s = now_s


def _resumed(memory: LinkMemory | None) -> LinkState:
    known = {state.value: resumed for state, resumed in RESUME.items()}
    return known.get(memory.state, _SUSPECT) if memory else _SUSPECT
