"""Leaves a plain call to routes.cfg, with all that it needs (`plain` says which calls are).

Adapter over `KsrCall`. What lies beside the transaction is the same as for any other call, so that `Calls.failure_stage` goes
on with the plan when nobody answers. Every line here is run for every call: values are read once and written together, and
what follows from the plan alone is made once.
"""

from dataclasses import dataclass
from typing import NamedTuple

from appliance.kamailio import caller_id, ksr_call
from appliance.kamailio.actions import CallerId, Plan
from appliance.kamailio.call_events import of_message, of_start, of_step
from appliance.kamailio.call_key import call_key
from appliance.kamailio.compact_json import write
from appliance.kamailio.desks import Desks
from appliance.kamailio.ksr_call import KsrCall, Plain, Target
from appliance.kamailio.media import MediaPath, Talk
from appliance.kamailio.outcome import limits_of
from appliance.kamailio.plain import is_plain
from appliance.kamailio.plan_codec import encode
from appliance.kamailio.request import CallFacts
from appliance.kamailio.view import View

KEPT_MAX = 4_096
"""Calls of which a worker remembers what is made of them: as many as `memory.Memory` keeps plans."""


NAMES_MAX_CHARACTERS = 1_000
"""Of Call-ID and tag together. Kamailio's language handles text of up to 8 kB, and the first row in the journal holds both, each
character as six at worst; no telephone's are longer than a hundred."""


@dataclass(frozen=True, slots=True)
class Made:
    """What is the same each time that this caller calls this telephone. start, step: for the journal, as JSON."""

    facts: CallFacts
    plan: Plan
    text: str
    shown: caller_id.Presented
    progress_ms: int
    life_ms: int
    start: str
    step: str


class Found(NamedTuple):
    """A plain call that can be set up: where to, and what is spoken. made: of the same call before, None for a new one."""

    targets: list[Target]
    talk: Talk
    made: Made | None


class PlainCalls:
    """What Python has to do with plain calls. `look` first, which changes nothing, then `hand_over`."""

    def __init__(self, ksr: KsrCall, view: View, media: MediaPath, desks: Desks) -> None:
        self._ksr = ksr
        self._view = view
        self._media = media
        self._desks = desks
        self._made: dict[int, Made] = {}

    def look(self, facts: CallFacts, plan: Plan) -> Found | None:
        """The call, if it is plain: somebody is registered, the audio is direct, and it takes no other call over."""
        ksr = self._ksr
        made = self._made_before(facts, plan)
        if (made is None and not is_plain(facts, plan)) or ksr.header("Replaces"):
            return None
        if len(ksr.pv("$ci")) + len(ksr.pv("$ft")) > NAMES_MAX_CHARACTERS:
            return None
        user = plan.steps[0].users[0]
        phone = self._desks.phone_of(user) or user
        targets = ksr.contacts(phone, self._view.policy.domain)[: ksr_call.CONTACTS_MAX]
        talk = self._media.direct(facts, targets) if targets else None
        return None if talk is None else Found(targets, talk, made)

    def hand_over(self, facts: CallFacts, plan: Plan, found: Found) -> None:
        """Leave the call to `route[PLAIN_CALL]`, which has done nothing with it yet."""
        ksr, targets, talk = self._ksr, found.targets, found.talk
        made = found.made or self._make(facts, plan)
        call_id, from_tag = ksr.pv("$ci"), ksr.pv("$ft")
        call = call_key(call_id, from_tag)
        kept = {"step": "0", "call": call, "origin": f"phone {facts.origin_id}", "side": talk.side}
        for branch in range(len(targets)):
            kept[f"on{branch}"], kept[f"spoken{branch}"] = "0", talk.rtp
        ksr.put_all(kept, plan=made.text, offer=talk.sdp)
        ksr.aim(targets)
        ksr.limits(made.progress_ms, made.life_ms)
        source = f"{ksr.pv('$proto')}:{ksr.pv('$si')}:{ksr.pv('$sp')}"
        message = write(of_message(call_id, from_tag, source, self._link()))
        ksr.hand_over(
            Plain(
                plan.steps[0].users[0],
                facts.origin_id,
                talk.rtp,
                made.shown.display,
                made.shown.uri,
                self._view.policy.upstream_life_ms,
                call,
                f"{message[:-1]},{made.start[1:]}",
                made.step,
            )
        )

    def _made_before(self, facts: CallFacts, plan: Plan) -> Made | None:
        made = self._made.get(id(plan))  # `Made` holds the plan, so that no other one gets its id
        return made if made is not None and made.facts == facts else None

    def _make(self, facts: CallFacts, plan: Plan) -> Made:
        step = plan.steps[0]
        caller = step.caller or CallerId(facts.origin_id)
        shown = caller_id.present(caller, self._view.policy.domain, "")
        limits = limits_of(plan, 0)
        start, first = write(of_start(facts, plan)), write(of_step(0, step))
        made = Made(facts, plan, encode(plan), shown, limits.progress_ms, limits.life_ms, start, first)
        if len(self._made) >= KEPT_MAX:
            self._made.clear()
        self._made[id(plan)] = made
        return made

    def _link(self) -> str:
        upstreams = self._view.policy.upstreams
        return self._view.link(upstreams[0].id) if upstreams else ""
