"""The channels of gateways and the calls with the outside, as the steps of a plan take them and give them back.

Adapter over `Channels` for the call at hand; `channels.give_way` says which call an emergency call ends. Nothing here waits.
"""

from appliance.kamailio.actions import HERE, Outcome, Plan, Step, StepKind
from appliance.kamailio.answer import Journal
from appliance.kamailio.call_key import call_key
from appliance.kamailio.causes import Cause
from appliance.kamailio.channels import Channels
from appliance.kamailio.hangup import hang_up
from appliance.kamailio.here import peer_of
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.request import Origin
from appliance.kamailio.view import View
from appliance.model import NumberKind

INSIDE = HERE | {NumberKind.REMOTE_EXTENSION}
"""Kinds of number whose calls do not count as calls with the outside."""

PREEMPTED_REASON = 'preemption ;cause=4 ;text="Non-IP Preemption"'
"""RFC 4411 section 3: why the BYE comes."""

PREEMPT_TRIES = 3
"""Lower calls that one emergency call may end on one gateway: some gateways free a channel only after a moment."""


class Seizing:
    """Of one worker, for the call of the current stage."""

    def __init__(self, ksr: KsrCall, view: View, channels: Channels, journal: Journal) -> None:
        self._ksr = ksr
        self._view = view
        self._channels = channels
        self._journal = journal

    def seize(self, plan: Plan, step: Step) -> bool:
        """Whether the gateway has a channel left; an emergency call makes one free."""
        peer = peer_of(step.target, self._view.policy)
        if peer is None or not peer.max_calls:
            return True
        if self._channels.calls_on(step.target) < peer.max_calls:
            return True
        return step.preempt and self._preempt(step.target)

    def _preempt(self, gateway: str) -> bool:
        """End one lower call on a gateway. False: there is none."""
        line = self._channels.free_one(gateway)
        if line is None:
            return False
        lower = call_key(line.call_id, line.from_tag)
        if line.talking:
            hang_up(self._ksr, self._journal, line.row, Cause.PREEMPTED, PREEMPTED_REASON)
        else:
            self._ksr.keep("ending", lower, Cause.PREEMPTED)
            self._ksr.cancel_call(line.call_id, line.cseq)
        self._journal.put(
            "emergency",
            self._ksr.get("call"),
            {"preempted": lower, "gateway": gateway, "talking": line.talking},
        )
        return True

    def count(self, plan: Plan, index: int, enter: bool) -> None:
        """Count the call in, or out, where step `index` goes. The second pass of a call is counted with its first."""
        step, channels = plan.steps[index], self._channels
        if self._ksr.get("again"):
            return
        if step.kind is StepKind.GATEWAY:
            channels.enter(step.target, plan.emergency) if enter else channels.leave(
                step.target, plan.emergency
            )
        if step.kind in (StepKind.CLOUD, StepKind.GATEWAY) and plan.kind not in INSIDE:
            origin, _, origin_id = self._ksr.get("origin").partition(" ")
            payer = origin_id if origin == Origin.PHONE else self._ksr.get("payer")
            channels.enter_outside(payer) if enter else channels.leave_outside(payer)

    def gives_way(self, plan: Plan, step: Step, outcome: Outcome) -> bool:
        """Whether a gateway that says it is full is tried again for an emergency call, after a lower call was ended."""
        if not (plan.emergency and step.preempt) or outcome not in (
            Outcome.OVERLOADED,
            Outcome.BUSY,
            Outcome.FULL,
        ):
            return False
        tries = int(self._ksr.get("preempts") or 0)
        if tries >= PREEMPT_TRIES or not self._preempt(step.target):
            return False
        self._ksr.put("preempts", str(tries + 1))
        self._ksr.drop_replies()
        return True
