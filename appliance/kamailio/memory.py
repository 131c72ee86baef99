"""Decisions that were made before: people call the same people again. Pure.

A plan follows from the call's facts, from one version of the site document and of what telephones set, and from what it asked
of the moment (links, calls that are up). All are compared before a plan is used again; what was asked is asked anew each time.
"""

from dataclasses import dataclass
from typing import Any

from appliance.kamailio.actions import Plan
from appliance.kamailio.request import CallFacts
from appliance.kamailio.routing import decide
from appliance.kamailio.view import Extension, Group, Policy, View
from appliance.model import LinkState

KEPT_MAX = 4_096
"""Plans kept, about 1 kB each."""

Answer = tuple[str, tuple[str | int, ...], Any]
"""Name of a `View` method, its arguments, what it said."""


class Witness:
    """A `View` that notes what it is asked of the moment."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.said: list[Answer] = []

    def _ask(self, method: str, *arguments: str | int) -> Any:
        answer = getattr(self._view, method)(*arguments)
        self.said.append((method, arguments, answer))
        return answer

    @property
    def policy(self) -> Policy:
        """As in `View`, like all that follows."""
        return self._view.policy

    @property
    def generation(self) -> str:
        """As in `View`."""
        return self._view.generation

    def document_extension(self, number: str) -> Extension | None:
        """Of the site document."""
        return self._view.document_extension(number)

    def extension(self, number: str) -> Extension | None:
        """Of the site document."""
        return self._view.extension(number)

    def group(self, number: str) -> Group | None:
        """Of the site document."""
        return self._view.group(number)

    def remote_extension(self, number: str) -> str | None:
        """Of the site document."""
        return self._view.remote_extension(number)

    def extension_of(self, public_number: str) -> str | None:
        """Of the site document."""
        return self._view.extension_of(public_number)

    def link(self, upstream_id: str) -> LinkState:
        """Of the moment."""
        return LinkState(self._ask("link", upstream_id))

    def life_ms(self, upstream_id: str) -> int:
        """Of the moment."""
        return int(self._ask("life_ms", upstream_id))

    def registered(self, number: str) -> bool:
        """Of the moment."""
        return bool(self._ask("registered", number))

    def calls_on(self, gateway_id: str) -> int:
        """Of the moment."""
        return int(self._ask("calls_on", gateway_id))

    def outside_calls_of(self, extension: str) -> int:
        """Of the moment."""
        return int(self._ask("outside_calls_of", extension))

    def outside_calls(self) -> int:
        """Of the moment."""
        return int(self._ask("outside_calls"))

    def in_call(self, extension: str) -> bool:
        """Of the moment."""
        return bool(self._ask("in_call", extension))

    def wish(self, what: str, extension: str) -> str:
        """Of the moment."""
        return str(self._ask("wish", what, extension))

    def person_at(self, phone: str) -> str:
        """Of the moment."""
        return str(self._ask("person_at", phone))

    def tries(self, key: str) -> int:
        """Of the moment."""
        return int(self._ask("tries", key))

    def last_caller(self, extension: str) -> str:
        """Of the moment."""
        return str(self._ask("last_caller", extension))

    def emergency_within(self, seconds: int) -> bool:
        """Of the moment."""
        return bool(self._ask("emergency_within", seconds))

    def idle_since_ms(self, extension: str) -> int:
        """Of the moment."""
        return int(self._ask("idle_since_ms", extension))


@dataclass(frozen=True, slots=True)
class Kept:
    """A plan, and the moment's answers that it rests on."""

    plan: Plan
    said: tuple[Answer, ...]


class Memory:
    """One worker's decisions under one version of the site document."""

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._generation = ""
        self._kept: dict[CallFacts, Kept] = {}

    def decide(self, facts: CallFacts, view: View) -> Plan:
        """As `routing.decide`. The same object for the same call, as long as nothing has changed."""
        if view.policy is not self._policy or view.generation != self._generation:
            self._policy, self._generation = view.policy, view.generation
            self._kept.clear()
        kept = self._kept.get(facts)
        if kept is not None and (
            not kept.said or all(getattr(view, ask)(*of) == said for ask, of, said in kept.said)
        ):
            return kept.plan
        witness = Witness(view)
        plan = decide(facts, witness)
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[facts] = Kept(plan, tuple(witness.said))
        return plan
