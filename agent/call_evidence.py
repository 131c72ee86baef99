"""CORE. What real calls say of the upstreams: folds journal events into sightings. Opens nothing."""

from agent.evidence import Sighting
from agent.journal_events import JournalEvent, Kind, text_of

ATTEMPTS_MAX = 1000
"""Attempts under way that are remembered; the oldest is forgotten first. More calls than a site can place at once."""

SILENT = "no_life"
OVERLOADED = "overloaded"
NO_WORD = frozenset({"full", "cancelled"})
"""Outcomes of a step (`appliance.kamailio.actions.Outcome`). Those in NO_WORD say nothing of the upstream."""


class CallEvidence:
    """Remembers which upstream each call is being tried at. `take` events in the journal's order."""

    def __init__(self) -> None:
        self._attempts: dict[str, str] = {}

    def take(self, event: JournalEvent) -> tuple[str, Sighting] | None:
        """(upstream id, sighting) when the event says something of an upstream."""
        if event.kind is Kind.STEP:
            self._attempts.pop(event.call, None)
            if text_of(event.data, "kind") == "cloud":
                self._remember(event.call, text_of(event.data, "target"))
            return None
        if event.kind is Kind.STEP_END:
            return self._ended(event.call, text_of(event.data, "outcome"))
        if event.kind is Kind.ANSWER:
            return self._ended(event.call, "answered")
        if event.kind is Kind.END:
            self._attempts.pop(event.call, None)
        return None

    def _remember(self, call: str, upstream_id: str) -> None:
        if len(self._attempts) >= ATTEMPTS_MAX:
            self._attempts.pop(next(iter(self._attempts)))
        self._attempts[call] = upstream_id

    def _ended(self, call: str, outcome: str) -> tuple[str, Sighting] | None:
        upstream_id = self._attempts.pop(call, "")
        if not upstream_id or outcome in NO_WORD:
            return None
        if outcome == SILENT:
            return upstream_id, Sighting.CALL_SILENT
        return upstream_id, Sighting.CALL_OVERLOADED if outcome == OVERLOADED else Sighting.CALL_SERVED
