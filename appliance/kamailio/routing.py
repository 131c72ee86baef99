"""The routing decision: `decide(facts, view) -> Plan`, stage by stage. Owns who is tried before whom; orders nothing itself.

Pure. How a number is read is `dialplan`'s, what the box can do by itself `destinations`'s and `trunks`'s, how pieces join
`route`'s.

- Strangers get nothing. Emergency calls come before every other rule.
- `call_control: cloud`: the cloud first while its link is worth trying, then what the box can do by itself, then a cloud that
  looks down. `call_control: local`: the box decides and the cloud is a trunk: after the gateways for outside numbers, before
  them for another site's extensions.
- A call from the cloud never goes back there; a call from a gateway never leaves by one (`call.MAY_REACH`).
"""

import re
from collections.abc import Callable
from dataclasses import replace

from appliance.kamailio import reasons as no
from appliance.kamailio.actions import PASS_OVER, Plan, Step, StepKind
from appliance.kamailio.call import MAX_FORWARDS, MAY_REACH, Call, begin
from appliance.kamailio.destinations import route_to
from appliance.kamailio.dialplan import INTERNAL, Number, clean, read_dialled, read_inbound
from appliance.kamailio.emergency import emergency
from appliance.kamailio.reasons import Reason
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.route import UNREACHABLE, Route, close, refused, then
from appliance.kamailio.trunks import clouds, last_resort
from appliance.kamailio.view import View
from appliance.model import NumberKind

STEPS_MAX = 32
"""Steps of one plan, its refusal included. Only forwarding that branches at every turn would make more; it ends here."""

NUMBER_CHARACTERS_MAX = 64
"""Of a dialled string that is no number, this much is kept for the call's record."""

_PASSABLE = re.compile(r"[0-9A-Za-z*#+._-]{1,32}", re.ASCII)
"""What the cloud is asked about although it means nothing here: a number or a plain name, nothing that needs escaping."""

_SITE_KINDS = frozenset({NumberKind.EXTENSION, NumberKind.GROUP})


def decide(facts: CallFacts, view: View) -> Plan:
    """The plan of a new call. Never raises on what a caller may send; the last step of every plan is a refusal."""
    if facts.origin is Origin.STRANGER:
        return _plan(facts, Number(NumberKind.UNKNOWN, dialled=facts.dialled), close(refused(no.STRANGER)))
    number = _READ[facts.origin](facts.dialled, view)
    call = begin(facts, view)
    for stage in (_emergency, _forwards, _by_origin):
        route = stage(call, number)
        if route is not None:
            return _recorded(call, _plan(facts, number, close(route)))
    raise AssertionError("the last stage answers every call")


def _emergency(call: Call, number: Number) -> Route | None:
    """Only from where an emergency call may come: a gateway's caller reaches emergency services without this site."""
    if number.kind is not NumberKind.EMERGENCY or not call.may_reach(StepKind.GATEWAY):
        return None
    return emergency(call, number)


def _forwards(call: Call, number: Number) -> Route | None:
    """A call that was forwarded too often, or came back."""
    if len(call.facts.forwards) > MAX_FORWARDS:
        return refused(no.TOO_MANY_FORWARDS)
    if number.extension and number.extension in call.facts.forwards:
        return refused(no.FORWARD_LOOP)
    return None


def _by_origin(call: Call, number: Number) -> Route:
    return _ORIGINS[call.facts.origin](call, number)


def _from_phone(call: Call, number: Number) -> Route:
    if not number.dialled:
        return refused(no.INCOMPLETE_NUMBER)
    return _around(call, number, route_to(call, number))


def _from_upstream(call: Call, number: Number) -> Route:
    """Only this site's own numbers: the box is no relay for what the cloud wants to reach outside."""
    if number.kind in _SITE_KINDS:
        return route_to(call, number)
    outside = number.kind not in INTERNAL and number.kind is not NumberKind.UNKNOWN
    return refused(no.NO_RELAY if outside else no.NOT_OF_THIS_SITE)


def _from_gateway(call: Call, number: Number) -> Route:
    """Only this site's own numbers, those included that nobody but the cloud answers (the trunk's own)."""
    if number.kind in _SITE_KINDS:
        return _around(call, number, route_to(call, number))
    if number.e164 and number.e164 in _own_numbers(call):
        return _around(call, number, refused(no.NOT_OF_THIS_SITE))
    return refused(no.NOT_OF_THIS_SITE)


def _own_numbers(call: Call) -> frozenset[str]:
    policy = call.policy
    return frozenset({policy.emergency_caller, *(peer.caller for peer in policy.gateways)})


def _around(call: Call, number: Number, own: Route) -> Route:
    """Where the cloud controls calls: the cloud, the box's own way, a cloud that looks down."""
    if not call.cloud_controls or not _may_ask_cloud(number):
        return own
    route = then(clouds(call, number, True, Reason.CLOUD_CONTROL), own, PASS_OVER)
    if own.steps or not own.refusal.final:
        route = then(route, last_resort(call, number), UNREACHABLE)
    return replace(route, refusal=own.refusal, left=own.left)


def _may_ask_cloud(number: Number) -> bool:
    return bool(clean(number.dialled) or _PASSABLE.fullmatch(number.dialled))


def _plan(facts: CallFacts, number: Number, route: Route) -> Plan:
    steps = route.steps
    if len(steps) > STEPS_MAX:
        last = replace(steps[-1], after=UNREACHABLE, follows=())
        steps = (*steps[: STEPS_MAX - 1], last)
    called = number.extension or number.e164 or number.national or number.dialled
    is_emergency = number.kind is NumberKind.EMERGENCY and StepKind.GATEWAY in MAY_REACH[facts.origin]
    return Plan(number.kind, called[:NUMBER_CHARACTERS_MAX], steps, emergency=is_emergency)


def _recorded(call: Call, plan: Plan) -> Plan:
    """`plan` with `record` set when the policy of anybody who may take part says so."""
    if plan.steps[0].kind is StepKind.REJECT:
        return plan
    policies = {"all", "outside"} if _is_outside(call, plan) else {"all"}
    extensions = map(call.view.extension, _parties(call, plan.steps, plan.number))
    record = any(extension.record in policies for extension in extensions if extension)
    return replace(plan, record=record)


def _parties(call: Call, steps: tuple[Step, ...], called: str) -> list[str]:
    parties = {called: None, **({call.caller.number: None} if call.caller else {})}
    for step in steps:
        if step.kind is StepKind.CONTACTS:
            parties |= dict.fromkeys(step.users)
    return list(parties)


def _is_outside(call: Call, plan: Plan) -> bool:
    """Whether somebody outside the company takes part, or may by forwarding."""
    if call.facts.origin is Origin.GATEWAY or plan.kind not in INTERNAL:
        return True
    if (
        call.facts.origin is Origin.UPSTREAM
        and read_inbound(call.facts.caller, call.view).kind not in INTERNAL
    ):
        return True
    return plan.kind in _SITE_KINDS and any(step.kind is StepKind.GATEWAY for step in plan.steps)


_READ: dict[Origin, Callable[[str, View], Number]] = {
    Origin.PHONE: read_dialled,
    Origin.UPSTREAM: read_inbound,
    Origin.GATEWAY: read_inbound,
}
_ORIGINS: dict[Origin, Callable[[Call, Number], Route]] = {
    Origin.PHONE: _from_phone,
    Origin.UPSTREAM: _from_upstream,
    Origin.GATEWAY: _from_gateway,
}
