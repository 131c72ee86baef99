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

from appliance.kamailio import announcement, callback
from appliance.kamailio import reasons as no
from appliance.kamailio.actions import HERE, PASS_OVER, Plan, Step, StepKind
from appliance.kamailio.blocking import blocked_by_site
from appliance.kamailio.call import MAX_FORWARDS, Call, begin
from appliance.kamailio.destinations import route_to, turned_away
from appliance.kamailio.dialplan import INTERNAL, Number, clean, read_dialled, read_inbound
from appliance.kamailio.emergency import emergency
from appliance.kamailio.features import LOCAL
from appliance.kamailio.reasons import Reason
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.route import UNREACHABLE, Route, close, refused, then
from appliance.kamailio.trunks import clouds, last_resort
from appliance.kamailio.view import Extension, View
from appliance.model import NumberKind

STEPS_MAX = 32
"""Steps of one plan, its refusal included. Only forwarding that branches at every turn would make more; it ends here."""

NUMBER_CHARACTERS_MAX = 64
"""Of a dialled string that is no number, this much is kept for the call's record."""

_PASSABLE = re.compile(r"[0-9A-Za-z*#+._-]{1,32}", re.ASCII)
"""What the cloud is asked about although it means nothing here: a number or a plain name, nothing that needs escaping."""


def decide(facts: CallFacts, view: View) -> Plan:
    """The plan of a new call. Never raises on what a caller may send; the last step of every plan is a refusal."""
    call = begin(facts, view)
    number = _READ[facts.origin](facts.dialled, view)
    for stage in (_strangers, _emergency, _forwards, _blocked, _by_origin):
        route = stage(call, number)
        if route is not None:
            return _plan(call, number, route)
    raise AssertionError("the last stage answers every call")


def _strangers(call: Call, number: Number) -> Route | None:
    return refused(no.STRANGER) if call.facts.origin is Origin.STRANGER else None


def _emergency(call: Call, number: Number) -> Route | None:
    return emergency(call, number) if _is_emergency(call, number) else None


def _is_emergency(call: Call, number: Number) -> bool:
    """Only from where an emergency call may come: a gateway's caller reaches emergency services without this site, and what a
    caller of an application enters is nobody's call at this site."""
    stranger = call.facts.origin is Origin.MEDIA and call.caller is None
    return number.kind is NumberKind.EMERGENCY and call.may_reach(StepKind.GATEWAY) and not stranger


def _forwards(call: Call, number: Number) -> Route | None:
    """A call that was forwarded too often, or came back."""
    if len(call.facts.forwards) > MAX_FORWARDS:
        return refused(no.TOO_MANY_FORWARDS)
    if number.extension and number.extension in call.facts.forwards:
        return refused(no.FORWARD_LOOP)
    return None


def _blocked(call: Call, number: Number) -> Route | None:
    """A caller from outside whom the site does not want."""
    why = blocked_by_site(call) if number.kind in HERE else ""
    extension = number.extension if number.kind is NumberKind.EXTENSION else ""
    return turned_away(call, why, call.policy.block_action, extension) if why else None


def _by_origin(call: Call, number: Number) -> Route:
    return _ORIGINS[call.facts.origin](call, number)


def _from_phone(call: Call, number: Number) -> Route:
    if not number.dialled:
        return refused(no.INCOMPLETE_NUMBER)
    own = route_to(call, number)
    return own if _is_local(call, number) else _around(call, number, own)


def _is_local(call: Call, number: Number) -> bool:
    dialled = call.policy.feature(number.dialled) if number.kind is NumberKind.FEATURE else None
    return dialled is not None and dialled[0] in LOCAL


def _from_upstream(call: Call, number: Number) -> Route:
    """Only this site's own numbers: the box is no relay for what the cloud wants to reach outside."""
    if number.kind in HERE:
        return route_to(call, number)
    outside = number.kind not in INTERNAL and number.kind is not NumberKind.UNKNOWN
    return refused(no.NO_RELAY if outside else no.NOT_OF_THIS_SITE)


def _from_gateway(call: Call, number: Number) -> Route:
    """Only this site's own numbers, those included that nobody but the cloud answers (the trunk's own)."""
    if number.kind in HERE:
        return _around(call, number, route_to(call, number))
    if number.e164 and number.e164 in _own_numbers(call):
        return _around(call, number, refused(no.NOT_OF_THIS_SITE))
    return refused(no.NOT_OF_THIS_SITE)


