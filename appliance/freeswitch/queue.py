"""Queues of callers: who waits in which order, and which agent is called next. Pure.

A caller's dialplan asks every two seconds what to do (`Waiting.ask`), so whoever stops asking is gone; nothing has to be
told when a caller hangs up. The order is that in which callers came, agents are called longest idle first, and each of the
first callers may ring an agent of his own at the same time. Times are monotonic seconds; only the moment at which a caller
came is wall time, because it travels with the call and so outlives this process.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

SILENT_MAX_S = 8.0
"""A caller who has not asked for so long is gone: he asks every 2 s, and says an announcement in between."""

UNANSWERED_REST_S = 20.0
"""An agent who did not answer is called again after so long, when others are free before him."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue of the site document. agents: extensions. ring_s: how long one agent is rung. rest_s: between the end of a
    call and the next one. waiting_max: callers beyond are led out as `full`. timeout_s: the longest wait. place_every_s:
    between two announcements of the place, 0 for none."""

    id: str
    name: str
    agents: tuple[str, ...]
    ring_s: int = 15
    rest_s: int = 5
    waiting_max: int = 20
    timeout_s: int = 300
    place_every_s: int = 30


class Do(StrEnum):
    """What a caller's dialplan does next. WAIT: hear music. SAY: hear his place, then music. RING: be connected with
    `agent`. The others lead out of the queue."""

    WAIT = "wait"
    SAY = "say"
    RING = "ring"
    TIMEOUT = "timeout"
    FULL = "full"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to a caller. agent: who is called (RING). place: 1 for the next (SAY)."""

    do: Do
    agent: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What branches look at. longest_s: how long the first has waited."""

    waiting: int
    agents: int
    longest_s: int


@dataclass(slots=True)
class _Caller:
    since_utc: float
    seen_s: float
    told_place_s: float


@dataclass(slots=True)
class _Call:
    """A caller who was sent to an agent."""

    caller: str
    answered: bool = False


@dataclass(slots=True)
class Waiting:
    """One queue's callers and agents. Callers are named by their leg's id."""

    queue: Queue
    _callers: dict[str, _Caller] = field(default_factory=dict)
    _calls: dict[str, _Call] = field(default_factory=dict)
    _idle_since_s: dict[str, float] = field(default_factory=dict)
    _rests_until_s: dict[str, float] = field(default_factory=dict)

    def ask(
        self, caller: str, since_utc: float, reachable: frozenset[str], now_s: float, now_utc: float
    ) -> Told:
        """What a caller does next. since_utc: when he came. reachable: agents whose telephones are there."""
        self._forget(now_s)
        self._unanswered(caller, now_s)
        known = self._callers.get(caller)
        if known is None:
            if len(self._callers) >= self.queue.waiting_max:
                return Told(Do.FULL)
            known = self._callers[caller] = _Caller(since_utc, now_s, now_s)
        known.seen_s = now_s
        if not reachable & set(self.queue.agents):
            del self._callers[caller]
            return Told(Do.NOBODY)
        if now_utc - known.since_utc >= self.queue.timeout_s:
            del self._callers[caller]
            return Told(Do.TIMEOUT)
        place = self._order().index(caller)
        free = self.free(reachable, now_s)
        if place < len(free):
            return self._ring(caller, free[place])
        if self.queue.place_every_s and now_s - known.told_place_s >= self.queue.place_every_s:
            known.told_place_s = now_s
            return Told(Do.SAY, place=place + 1)
        return Told(Do.WAIT)

    def free(self, reachable: frozenset[str], now_s: float) -> list[str]:
        """Agents who can be called, longest idle first; those who were never called come first, in the document's order."""
        able = [
            agent
            for agent in self.queue.agents
            if agent in reachable
            and agent not in self._calls
            and self._rests_until_s.get(agent, now_s) <= now_s
        ]
        return sorted(able, key=lambda agent: self._idle_since_s.get(agent, float("-inf")))

    def figures(self, reachable: frozenset[str], now_s: float, now_utc: float) -> Figures:
        """The queue as it is now."""
        self._forget(now_s)
        waits = [now_utc - caller.since_utc for caller in self._callers.values()]
        agents = len(reachable & set(self.queue.agents))
        return Figures(len(waits), agents, max(0, round(max(waits, default=0.0))))

    def connected(self) -> Iterable[str]:
        """Legs of callers who ring or talk to an agent: whoever runs the queue looks whether they are still there."""
        return [call.caller for call in self._calls.values()]

    def looked(self, caller: str, exists: bool, talks: bool, now_s: float) -> None:
        """What has become of such a caller. An agent is idle from the moment at which his call is seen to have ended."""
        for agent, call in [*self._calls.items()]:
            if call.caller != caller:
                continue
            ended = call.answered and not talks
            call.answered = call.answered or talks
            if not exists or ended:
                del self._calls[agent]
                # A short call may have ended before anybody looked: the agent was disturbed either way.
                self._idle_since_s[agent] = now_s
                self._rests_until_s[agent] = now_s + self.queue.rest_s

    def take_over(self, before: "Waiting") -> None:
        """Go on with callers and agents of an older version of the queue."""
        self._callers, self._calls = before._callers, before._calls
        self._idle_since_s, self._rests_until_s = before._idle_since_s, before._rests_until_s

    def _ring(self, caller: str, agent: str) -> Told:
        del self._callers[caller]
        self._calls[agent] = _Call(caller)
        return Told(Do.RING, agent=agent)

    def _unanswered(self, caller: str, now_s: float) -> None:
        """A caller who was sent to an agent and asks again was not answered: the agent rests."""
        for agent, call in [*self._calls.items()]:
            if call.caller == caller:
                del self._calls[agent]
                self._rests_until_s[agent] = now_s + UNANSWERED_REST_S
                self._idle_since_s[agent] = now_s

    def _order(self) -> list[str]:
        return sorted(self._callers, key=lambda name: self._callers[name].since_utc)

    def _forget(self, now_s: float) -> None:
        gone = [name for name, caller in self._callers.items() if now_s - caller.seen_s > SILENT_MAX_S]
        for name in gone:
            del self._callers[name]
