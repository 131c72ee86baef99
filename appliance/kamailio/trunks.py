"""Ways out of the site: the clouds, and outside numbers through gateways and trunks, within class of service and limits.

Decides which peers a number may take and in which order. Emergency calls do not come this way.
"""

from collections.abc import Callable

from appliance.kamailio import presentation
from appliance.kamailio import reasons as no
from appliance.kamailio.actions import PASS_OVER, Step, StepKind
from appliance.kamailio.call import WORTH_TRYING, Call
from appliance.kamailio.dialplan import Number, render
from appliance.kamailio.reasons import Reason, Refusal
from appliance.kamailio.route import Route, refused, series, then
from appliance.kamailio.view import Peer
from appliance.model import NumberKind

GATEWAY_LIFE_MS = 1_000
"""First sign of life from a gateway: long enough for one retransmission (RFC 3261 timer A, 500 ms) and its answer."""

OUTSIDE_RING_S = 120
"""How long a call rings outside the site before the box gives up; public networks end it at 60 to 180 s themselves."""


def clouds(call: Call, number: Number, worth_trying: bool, reason: Reason) -> Route:
    """The upstreams whose link is worth trying, or the others, in the site document's order."""
    if not call.may_reach(StepKind.CLOUD):
        return Route()
    steps = [
        cloud_step(call, peer, number, reason)
        for peer in call.policy.upstreams
        if (call.view.link(peer.id) in WORTH_TRYING) is worth_trying
    ]
    return series(steps, PASS_OVER, no.NO_GATEWAY)


def cloud_step(call: Call, peer: Peer, number: Number, reason: Reason) -> Step:
    """One attempt at an upstream."""
    return Step(
        StepKind.CLOUD,
        peer.id,
        (render(number, peer.number_format),),
        call.reason(reason),
        caller=presentation.on_trunk(call, peer, number.withheld),
        life_ms=call.view.life_ms(peer.id),
        ring_s=OUTSIDE_RING_S,
    )


def outside(call: Call, number: Number) -> Route:
    """An outside number: gateways that carry its kind; where the box controls calls, then the clouds as trunks."""
    refusal = refusal_of(call, number)
    if refusal is not None:
        return refused(refusal)
    ways = gateways(call, number, Reason.GATEWAY)
    if not call.cloud_controls:
        ways = then(ways, clouds(call, number, True, Reason.CLOUD_TRUNK), PASS_OVER)
        ways = then(ways, last_resort(call, number), PASS_OVER)
    return ways


def last_resort(call: Call, number: Number) -> Route:
    """Clouds that look down, for a call that has no other way. A forwarded one has: the telephone it was meant for."""
    return Route() if call.is_forwarded else clouds(call, number, False, Reason.CLOUD_LAST_RESORT)


def gateways(call: Call, number: Number, reason: Reason) -> Route:
    """The gateways that carry the number's kind, in the site document's order, those that are full now behind the rest."""
    if not call.may_reach(StepKind.GATEWAY):
        return refused(no.NO_GATEWAY)
    carrying = [peer for peer in call.policy.gateways if number.kind in peer.kinds]
    carrying.sort(key=lambda peer: _is_full(call, peer))
    return series((_gateway_step(call, peer, number, reason) for peer in carrying), PASS_OVER, no.NO_GATEWAY)


def refusal_of(call: Call, number: Number) -> Refusal | None:
    """The first rule that forbids this outside call, or None."""
    return next((refusal for broken, refusal in _RULES if broken(call, number)), None)


def _gateway_step(call: Call, peer: Peer, number: Number, reason: Reason) -> Step:
    return Step(
        StepKind.GATEWAY,
        peer.id,
        (render(number, peer.number_format),),
        call.reason(reason),
        caller=presentation.on_trunk(call, peer, number.withheld),
        life_ms=GATEWAY_LIFE_MS,
        ring_s=OUTSIDE_RING_S,
    )


def _is_full(call: Call, peer: Peer) -> bool:
    return bool(peer.max_calls) and call.view.calls_on(peer.id) >= peer.max_calls


def _outside_class(call: Call, number: Number) -> bool:
    """Nobody of this site pays for it, or the payer's class of service does not hold the kind."""
    if call.listed:
        return False
    return call.payer is None or number.kind not in call.payer.allow


def _international_offline(call: Call, number: Number) -> bool:
    abroad = number.kind is NumberKind.INTERNATIONAL
    return abroad and call.survival and not call.policy.offline_international


def _offline_calls(call: Call, number: Number) -> bool:
    limit = call.policy.offline_outside_calls_max
    return bool(limit) and call.survival and call.view.outside_calls() >= limit


def _extension_calls(call: Call, number: Number) -> bool:
    payer = call.payer
    if payer is None or not payer.max_calls:
        return False
    return call.view.outside_calls_of(payer.number) >= payer.max_calls


_RULES: tuple[tuple[Callable[[Call, Number], bool], Refusal], ...] = (
    (_outside_class, no.CLASS_OF_SERVICE),
    (_international_offline, no.OFFLINE_INTERNATIONAL),
    (_offline_calls, no.OFFLINE_CALLS_LIMIT),
    (_extension_calls, no.EXTENSION_CALLS_LIMIT),
)
"""What keeps an outside call from being placed. A limit of 0 is no limit."""
