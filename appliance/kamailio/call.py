"""A call while its plan is being made: the facts, what is known of the caller, and how it came to be forwarded."""

from dataclasses import dataclass, replace

from appliance.kamailio.actions import StepKind
from appliance.kamailio.reasons import Reason
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.view import Extension, Policy, View
from appliance.model import CallControl, LinkState

MAX_FORWARDS = 5
"""Forwardings within one call: enough for substitute upon substitute, few enough to end a ring of them within one plan."""

WORTH_TRYING = frozenset({LinkState.UP, LinkState.SUSPECT, LinkState.UNKNOWN})
"""Links that come before the box's own ways. UNKNOWN (the agent is dead) costs one life limit if it is wrong."""

MAY_REACH: dict[Origin, frozenset[StepKind]] = {
    Origin.PHONE: frozenset({StepKind.CLOUD, StepKind.GATEWAY}),
    Origin.UPSTREAM: frozenset({StepKind.GATEWAY}),
    Origin.GATEWAY: frozenset({StepKind.CLOUD}),
    Origin.MEDIA: frozenset({StepKind.CLOUD, StepKind.GATEWAY}),
    Origin.STRANGER: frozenset(),
}
"""Peers that a call of each origin may leave by: never back to where it came from, never from gateway to gateway."""


@dataclass(frozen=True, slots=True)
class Call:
    """caller: the site's extension that calls, or None. payer: extension whose class of service, limits and public number
    hold: the caller, or whoever forwards; None for a group's overflow and for callers from outside.
    forwards: numbers that forwarded this call, oldest first. why: the forwarding that led here, or "".
    listed: the site document names the destination, the caller did not choose it: class of service does not apply.
    features: forwarding and do-not-disturb are the box's business (the cloud's, when the cloud controls calls and asks)."""

    facts: CallFacts
    view: View
    policy: Policy
    caller: Extension | None
    payer: Extension | None
    forwards: tuple[str, ...]
    why: str = ""
    listed: bool = False
    features: bool = True

    def reason(self, reason: Reason) -> str:
        """`reason` with the forwarding that led here before it."""
        return f"{self.why}.{reason}" if self.why else str(reason)

    def may_reach(self, kind: StepKind) -> bool:
        """Whether this call may leave by a peer of `kind`."""
        return kind in MAY_REACH[self.facts.origin]

    def forwarded(self, by: str, why: Reason, payer: Extension | None) -> "Call":
        """This call after number `by` passed it on."""
        return replace(
            self,
            forwards=(*self.forwards, by),
            why=self.reason(why),
            payer=payer,
            listed=payer is None,
            features=True,
        )

    @property
    def is_forwarded(self) -> bool:
        """Whether the box itself forwards this call."""
        return len(self.forwards) > len(self.facts.forwards)

    @property
    def cloud_controls(self) -> bool:
        """Whether the cloud PBX handles calls while it can be reached."""
        return self.policy.call_control is CallControl.CLOUD

    @property
    def survival(self) -> bool:
        """Whether a trunk of the box's own stands in for a cloud that is away. Where the cloud controls calls, the box's
        gateways are only ever used when it is; elsewhere, when every upstream looks down."""
        upstreams = self.policy.upstreams
        if self.cloud_controls:
            return True
        return bool(upstreams) and not any(self.view.link(peer.id) in WORTH_TRYING for peer in upstreams)


def begin(facts: CallFacts, view: View) -> Call:
    """The call as it arrives."""
    policy = view.policy
    own = facts.origin_id if facts.origin is Origin.PHONE else facts.behalf
    caller = view.extension(own) if own else None
    asked_by_cloud = facts.origin is Origin.UPSTREAM and policy.call_control is CallControl.CLOUD
    return Call(
        facts, view, policy, caller, caller, facts.forwards, features=not (asked_by_cloud or facts.bare)
    )