def _from_media(call: Call, number: Number) -> Route:
    """What an application calls: numbers of this site, other sites' extensions, and those outside that the site document's
    flows name. The caller chose none of them freely, so class of service does not apply. What it calls on an extension's behalf
    is that extension's call. Of feature codes a flow can use none
    but that which leaves a message: the others belong to telephones."""
    wish = callback.asked(call.facts.dialled)
    if wish is not None:
        return _called_back(call, *wish)
    if call.caller is not None:
        return _from_phone(call, number)
    if number.kind is NumberKind.FEATURE and not _leaves_message(call, number):
        return refused(no.UNKNOWN_NUMBER)
    if number.kind in INTERNAL:
        return route_to(call, number)
    if number.dialled in call.policy.application_calls:
        return route_to(replace(call, listed=True), number)
    return refused(no.UNKNOWN_NUMBER if number.kind is NumberKind.UNKNOWN else no.NO_RELAY)


def _called_back(call: Call, caller: str, called: str) -> Route:
    """The telephone of an extension that waits for another one: when it still does, and both are free."""
    if call.view.wish(callback.PENDING, caller) != called:
        return refused(no.UNKNOWN_NUMBER)
    if call.view.in_call(caller) or call.view.in_call(called) or not call.view.registered(called):
        return refused(no.STILL_BUSY)
    return route_to(call, replace(read_dialled(caller, call.view), dialled=caller))


def _leaves_message(call: Call, number: Number) -> bool:
    dialled = call.policy.feature(number.dialled)
    return dialled is not None and dialled[0] == "voicemail_leave"


def _own_numbers(call: Call) -> frozenset[str]:
    policy = call.policy
    return frozenset({policy.emergency_caller, *(peer.caller for peer in policy.gateways)})


def _around(call: Call, number: Number, own: Route) -> Route:
    """Where the cloud controls calls: the cloud, the box's own way, a cloud that looks down."""
    if not call.cloud_controls or not _may_ask_cloud(number):
        return own
    lost = UNREACHABLE if number.kind in HERE else PASS_OVER
    route = then(clouds(call, number, True, Reason.CLOUD_CONTROL), own, lost)
    if own.steps or not own.refusal.final:
        route = then(route, last_resort(call, number), UNREACHABLE)
    return route.ending(own.refusal, own.left)


def _may_ask_cloud(number: Number) -> bool:
    return bool(clean(number.dialled) or _PASSABLE.fullmatch(number.dialled))


def _plan(call: Call, number: Number, route: Route) -> Plan:
    steps = close(route).steps
    if len(steps) > STEPS_MAX:
        last = replace(steps[-1], after=UNREACHABLE, follows=())
        steps = (*steps[: STEPS_MAX - 1], last)
    called = number.extension or number.e164 or number.national or number.dialled
    plan = Plan(
        number.kind,
        called[:NUMBER_CHARACTERS_MAX],
        steps,
        record=_is_recorded(call, number, steps),
        emergency=_is_emergency(call, number),
    )
    return announcement.led(call, number, plan, _extensions(call, number, steps)) if plan.record else plan


def _is_recorded(call: Call, number: Number, steps: tuple[Step, ...]) -> bool:
    """Whether the policy of anybody who may take part says so."""
    if steps[0].kind is StepKind.REJECT or number.kind is NumberKind.FEATURE:
        return False
    policies = {party.record for party in _extensions(call, number, steps)}
    return "all" in policies or ("outside" in policies and _is_outside(call, number, steps))


def _extensions(call: Call, number: Number, steps: tuple[Step, ...]) -> list[Extension]:
    found = (call.view.extension(party) for party in _parties(call, number, steps))
    return [one for one in found if one]


def _parties(call: Call, number: Number, steps: tuple[Step, ...]) -> set[str]:
    """Extensions of this site that call, are called, or may be rung."""
    rung = {user for step in steps if step.kind is StepKind.CONTACTS for user in step.users}
    caller = call.caller.number if call.caller else ""
    called = number.extension if number.kind is NumberKind.EXTENSION else ""
    return (rung | {caller, called}) - {""}


def _is_outside(call: Call, number: Number, steps: tuple[Step, ...]) -> bool:
    """Whether somebody outside the company takes part, or may by forwarding."""
    if call.facts.origin is Origin.GATEWAY or number.kind not in INTERNAL:
        return True
    if (
        call.facts.origin is Origin.UPSTREAM
        and read_inbound(call.facts.caller, call.view).kind not in INTERNAL
    ):
        return True
    return number.kind in HERE and any(step.kind is StepKind.GATEWAY for step in steps)


def _unread(dialled: str, view: View) -> Number:
    """What a stranger dials is looked up nowhere."""
    return Number(NumberKind.UNKNOWN, dialled=dialled)


_READ: dict[Origin, Callable[[str, View], Number]] = {
    Origin.STRANGER: _unread,
    Origin.PHONE: read_dialled,
    Origin.UPSTREAM: read_inbound,
    Origin.GATEWAY: read_inbound,
    Origin.MEDIA: read_dialled,
}
_ORIGINS: dict[Origin, Callable[[Call, Number], Route]] = {
    Origin.PHONE: _from_phone,
    Origin.UPSTREAM: _from_upstream,
    Origin.GATEWAY: _from_gateway,
    Origin.MEDIA: _from_media,
}
