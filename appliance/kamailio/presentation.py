"""Which caller the called side is shown: on the site's own phones, by each trunk, and for emergency calls.

Sources: RFC 3323 (privacy), RFC 3325 (asserted identity); that an emergency call is never withheld is the product's rule.
"""

from appliance.kamailio.actions import CallerId
from appliance.kamailio.call import Call
from appliance.kamailio.dialplan import rewrite
from appliance.kamailio.request import Origin
from appliance.kamailio.view import Peer
from appliance.model import UpstreamAuth

ANONYMOUS = "anonymous"
"""User part shown where no number may or can be (RFC 3323 section 4.1.1.3)."""


def on_phone(call: Call) -> CallerId:
    """For a telephone of the site: the extension that calls, or the outside number in national form, with the name that came
    with it."""
    facts = call.facts
    if facts.origin is Origin.PHONE:
        return CallerId(facts.origin_id, call.caller.display if call.caller else "", facts.anonymous)
    if call.caller is not None:
        return CallerId(call.caller.number, call.caller.display, facts.anonymous)
    if facts.anonymous or not facts.caller:
        return CallerId(ANONYMOUS, privacy=facts.anonymous)
    return CallerId(rewrite(facts.caller, "extension", call.policy), facts.display)


def on_trunk(call: Call, peer: Peer, withheld: bool | None) -> CallerId | None:
    """For an upstream or a gateway: the caller's (or forwarder's) public number, else the peer's own caller; where the
    peer thinks in extensions, the extension. withheld: what the caller dialled (184, 186), before what the phone is set to.
    None: leave what the phone wrote, because the cloud itself will challenge the phone."""
    facts, policy, payer = call.facts, call.policy, call.payer
    if _challenged_by(call, peer):
        return None
    privacy = facts.anonymous if withheld is None else withheld
    if payer is not None and peer.number_format == "extension":
        return CallerId(payer.number, payer.display, privacy)
    if payer is None and facts.origin is not Origin.PHONE and not call.is_forwarded:
        return _outside_caller(call, peer)
    number = (payer.public_number if payer else "") or peer.caller
    if not number:
        return CallerId(ANONYMOUS, privacy=True)
    return CallerId(rewrite(number, peer.number_format, policy), payer.display if payer else "", privacy)


def in_emergency(call: Call, peer: Peer) -> CallerId:
    """The site's emergency caller, never withheld."""
    own = call.payer.public_number if call.payer else ""
    number = call.policy.emergency_caller or peer.caller or own
    if not number:
        return CallerId(call.facts.origin_id or ANONYMOUS)
    return CallerId(rewrite(number, peer.number_format, call.policy))


def _challenged_by(call: Call, peer: Peer) -> bool:
    return (
        call.policy.upstream_auth is UpstreamAuth.PASSTHROUGH
        and peer in call.policy.upstreams
        and call.facts.origin is Origin.PHONE
        and not call.is_forwarded
    )


def _outside_caller(call: Call, peer: Peer) -> CallerId:
    facts = call.facts
    if not facts.caller:
        return CallerId(ANONYMOUS, privacy=facts.anonymous)
    return CallerId(rewrite(facts.caller, peer.number_format, call.policy), privacy=facts.anonymous)
