"""What a caller hears when nothing else is left: FreeSWITCH says why, as early media, and the plan's reply follows. Pure.

The caller's telephone or carrier gets the code that it would have got without, and at once where FreeSWITCH is dead.
"""

from dataclasses import replace

from appliance.kamailio.actions import Plan, Step, StepKind
from appliance.kamailio.request import Origin
from appliance.kamailio.route import EVERY

TARGET = "refusal"
"""The step's target: in call records and traces."""

USER = "refuse-"
"""Before the code: what FreeSWITCH is called by."""

PROMPTS = {
    403: "ref_not_permitted",
    404: "no_such_number",
    480: "ref_unreachable",
    484: "ref_incomplete",
    486: "ref_busy",
    503: "ref_congestion",
    600: "ref_busy",
}
"""Code -> what is said before it. Other codes speak for themselves."""

LISTENERS = frozenset({Origin.PHONE.value, Origin.GATEWAY.value})
"""Callers who hear it. A cloud that asked for an extension goes on with the code at once."""

LIFE_MS = 500
SPEECH_MAX_S = 15


def spoken(plan: Plan, code: int, reason: str, origin: str) -> Plan | None:
    """The plan with the word and the reply behind its steps, to go on from the first of them; None: the reply says it.

    Emergency calls wait for nothing."""
    if code not in PROMPTS or origin not in LISTENERS or plan.emergency:
        return None
    if any(step.target == TARGET for step in plan.steps):
        return None
    index = len(plan.steps)
    said = Step(StepKind.MEDIA, TARGET, (f"{USER}{code}",), TARGET, life_ms=LIFE_MS, ring_s=SPEECH_MAX_S)
    reply = Step(StepKind.REJECT, "", (), reason, EVERY, code=code, follows=(index,))
    return replace(plan, steps=(*plan.steps, said, reply))
