"""Steps as a site's plans have them, and a plan in short: for tests of routing."""

from appliance.kamailio.actions import CallerId, Outcome, Plan, Step, StepKind
from appliance.kamailio.route import UNANSWERED
from appliance.model import CallControl, LinkState

LOCAL = CallControl.LOCAL
DOWN = LinkState.DOWN

SATO = CallerId("201", "Sato")
SATO_OUTSIDE = CallerId("0312340201", "Sato")
SITE_CALLER = CallerId("0312340000")
MOBILE = "009011112222"
ABROAD = "0010442071234567"


def cloud(user: str, reason: str = "cloud_control", caller: CallerId | None = SATO, **more: object) -> Step:
    return Step(
        StepKind.CLOUD,
        "cloud",
        (user,),
        reason,
        caller=caller,
        life_ms=600,
        ring_s=120,
        **more,  # type: ignore[arg-type]
    )


def gateway(user: str, reason: str = "gateway", caller: CallerId = SATO_OUTSIDE, **more: object) -> Step:
    return Step(
        StepKind.GATEWAY,
        "gw1",
        (user,),
        reason,
        caller=caller,
        life_ms=1_000,
        ring_s=120,
        **more,  # type: ignore[arg-type]
    )


def contacts(
    *users: str, reason: str = "extension", ring_s: int = 120, caller: CallerId = SATO, **more: object
) -> Step:
    return Step(
        StepKind.CONTACTS,
        "",
        users,
        reason,
        caller=caller,
        life_ms=4_000,
        ring_s=ring_s,
        **more,  # type: ignore[arg-type]
    )


def reject(
    code: int, reason: str, follows: tuple[int, ...] = (), after: frozenset[Outcome] = UNANSWERED
) -> Step:
    return Step(
        StepKind.REJECT, "", (), reason, after=after if follows else frozenset(), code=code, follows=follows
    )


def outline(plan: Plan) -> list[str]:
    """A plan in short: "kind target users reason" of each step, "code reason" of a refusal."""
    return [
        f"{step.code} {step.reason}"
        if step.kind is StepKind.REJECT
        else " ".join(filter(None, (step.kind, step.target, ",".join(step.users), step.reason)))
        for step in plan.steps
    ]
