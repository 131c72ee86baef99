"""Where a number leads by the box's own means: extensions with their forwarding, groups, other sites, the outside.

`route_to` is the table from kind of number to route. Forwarding comes back to it, so it ends by counting (`MAX_FORWARDS`)
and by never visiting a number twice.
"""

from collections.abc import Callable
from dataclasses import replace

from appliance.kamailio import blocking, features, presentation, screening
from appliance.kamailio import reasons as no
from appliance.kamailio.actions import PASS_OVER, Outcome, Step, StepKind
from appliance.kamailio.call import MAX_FORWARDS, Call
from appliance.kamailio.dialplan import Number, read_dialled, read_inbound
from appliance.kamailio.reasons import Reason
from appliance.kamailio.route import EVERY, UNREACHABLE, Route, branch, one, refused, series, then
from appliance.kamailio.trunks import clouds, gateways, last_resort, outside, refusal_of
from appliance.kamailio.view import VOICEMAIL_CODE, Extension, Group
from appliance.model import NumberKind

CONTACT_LIFE_MS = 4_000
"""First sign of life from a telephone: three retransmissions (0.5, 1.5, 3.5 s), which a sleeping wireless phone needs."""

TURNS_MAX = 30
"""Telephones rung one after the other by one group: as many as it may have members."""

RING_S = 120
"""How long a telephone rings when nothing follows."""

_FORWARD_BUSY = frozenset({Outcome.BUSY})
_FORWARD_NO_ANSWER = UNREACHABLE | {Outcome.NO_ANSWER}
"""A telephone that is not registered or does not react counts as one that nobody answers."""


def route_to(call: Call, number: Number) -> Route:
    """The box's own way to `number`."""
    return _DESTINATIONS.get(number.kind, outside)(call, number)


def extension(call: Call, number: Number) -> Route:
    """A telephone of this site: forwarded always, do not disturb, or rung and then forwarded."""
    called = call.view.extension(number.extension)
    if called is None:
        return refused(no.UNKNOWN_NUMBER)
    if called.number in call.forwards:
        return refused(no.FORWARD_LOOP)
    if not call.features:
        return _ring(call, called, RING_S, Reason.FROM_CLOUD)
    why = blocking.blocked_at(call, called)
    if why:
        action = call.policy.block_action if called.block_action == "site" else called.block_action
        return turned_away(call, why, action, called.number)
    if called.forward_always:
        return _forwarded_always(call, called)
    if called.screening != screening.OFF and screening.wanted(call, called):
        asked = features.media(call, screening.TARGET, f"{screening.USER}{called.number}", Reason.SCREENING)
        return then(one(asked), _rung(call, called), EVERY)
    return _rung(call, called)


def turned_away(call: Call, why: str, action: str, extension: str = "") -> Route:
    """A caller who is not wanted. why: of `blocking`; extension: whose box takes the message, where that is the action."""
    if action == "busy":
        return refused(no.BLOCKED_AS_BUSY)
    if action == "voicemail" and extension in call.policy.mailboxes:
        return application(call, Number(NumberKind.APPLICATION, extension=f"{VOICEMAIL_CODE}{extension}"))
    refusal = no.ANONYMOUS_CALLER if why == "anonymous" else no.BLOCKED_CALLER
    if action == "announcement":
        return features.said(call, f"caller_{why}", refusal)
    return refused(refusal)


def _forwarded_always(call: Call, called: Extension) -> Route:
    """The forwarding's target; the telephone itself when the target cannot be reached or may not be called."""
    away = _forward(call, called, called.forward_always, Reason.FORWARD_ALWAYS)
    if away.refusal in (no.FORWARD_LOOP, no.TOO_MANY_FORWARDS):
        return away
    at_desk = _rung(call, called)
    return then(away, at_desk, UNREACHABLE).ending(at_desk.refusal, at_desk.left)


def _rung(call: Call, called: Extension) -> Route:
    if called.do_not_disturb and not blocking.may_be_emergency(call):
        away = _forward(call, called, called.forward_busy, Reason.FORWARD_DO_NOT_DISTURB)
        return away if away.steps else refused(no.DO_NOT_DISTURB)
    ring_s = called.no_answer_s if called.forward_no_answer else RING_S
    route = _ring(call, called, ring_s, Reason.EXTENSION)
    busy = _forward(call, called, called.forward_busy, Reason.FORWARD_BUSY)
    no_answer = _forward(call, called, called.forward_no_answer, Reason.FORWARD_NO_ANSWER)
    return branch(branch(route, busy, _FORWARD_BUSY), no_answer, _FORWARD_NO_ANSWER)


def _ring(call: Call, called: Extension, ring_s: int, reason: Reason) -> Route:
    return one(_contacts(call, (called.number,), ring_s, reason))


def _contacts(call: Call, users: tuple[str, ...], ring_s: int, reason: Reason) -> Step:
    return Step(
        StepKind.CONTACTS,
        "",
        users,
        call.reason(reason),
        caller=presentation.on_phone(call),
        life_ms=CONTACT_LIFE_MS,
        ring_s=ring_s,
    )


def _forward(call: Call, by: Extension, target: str, why: Reason) -> Route:
    """The route to where extension `by` sends its calls; without steps when it sends them nowhere or must not."""
    return _passed_on(call.forwarded(by.number, why, by), target) if target else Route()


def _passed_on(call: Call, target: str) -> Route:
    if len(call.forwards) > MAX_FORWARDS:
        return refused(no.TOO_MANY_FORWARDS)
    number = read_dialled(target, call.view)
    if number.kind is NumberKind.EMERGENCY:
        return refused(no.FORWARD_TO_EMERGENCY)
    return route_to(call, number)


