"""Performs a call's plan: one step after the other, within the one transaction of the caller's INVITE.

Adapter between `decide` and Kamailio. The plan lies beside the transaction (AVP), because the next step is often taken
by another worker or by the timer process. A step begins in the request stage or in the failure stage (`_walk`); what
holds for one target only, such as the caller it is shown, is written in the branch stage and touches no other branch.

Nothing here waits. Every path ends in a step under way or in a reply.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

from appliance.freeswitch.names import ANNOUNCED_HEADER, BEHALF_HEADER, CALL_HEADER, NAME_HEADER, PLAIN_HEADER
from appliance.kamailio import (
    announcement,
    callback,
    caller_id,
    ksr_call,
    recording_order,
    refusals,
    telling,
)
from appliance.kamailio.actions import CallerId, Outcome, Plan, Step, StepKind, advance
from appliance.kamailio.answer import Answering, Journal
from appliance.kamailio.call_events import of_message, of_start, of_step, of_step_end
from appliance.kamailio.call_key import call_key
from appliance.kamailio.causes import Cause
from appliance.kamailio.channels import EMERGENCY_KEY, Channels
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.desks import Desks
from appliance.kamailio.facts import digits_of
from appliance.kamailio.here import Here, peer_of, transport_of, with_user
from appliance.kamailio.kept import GENERATION, Kept
from appliance.kamailio.kept import TABLE as KEPT
from appliance.kamailio.ksr_call import KsrCall, Target
from appliance.kamailio.media import MediaPath
from appliance.kamailio.orders import Orders
from appliance.kamailio.outcome import RETRANSMIT_MS, Ending, limits_of, outcome_of
from appliance.kamailio.pickup import (
    Order,
    address,
    asked_by_lamp,
    asked_of,
    met,
    taken_plan,
    token_of,
    waiting_key,
)
from appliance.kamailio.plain_call import PlainCalls
from appliance.kamailio.plan_codec import decode, encode
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.seizing import Seizing
from appliance.kamailio.subscribe import QUEUE as LAMPS_QUEUE
from appliance.kamailio.transfer import owner, read_replaces
from appliance.kamailio.turns import groups_in, key_of, turned
from appliance.kamailio.view import View
from appliance.model import LinkState, NumberKind, UpstreamAuth

LINK_HEADER = "X-Kyusai-Link"
"""Tells FreeSWITCH how the line to the cloud was when the call came; flows branch on it."""

WHY_HEADER = "X-Kyusai-Why"
"""Tells FreeSWITCH why the plan leads to it, such as "forward_busy.application": voicemail greets accordingly."""

LAST_WORD = {
    Outcome.NO_LIFE: (503, "Service Unavailable"),
    Outcome.OVERLOADED: (503, "Service Unavailable"),
    Outcome.FULL: (503, "All Channels Busy"),
    Outcome.NO_CONTACT: (480, "Temporarily Unavailable"),
    Outcome.NO_ANSWER: (480, "No Answer"),
    Outcome.BUSY: (486, "Busy Here"),
    Outcome.REFUSED: (603, "Declined"),
    Outcome.DONE: (480, "Done"),
}
"""What the caller hears when a plan has no step left for an outcome that no reply stands for."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the stages of a call share in one worker."""

    ksr: KsrCall
    view: View
    here: Here
    journal: Journal
    channels: Channels
    media: MediaPath
    kept: Kept
    desks: Desks


