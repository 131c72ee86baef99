"""A call's plan as text and back, so that it can lie beside Kamailio's transaction while the call is set up.

A transaction outlives the worker that began it: the next step is often performed by another process. Pure; compact
JSON, read back only by the box that wrote it, in the same run of Kamailio.
"""

from functools import lru_cache
from typing import Any

from appliance.kamailio.actions import CallerId, Outcome, Plan, Step, StepKind
from appliance.kamailio.compact_json import read, write

PLANS_KEPT = 512
"""Plans that a worker remembers: those of the calls that are being set up. Each is read three times and more."""


_kept: dict[str, Plan] = {}


def encode(plan: Plan) -> str:
    """`plan` as one line of ASCII."""
    head = [plan.kind, plan.number, plan.record, plan.emergency, plan.tell]
    text = write([head, [_step_out(step) for step in plan.steps]])
    _keep(text, plan)
    return text


def decode(text: str) -> Plan:
    """The plan that `encode` wrote. Raises ValueError on anything else."""
    plan = _kept.get(text)
    if plan is None:
        plan = _decoded(text)
        _keep(text, plan)
    return plan


def _keep(text: str, plan: Plan) -> None:
    if len(_kept) >= PLANS_KEPT:
        _kept.clear()
    _kept[text] = plan


def _decoded(text: str) -> Plan:
    try:
        (kind, number, record, emergency, tell), steps = read(text)
        return Plan(kind, number, tuple(_step_in(step) for step in steps), record, emergency, tell)
    except (TypeError, KeyError) as error:
        raise ValueError(f"no plan: {text[:40]!r}") from error


def _step_out(step: Step) -> list[Any]:
    caller = step.caller
    return [
        step.kind,
        step.target,
        step.users,
        step.reason,
        " ".join(sorted(step.after)),
        None if caller is None else [caller.user, caller.display, caller.privacy],
        step.life_ms,
        step.ring_s,
        step.preempt,
        step.code,
        step.follows,
    ]


def _step_in(row: list[Any]) -> Step:
    kind, target, users, reason, after, caller, life_ms, ring_s, preempt, code, follows = row
    return Step(
        StepKind(kind),
        target,
        tuple(users),
        reason,
        _outcomes(after),
        None if caller is None else CallerId(*caller),
        life_ms,
        ring_s,
        preempt,
        code,
        tuple(follows),
    )


@lru_cache(PLANS_KEPT)
def _outcomes(words: str) -> frozenset[Outcome]:
    return frozenset(map(Outcome, words.split()))
