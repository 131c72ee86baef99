"""The way of an emergency call: the site's own gateways first, whatever the link state, limits or class of service.

Every answer but a connection leads on to the next way: a caller in need hears a refusal only when nothing is left.
"""

from dataclasses import replace

from appliance.kamailio import presentation
from appliance.kamailio import reasons as no
from appliance.kamailio.actions import Step, StepKind
from appliance.kamailio.call import Call
from appliance.kamailio.dialplan import Number, render
from appliance.kamailio.reasons import Reason
from appliance.kamailio.route import EVERY, Route, series, then
from appliance.kamailio.trunks import GATEWAY_LIFE_MS, OUTSIDE_RING_S, clouds
from appliance.kamailio.view import Peer
from appliance.model import NumberKind


def emergency(call: Call, number: Number) -> Route:
    """Emergency gateways in their order, then others that carry emergency calls, then the clouds."""
    policy = call.policy
    by_id = {peer.id: peer for peer in policy.gateways}
    first = [by_id[gateway] for gateway in policy.emergency_gateways if gateway in by_id]
    others = [peer for peer in policy.gateways if NumberKind.EMERGENCY in peer.kinds and peer not in first]
    steps = [_step(call, peer, number, Reason.EMERGENCY) for peer in first]
    steps += [_step(call, peer, number, Reason.EMERGENCY_OTHER) for peer in others]
    route = series(steps, EVERY, no.NO_EMERGENCY_ROUTE).ending(no.NO_EMERGENCY_ROUTE, EVERY)
    for worth_trying in (True, False):
        route = then(route, _clouds(call, number, worth_trying), EVERY)
    return route


def _step(call: Call, peer: Peer, number: Number, reason: Reason) -> Step:
    return Step(
        StepKind.GATEWAY,
        peer.id,
        (render(number, peer.number_format),),
        reason,
        caller=presentation.in_emergency(call, peer),
        life_ms=GATEWAY_LIFE_MS,
        ring_s=OUTSIDE_RING_S,
        preempt=True,
    )


def _clouds(call: Call, number: Number, worth_trying: bool) -> Route:
    by_id = {peer.id: peer for peer in call.policy.upstreams}
    steps = (
        replace(step, caller=presentation.in_emergency(call, by_id[step.target]))
        for step in clouds(call, number, worth_trying, Reason.EMERGENCY_CLOUD).steps
    )
    return series(steps, EVERY, no.NO_EMERGENCY_ROUTE)