class Calls:
    """The stages of an initial INVITE: request (`begin`), branch, reply and failure."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ksr = parts.ksr
        self._answering = Answering(parts.ksr, parts.journal, parts.here)
        self._orders = Orders(parts.ksr, parts.view, parts.kept, parts.desks, parts.journal)
        self._seizing = Seizing(parts.ksr, parts.view, parts.channels, parts.journal)
        self._plain = PlainCalls(parts.ksr, parts.view, parts.media, parts.desks)

    # request stage

    def begin(self, facts: CallFacts, plan: Plan) -> bool:
        """Take a new call in hand and perform its plan. `facts.origin` is proved by now. False: the call is plain, routes.cfg
        takes it in hand (`unsent_stage` if it cannot send it)."""
        plain = self._plain.look(facts, plan)
        if plain is not None:
            self._plain.hand_over(facts, plan, plain)
            return False
        self._begin(facts, plan)
        return True

    def unsent_stage(self) -> None:
        """A plain call could not be sent to any of its telephones: on with its plan."""
        self._walk(decode(self._ksr.get("plan")), 0, Outcome.NO_CONTACT)

    def _begin(self, facts: CallFacts, plan: Plan) -> None:
        ksr = self._ksr
        call = self._call()
        again = facts.origin is Origin.UPSTREAM and bool(ksr.look("pass", call))
        if again:
            plan = self._on_its_way_back(call, plan)
        if facts.origin is not Origin.STRANGER:
            ksr.remove_all(caller_id.UNTRUSTED)
        part_of = heard = payer = ""
        taken = None
        if facts.origin is Origin.MEDIA:
            part_of = ksr.header(CALL_HEADER)
            heard = announcement.YES if ksr.header(ANNOUNCED_HEADER) in announcement.HEARD else ""
            taken = self._announced(facts.dialled, part_of)
            if taken is not None:
                dialled, payer, plan = taken
                heard = "" if plan.tell else announcement.YES
                facts = replace(facts, dialled=dialled)
            ksr.remove(CALL_HEADER)
            ksr.remove_all((BEHALF_HEADER, PLAIN_HEADER, ANNOUNCED_HEADER, NAME_HEADER))
            if facts.behalf and self._parts.view.wish(callback.PENDING, facts.behalf) == facts.dialled:
                ksr.forget(callback.PENDING, facts.behalf)
        if not ksr.begin():
            return
        if facts.origin is Origin.PHONE:
            plan = self._picked_by_lamp() or self._replaced(call, facts, plan)
        refused = ""
        if plan.record:
            refused = recording_order.refused(ksr.look)
            plan = self._replacing(facts, plan)
        if refused:
            plan = replace(plan, record=False)
        if taken is None:
            plan = self._turned(plan)
        if announcement.leads(plan):
            plan, heard = self._announcing(facts, plan, heard)
        if not again:
            self._hold_recording(plan)
        ksr.put("plan", encode(plan))
        if heard or payer:
            ksr.put("heard", heard)
            ksr.put("payer", payer)
        ksr.put("call", call)
        ksr.put("origin", f"{facts.origin} {facts.origin_id}")
        if facts.origin is not Origin.PHONE:
            ksr.put("caller", facts.caller)
        ksr.put("again", "1" if again else "")
        if facts.origin is Origin.PHONE:
            ksr.alias_contact()
        if not again:
            self._open(call, facts, plan, refused, part_of)
        self._parts.media.caller(facts)
        self._walk(plan, 0)

    def _open(self, call: str, facts: CallFacts, plan: Plan, recording_refused: str, part_of: str) -> None:
        ksr = self._ksr
        ksr.track()
        ksr.note("call", call)
        if facts.origin is Origin.PHONE:
            ksr.keepalive("src")
        if facts.origin is Origin.GATEWAY:
            self._parts.channels.enter(facts.origin_id, plan.emergency)
        source = f"{ksr.pv('$proto')}:{ksr.pv('$si')}:{ksr.pv('$sp')}"
        data = of_message(ksr.pv("$ci"), ksr.pv("$ft"), source, self._link())
        data |= of_start(facts, plan, recording_refused)
        if part_of:
            data["part_of"] = part_of
        self._parts.journal.put("start", call, data)
        if plan.emergency:
            self._parts.kept.put(EMERGENCY_KEY, str(int(time.time())))
            self._parts.journal.put("emergency", call, {"caller": facts.caller, "dialled": facts.dialled})

    def _on_its_way_back(self, call: str, plan: Plan) -> Plan:
        """The plan of a call that a cloud sends back. Who has to be told of it, and when, the first pass has decided."""
        recorded = self._parts.media.is_recorded(call)
        if announcement.leads(plan):
            plan = announcement.rest(plan, recorded)
        return replace(plan, record=plan.record or recorded, tell=False)

    def _announced(self, dialled: str, part_of: str) -> tuple[str, str, Plan] | None:
        """What FreeSWITCH goes on with after an announcement: what was dialled, who pays, and the rest of the plan."""
        if dialled not in (announcement.ANNOUNCED, announcement.UNANNOUNCED):
            return None
        key = announcement.key(part_of)
        taken = announcement.taken(self._ksr.look("sdp", key))
        if taken is None:
            return None
        self._ksr.forget("sdp", key)
        said, payer, plan = taken
        return said, payer, replace(plan, tell=plan.tell or dialled == announcement.UNANNOUNCED)

    def _announcing(self, facts: CallFacts, plan: Plan, heard: str) -> tuple[Plan, str]:
        """A plan that begins with an announcement: without it where it is not wanted any more, or cannot be had. The other
        value: see `announcement.YES`."""
        if heard or not plan.record:
            return announcement.rest(plan, plan.record), heard
        if announcement.way_of(plan.steps[0]) is not announcement.Way.SAID:
            payer = facts.origin_id if facts.origin is Origin.PHONE else facts.behalf
            self._ksr.keep(
                "sdp", announcement.key(self._ksr.pv("$ci")), announcement.kept(facts.dialled, payer, plan)
            )
        return plan, ""

    def _after_announcement(self, plan: Plan, index: int, outcome: Outcome) -> Plan:
        """The plan once a step has ended: what was not said to its end is said after the answer."""
        if not announcement.is_announcement(plan.steps[index]):
            return plan
        if outcome is Outcome.DONE:
            self._ksr.put("heard", announcement.YES)
            return plan
        # A FreeSWITCH that wakes up late must find nobody to call.
        self._ksr.forget("sdp", announcement.key(self._ksr.pv("$ci")))
        plan = replace(plan, tell=plan.record)
        self._ksr.put("plan", encode(plan))
        self._hold_recording(plan)
        return plan

    def _replacing(self, facts: CallFacts, plan: Plan) -> Plan:
        """A recorded plan whose INVITE takes the place of another call."""
        if not self._ksr.header("Replaces"):
            return plan
        return announcement.replacing(plan, self._level(plan, facts.origin_id, *facts.forwards))

    def _level(self, plan: Plan, *others: str) -> str:
        """Who is told of a call: see `announcement.level_of`."""
        view = self._parts.view
        rung = {user for step in plan.steps if step.kind is StepKind.CONTACTS for user in step.users}
        found = (view.extension(number) for number in {*rung, plan.number, *others} if number)
        return announcement.level_of(view.policy.announce, [one for one in found if one])

    def _hold_recording(self, plan: Plan) -> None:
        """Not before somebody was told of it does the recording begin."""
        if plan.record and plan.tell:
            self._ksr.keep(recording_order.PAUSED, self._ksr.pv("$ci"), recording_order.UNTOLD)

    def _picked_by_lamp(self) -> Plan | None:
        """The plan of an INVITE that takes over a call that a lamp has named; None: it does not."""
        plan = asked_by_lamp(self._ksr.header("Replaces"))
        if plan is not None:
            self._ksr.remove("Replaces")
        return plan

    def _turned(self, plan: Plan) -> Plan:
        """The plan with the next member of each group that goes round in the first place."""
        ksr = self._ksr
        for group in groups_in(plan):
            found = self._parts.view.group(group)
            key = key_of(group)
            ksr.lock(key)
            try:
                plan, first = turned(plan, group, ksr.look(KEPT, key), found.members if found else ())
                ksr.keep(KEPT, key, first)
            finally:
                ksr.unlock(key)
            ksr.queue(KEPT, key, "1")
        return plan

    def _replaced(self, call: str, facts: CallFacts, plan: Plan) -> Plan:
        """The plan of an INVITE that takes over a call: it goes to the telephone that holds that call's dialog, whatever
        name of it the transfer gave. Of a dialog that the box does not know, the cloud may know more: `plan` stays."""
        replaces = read_replaces(self._ksr.header("Replaces"))
        user = owner(replaces, self._ksr.look("legs", replaces.call_id)) if replaces else ""
        if not user:
            return plan
        self._parts.journal.put("transfer", call, {"to": user, "kind": "replaces", "by": facts.origin_id})
        step = Step(StepKind.CONTACTS, "", (user,), "transfer", caller=CallerId(facts.origin_id))
        return Plan(NumberKind.EXTENSION, user, (step,), plan.record)

    def _link(self) -> str:
        upstreams = self._parts.view.policy.upstreams
        return self._parts.view.link(upstreams[0].id) if upstreams else ""

    # steps

    def _walk(self, plan: Plan, index: int, outcome: Outcome | None = None) -> None:
        """Begin step `index`; where it cannot even begin, the next, until one is under way or the call is answered. outcome:
        how that step has ended already."""
        while True:
            if self._ksr.canceled():
                self._finish(487)
                return
            outcome = outcome or self._try(plan, index)
            if outcome is None:
                return
            self._step_end(index, outcome, 0)
            plan = self._after_announcement(plan, index, outcome)
            later = advance(plan, index, outcome)
            if later is None:
                code, reason = LAST_WORD[outcome]
                self.refuse(code, reason)
                return
            index, outcome = later, None

    def _try(self, plan: Plan, index: int) -> Outcome | None:
        """Begin one step. None: it is under way, or the caller is answered."""
        step = plan.steps[index]
        self._step_begin(index, step)
        if step.kind is StepKind.REJECT:
            if not self._say_why(plan, step.code, step.reason):
                words = step.reason.replace("_", " ").replace(".", " ").capitalize() or "Rejected"
                self.refuse(step.code, words)
            return None
        if step.kind is StepKind.SET:
            self._orders.carry_out(self._ksr.get("call"), step, self._ksr.get("origin").partition(" ")[2])
            return Outcome.DONE
        targets = self._targets(step)
        if not targets:
            return Outcome.NO_CONTACT if step.kind is StepKind.CONTACTS else Outcome.NO_LIFE
        if step.kind is StepKind.GATEWAY and not self._seizing.seize(plan, step):
            return Outcome.FULL
        return None if self._send(plan, index, targets) else self._unsent(plan, step)

    def _targets(self, step: Step) -> list[Target]:
        policy = self._parts.view.policy
        if step.kind is StepKind.CONTACTS:
            found = [target for user in step.users for target in self._telephones(user, policy.domain)]
            return found[: ksr_call.CONTACTS_MAX]
        if step.kind is StepKind.MEDIA:
            return self._media_targets(step)
        peer = peer_of(step.target, policy)
        if peer is None:
            return []
        sock = self._parts.here.sock(peer.network, transport_of(peer.uri))
        return [Target(with_user(peer.uri, step.users[0]), step.users[0], sock=sock)]

    def _telephones(self, user: str, domain: str) -> list[Target]:
        """Where an extension rings: at the telephone that its owner is logged in at, or at its own."""
        self._parts.kept.refresh()  # a later step may begin in another process than the first
        phone = self._parts.desks.phone_of(user)
        if not phone:
            return self._ksr.contacts(user, domain)
        return [target._replace(user=user) for target in self._ksr.contacts(phone, domain)]

    def _media_targets(self, step: Step) -> list[Target]:
        """FreeSWITCH, where the box has one."""
        here = self._parts.here
        self._wish(step)
        uri = with_user(f"sip:{here.media}", address(step, self._ksr.get("call")))
        return [Target(uri, step.users[-1], sock=here.sock("media"))] if here.media else []

    def _wish(self, step: Step) -> None:
        """Note whom the caller is to be connected with, or that nobody is wanted any more."""
        if step.target in (callback.SET, callback.CANCEL):
            origin, _, own = self._ksr.get("origin").partition(" ")
            if origin != Origin.PHONE:
                return
            wanted, pending = (
                self._parts.view.wish(what, own) for what in (callback.WANTED, callback.PENDING)
            )
            noted = callback.noted(step.target, wanted, pending)
            if noted:
                self._ksr.keep(callback.PENDING, own, noted)
                self._ksr.keep(GENERATION, callback.UNTIL, str(int(time.time()) + callback.LIFE_S))

    def _send(self, plan: Plan, index: int, targets: list[Target]) -> bool:
        ksr = self._ksr
        ksr.take_back()
        ksr.put("step", str(index))
        ksr.put("rang", "")
        limits = limits_of(plan, index)
        ksr.arm(ksr_call.FAILURE, ksr_call.REPLY, ksr_call.BRANCH)
        ksr.limits(limits.progress_ms, limits.life_ms)
        if plan.steps[index].kind in (StepKind.CLOUD, StepKind.GATEWAY):
            ksr.patience(RETRANSMIT_MS, 4 * RETRANSMIT_MS)
        if plan.steps[index].kind is StepKind.CLOUD and not ksr.get("again"):
            self._parts.media.first_pass(ksr.get("call"), plan.record)
        self._seizing.count(plan, index, enter=True)
        ksr.aim(targets)
        sent = ksr.relay()
        if not sent:
            self._seizing.count(plan, index, enter=False)
        return sent

    def _unsent(self, plan: Plan, step: Step) -> Outcome | None:
        if self._ksr.get("media_dead"):
            self.refuse(503, "Media Relay Unavailable")
            return None
        return Outcome.NO_CONTACT if step.kind is StepKind.CONTACTS else Outcome.NO_LIFE

    # branch stage

    def branch_stage(self) -> bool:
        """Write what one target is to see: caller, route, media. False: this branch must not be sent."""
        ksr = self._ksr
        plan, index = decode(ksr.get("plan")), int(ksr.get("step"))
        step = plan.steps[index]
        ksr.put(f"on{ksr.branch()}", str(index))
        ksr.put(f"who{ksr.branch()}", ksr.aimed_at())
        if step.caller is not None:
            self._present(step)
        asked = self._parts.view.policy.upstream_auth is UpstreamAuth.PASSTHROUGH
        if step.kind is not StepKind.CLOUD or not asked:
            ksr.remove(caller_id.CREDENTIALS)
        if step.kind is StepKind.MEDIA:
            ksr.remove(LINK_HEADER)
            ksr.append(f"{LINK_HEADER}: {self._link() or LinkState.UNKNOWN}")
            ksr.remove_all((WHY_HEADER, BEHALF_HEADER, PLAIN_HEADER, ANNOUNCED_HEADER, NAME_HEADER))
            ksr.append(f"{WHY_HEADER}: {step.reason}")
            if ksr.get("heard") == announcement.YES:
                ksr.append(f"{ANNOUNCED_HEADER}: {announcement.YES}")
            if step.caller is not None and step.caller.display and not step.caller.privacy:
                ksr.append(f"{NAME_HEADER}: {digits_of(step.caller.display)}")
        if not self._parts.media.offer_to(step, plan.record and not announcement.is_announcement(step)):
            ksr.put("media_dead", "1")
            return False
        ksr.record_route(self._parts.media.mark())
        return True

    def _present(self, step: Step) -> None:
        policy = self._parts.view.policy
        peer = peer_of(step.target, policy) if step.kind in (StepKind.CLOUD, StepKind.GATEWAY) else None
        if step.caller is None:
            return
        shown = caller_id.present(step.caller, policy.domain, peer.identity if peer else "")
        self._ksr.replace_from(shown.display, shown.uri)
        for line in shown.headers:
            self._ksr.append(line)

    # reply stage

    def reply_stage(self) -> None:
        """One reply of one branch, before it goes on to the caller."""
        ksr = self._ksr
        code = ksr.status()
        index = ksr.get(f"on{ksr.branch()}")
        if index != ksr.get("step"):
            return  # a target that was passed over meanwhile: tm keeps its reply from the caller
        plan = decode(ksr.get("plan"))
        step = plan.steps[int(index)]
        if 180 <= code < 200 and not ksr.get("rang"):
            ksr.put("rang", "1")
            limits = limits_of(plan, int(index))
            ksr.limits(limits.ring_ms, limits.life_ms)
        if code < 300:
            self._parts.media.answer_from(step)
        if step.kind is StepKind.CONTACTS and code < 300:
            ksr.alias_contact()
        if 200 <= code < 300:
            self._parts.media.settle()
            self._parts.media.learn()
            self._answering.answered(
                int(index), step, code, announcement.at_answer(step, ksr.get("heard"), plan)
            )
            if plan.tell and plan.record and not announcement.is_announcement(step):
                self._have_told(step)
            asked = asked_of(step)
            if asked is not None:
                self._order_pickup(asked)

    def _have_told(self, step: Step) -> None:
        """Have both sides of the call that is answered now told that it is recorded. Whoever picks it up is told in his own
        call; where that is over, nobody is, and nothing is recorded."""
        ksr, token = self._ksr, met(step)
        call_id, other = ksr.pv("$ci"), [ksr.pv("$ci"), ksr.pv("$tt")]
        if token:
            waits = ksr.look("sdp", waiting_key(token))
            if not waits:
                return
            other = read(waits)
        meeting = step.kind is StepKind.MEDIA and not token
        told = telling.order((call_id, ksr.pv("$ft")), (other[0], other[1]), meeting)
        ksr.keep(telling.TABLE, ksr.get("call"), told)

    def _order_pickup(self, asked: str) -> None:
        """FreeSWITCH has somebody on the line who picks up: have the call brought to him."""
        ksr = self._ksr
        origin, _, by = ksr.get("origin").partition(" ")
        if origin == Origin.PHONE:
            order = Order(token_of(ksr.get("call")), by, asked)
            ksr.keep("sdp", waiting_key(order.token), write([ksr.pv("$ci"), ksr.pv("$ft")]))
            ksr.queue(LAMPS_QUEUE, "pickup", order.text())

    def is_in_time(self) -> bool:
        """A 2xx of an INVITE of which some target was passed over, before tm looks at it. False: it is that target's, and was
        turned away."""
        if not self._answering.is_late():
            return True
        self._answering.turn_away()
        return False

    # failure stage

    def failure_stage(self) -> None:
        """All branches of a step have ended without an answer: take the next step, or let the outcome be the reply."""
        ksr = self._ksr
        plan, index = decode(ksr.get("plan")), int(ksr.get("step"))
        step = plan.steps[index]
        code, replied, timer = ksr.ending()
        self._seizing.count(plan, index, enter=False)
        if ksr.canceled():
            self._finish(487)
            return
        taken = self._taken(plan, index)
        if taken is not None:
            self._answering.pass_over(index)
            self._step_end(index, Outcome.NO_ANSWER, code)
            ksr.put("plan", encode(taken))
            ksr.drop_replies()
            self._walk(taken, len(plan.steps))
            return
        if self._parts.media.again_otherwise(step, 0 if timer else code):
            ksr.drop_replies()
            if self._send(plan, index, self._targets(step)):
                return
        outcome = self._outcome(step, Ending(code, replied, bool(ksr.get("rang")), timer))
        self._answering.pass_over(index)
        self._step_end(index, outcome, code)
        plan = self._after_announcement(plan, index, outcome)
        if self._seizing.gives_way(plan, step, outcome):
            self._walk(plan, index)
            return
        if outcome is Outcome.BUSY and step.kind is StepKind.CONTACTS and len(step.users) == 1:
            origin, _, own = ksr.get("origin").partition(" ")
            if origin == Origin.PHONE:
                ksr.keep(callback.WANTED, own, step.users[0])
        later = advance(plan, index, outcome)
        if later is not None:
            ksr.drop_replies()
            self._walk(plan, later)
        elif timer or not replied:
            self.refuse(*LAST_WORD[outcome])
        elif step.kind is not StepKind.CONTACTS or not self._say_why(plan, code, str(outcome)):
            self._finish(code)  # a carrier and a cloud have announcements of their own

    def _taken(self, plan: Plan, index: int) -> Plan | None:
        """The plan of a call that somebody picks up, whose telephones were told to stop for that; None: it is none."""
        call = self._ksr.get("call")
        taken = taken_plan(plan, index, self._ksr.look("ending", call))
        if taken is None:
            return None
        self._ksr.forget("ending", call)
        by = taken.steps[-1].users[-1]
        taken = announcement.picked(taken, self._parts.view.extension(by), self._level(plan))
        if taken.record and taken.tell:
            self._hold_recording(taken)
            self._ksr.stop_recording()
        return taken

    def _outcome(self, step: Step, ending: Ending) -> Outcome:
        """The step's outcome; that of a call whose channel an emergency call took while it rang is FULL."""
        call = self._ksr.get("call")
        if step.kind is StepKind.GATEWAY and self._ksr.look("ending", call) == str(Cause.PREEMPTED):
            self._ksr.forget("ending", call)
            return Outcome.FULL
        if announcement.is_announcement(step):
            return self._outcome_of_announcement(step, ending)
        return outcome_of(step.kind, ending)

    def _outcome_of_announcement(self, step: Step, ending: Ending) -> Outcome:
        waits = bool(self._ksr.look("sdp", announcement.key(self._ksr.pv("$ci"))))
        return announcement.outcome(step, ending, waits)

    # ends

    def _say_why(self, plan: Plan, code: int, reason: str) -> bool:
        """Have FreeSWITCH say why before the reply is given. False: nobody does."""
        ksr = self._ksr
        if not self._parts.here.media or ksr.get("again") or not self._parts.view.policy.spoken_refusals:
            return False
        longer = refusals.spoken(plan, code, reason, ksr.get("origin").partition(" ")[0])
        if longer is None:
            return False
        ksr.put("plan", encode(longer))
        ksr.drop_replies()
        self._walk(longer, len(plan.steps))
        return True

    def refuse(self, code: int, reason: str) -> None:
        """Answer the caller with the box's own words. The call is over."""
        self._ksr.note("by", "box")
        self._finish(code)
        self._ksr.reply(code, reason)

    def _finish(self, code: int) -> None:
        if self._ksr.get("again"):
            return
        self._ksr.note("code", str(code))
        self._parts.media.release()

    def _step_begin(self, index: int, step: Step) -> None:
        if step.kind is StepKind.CONTACTS:
            origin, _, own = self._ksr.get("origin").partition(" ")
            caller = own if origin == Origin.PHONE else self._ksr.get("caller")
            self._parts.channels.ring_for(step.users, caller)
        if self._ksr.get("again"):
            self._tell_lamps("step", of_step(index, step))
        else:
            self._parts.journal.put("step", self._ksr.get("call"), of_step(index, step))

    def _step_end(self, index: int, outcome: Outcome, code: int) -> None:
        if self._ksr.get("again"):
            self._tell_lamps("step_end", of_step_end(index, outcome, code))
        else:
            self._parts.journal.put("step_end", self._ksr.get("call"), of_step_end(index, outcome, code))

    def _tell_lamps(self, event: str, data: dict[str, Any]) -> None:
        """What the journal has from the call's first pass is not written again; who rings only this pass knows."""
        self._ksr.queue(LAMPS_QUEUE, event, write([self._ksr.get("call"), data]))

    def _call(self) -> str:
        return call_key(self._ksr.pv("$ci"), self._ksr.pv("$ft"))
