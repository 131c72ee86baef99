"""Who is rung first in a group that goes round: the next after the one who was first last time. Pure.

A plan has the members in the site document's order, without those who are not to be rung; who is first is put in when the call
begins, under a lock, so that two calls that come at once begin with two members.
"""

from dataclasses import replace

from appliance.kamailio.actions import Plan, Step, StepKind
from appliance.kamailio.reasons import Reason


def key_of(group: str) -> str:
    """Where the member who was first is kept (`kept`)."""
    return f"turn:{group}"


def groups_in(plan: Plan) -> tuple[str, ...]:
    """Groups of the plan that go round, each once, in the plan's order."""
    return tuple(dict.fromkeys([step.target for step in plan.steps if _goes_round(step)]))


def turned(plan: Plan, group: str, last: str, order: tuple[str, ...]) -> tuple[Plan, str]:
    """The plan with the group's next member first, and who that is. last: who was first last time, "" for nobody yet.
    order: all members in the document's order."""
    places = [at for at, step in enumerate(plan.steps) if _goes_round(step) and step.target == group]
    rung = [plan.steps[at].users[0] for at in places]
    first = _first(tuple(dict.fromkeys(rung)), last, order)
    ahead = rung.index(first)
    members = list(dict.fromkeys(rung))
    steps = list(plan.steps)
    for turn, at in enumerate(places):
        steps[at] = replace(steps[at], users=(members[(ahead + turn) % len(members)],))
    return replace(plan, steps=tuple(steps)), first


def _goes_round(step: Step) -> bool:
    return (
        step.kind is StepKind.CONTACTS
        and bool(step.target)
        and step.reason.endswith(Reason.GROUP_ROUND_ROBIN)
    )


def _first(rung: tuple[str, ...], last: str, order: tuple[str, ...]) -> str:
    """The first after `last`, in the order of all members, who is to be rung."""
    if last not in order:
        return rung[0]
    begin = order.index(last) + 1
    return next((one for one in (*order[begin:], *order[:begin]) if one in rung), rung[0])
