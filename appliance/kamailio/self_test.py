"""A call that the box places to itself after its configuration was switched, to learn whether calls still find a way.

The agent sends an INVITE to the user `kyusai-self-test` from an address of the box; a header says who would call whom. The
plan is made as for a real call and answered by Kamailio itself: 200 when it leads somewhere, else what the caller would hear.
No telephone and no trunk sees it, and nothing is journalled. Pure.
"""

from appliance.kamailio.actions import Plan, StepKind
from appliance.kamailio.request import CallFacts, Origin

USER = "kyusai-self-test"
"""The reserved user part. A telephone cannot have it: numbers of extensions are digits."""

HEADER = "X-Kyusai-Self-Test"
"""`201;202`: as if 201 dialled 202."""

UNREADABLE = (400, "Bad Self-Test")


def call_of(value: str) -> CallFacts | None:
    """The facts of the call that a header describes; None when it describes none."""
    caller, separator, dialled = value.partition(";")
    if not separator or not caller or not dialled:
        return None
    return CallFacts(origin=Origin.PHONE, origin_id=caller, dialled=dialled, caller=caller)


def answer(plan: Plan) -> tuple[int, str]:
    """Code and reason that tell of a plan."""
    steps = [step for step in plan.steps if step.kind is not StepKind.REJECT]
    if steps:
        return 200, f"By {steps[0].kind}"
    codes = [step.code for step in plan.steps if step.code]
    return (codes[0] if codes else 404), "No Way"