def group(call: Call, number: Number) -> Route:
    """A hunt group by its strategy, then its overflow. Members who do not want to be disturbed, and the caller, are left out.
    Members' own forwarding does not count: the group decides where its calls go."""
    called = call.view.group(number.extension)
    if called is None:
        return refused(no.UNKNOWN_NUMBER)
    if called.number in call.forwards:
        return refused(no.FORWARD_LOOP)
    route = _STRATEGIES.get(called.strategy, _all)(call, called)
    away = _overflow(call, called)
    if away.steps:
        return then(route, away, EVERY).ending(away.refusal, EVERY)
    return route.ending(route.refusal, EVERY)


def _overflow(call: Call, called: Group) -> Route:
    if not called.overflow:
        return Route()
    return _passed_on(call.forwarded(called.number, Reason.OVERFLOW, None), called.overflow)


def _members(call: Call, called: Group) -> tuple[str, ...]:
    return tuple(
        member for member in called.members if member != _caller(call) and _is_free(call, called, member)
    )


def _caller(call: Call) -> str:
    return call.caller.number if call.caller else ""


def _is_free(call: Call, called: Group, member: str) -> bool:
    found = call.view.extension(member)
    if found is None or found.do_not_disturb:
        return False
    return called.ring_busy or not call.view.in_call(member)


def _all(call: Call, called: Group) -> Route:
    members = _members(call, called)
    if not members:
        return Route()
    ring_s = (called.overflow_s or called.ring_s) if called.overflow else RING_S
    return one(_contacts(call, members, ring_s, Reason.GROUP_ALL))


def _turn(call: Call, called: Group) -> Route:
    return _in_turn(call, called, _members(call, called), Reason.GROUP_TURN)


def _round_robin(call: Call, called: Group) -> Route:
    """Who is first is known when the call begins to ring (`turns`), so that two calls at once begin with two members."""
    return _in_turn(call, called, _members(call, called), Reason.GROUP_ROUND_ROBIN, called.number)


def _longest_idle(call: Call, called: Group) -> Route:
    members = sorted(_members(call, called), key=call.view.idle_since_ms)
    return _in_turn(call, called, tuple(members), Reason.GROUP_LONGEST_IDLE)


def _in_turn(call: Call, called: Group, members: tuple[str, ...], reason: Reason, target: str = "") -> Route:
    """One after the other; where the overflow takes the call after a time, round and round until then."""
    steps: list[Step] = []
    left_s = called.overflow_s if called.overflow and called.overflow_s else called.ring_s * len(members)
    while left_s > 0 and members and len(steps) < TURNS_MAX:
        step = _contacts(call, (members[len(steps) % len(members)],), min(called.ring_s, left_s), reason)
        steps.append(replace(step, target=target))
        left_s -= called.ring_s
    return series(steps, EVERY, no.NOBODY_AVAILABLE)


def remote_extension(call: Call, number: Number) -> Route:
    """Another site's extension: by the cloud where it is a trunk, else as its public number. The site document names that
    number, so the caller needs no class of service for it; the offline limits hold."""
    public = replace(read_inbound(number.e164, call.view), withheld=None)
    listed = replace(call, listed=True)
    refusal = refusal_of(listed, public)
    by_network = refused(refusal) if refusal else gateways(listed, public, Reason.PUBLIC_NUMBER)
    if call.cloud_controls:
        return by_network
    route = then(clouds(call, number, True, Reason.CLOUD_TRUNK), by_network, PASS_OVER)
    route = then(route, last_resort(call, number), PASS_OVER)
    return route.ending(by_network.refusal, by_network.left)


def application(call: Call, number: Number) -> Route:
    """A number that FreeSWITCH answers; while it does not, the number that the site document names instead."""
    found = call.policy.application(number.extension)
    if found is None:
        return refused(no.UNKNOWN_NUMBER)
    if found.number in call.forwards:
        return refused(no.FORWARD_LOOP)
    answered = one(features.media(call, found.kind, found.number))
    if not found.fallback:
        return answered.ending(no.NO_APPLICATIONS, EVERY)
    away = _passed_on(call.forwarded(found.number, Reason.APPLICATION_AWAY, None), found.fallback)
    return then(answered, away, EVERY).ending(away.refusal, EVERY)


def feature(call: Call, number: Number) -> Route:
    """A feature code."""
    dialled = call.policy.feature(number.dialled)
    if dialled is None:
        return refused(no.UNKNOWN_NUMBER)
    feature_id, argument = dialled
    if feature_id == "voicemail_leave" and argument in call.policy.mailboxes:
        return application(call, replace(number, extension=f"{VOICEMAIL_CODE}{argument}"))
    return features.route_to(call, feature_id, argument)


def nowhere(call: Call, number: Number) -> Route:
    """A number that means nothing here."""
    return refused(no.INCOMPLETE_NUMBER if number.incomplete else no.UNKNOWN_NUMBER)


_STRATEGIES: dict[str, Callable[[Call, Group], Route]] = {
    "all": _all,
    "turn": _turn,
    "round_robin": _round_robin,
    "longest_idle": _longest_idle,
}

_DESTINATIONS: dict[NumberKind, Callable[[Call, Number], Route]] = {
    NumberKind.EXTENSION: extension,
    NumberKind.GROUP: group,
    NumberKind.REMOTE_EXTENSION: remote_extension,
    NumberKind.APPLICATION: application,
    NumberKind.FEATURE: feature,
    NumberKind.UNKNOWN: nowhere,
}
"""Kinds that are not listed are outside numbers."""
