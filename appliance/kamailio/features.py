"""Where a feature code leads. Pure.

Most features are FreeSWITCH's: it is called by the feature's id. What Kamailio does itself has a row in `_ROUTES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from appliance.kamailio import presentation
from appliance.kamailio import reasons as no
from appliance.kamailio.actions import Step, StepKind
from appliance.kamailio.call import Call
from appliance.kamailio.pickup import waiting_step
from appliance.kamailio.reasons import Reason, Refusal
from appliance.kamailio.route import EVERY, Route, one
from appliance.kamailio.view import FEATURE_USER

MEDIA_LIFE_MS = 500
"""First sign of life from FreeSWITCH, which is on this machine and says 100 within milliseconds; with a retransmission."""

MEDIA_ANSWER_S = 10
"""Applications answer at once; one that does not hangs."""

SAY = "say-"
"""Before a prompt's id: FreeSWITCH speaks it and hangs up."""


def media(call: Call, target: str, user: str, reason: Reason = Reason.APPLICATION) -> Step:
    """One attempt at FreeSWITCH. target: the kind of application, for call records; user: the number it is called by."""
    return Step(
        StepKind.MEDIA,
        target,
        (user,),
        call.reason(reason),
        caller=presentation.on_phone(call),
        life_ms=MEDIA_LIFE_MS,
        ring_s=MEDIA_ANSWER_S,
    )


def said(call: Call, prompt: str, refusal: Refusal) -> Route:
    """The caller hears a prompt; where FreeSWITCH is out of order, the reply."""
    return one(media(call, "say", f"{SAY}{prompt}", Reason.FEATURE)).ending(refusal, EVERY)


def route_to(call: Call, feature_id: str, argument: str) -> Route:
    """The feature of that id. argument: what was dialled behind its code."""
    route = _ROUTES.get(feature_id)
    return route(call, argument) if route else by_media(call, feature_id, argument)


def by_media(call: Call, feature_id: str, argument: str) -> Route:
    """A feature that FreeSWITCH performs. It is told who calls, whatever the caller wants others to see."""
    user = f"{FEATURE_USER}{feature_id}" + (f"-{argument}" if argument else "")
    step = media(call, feature_id, user, Reason.FEATURE)
    known = replace(step, caller=replace(step.caller, privacy=False)) if step.caller else step
    return one(known).ending(no.NO_APPLICATIONS, EVERY)


def _nobody(call: Call, argument: str) -> Route:
    return said(call, "no_such_number", no.UNKNOWN_NUMBER)


def _own_voicemail(call: Call, argument: str) -> Route:
    if not call.policy.mailboxes:
        return _nobody(call, argument)
    return by_media(call, "voicemail_own", "")


def _pickup(call: Call, argument: str) -> Route:
    """Where the telephone waits for the call that it takes; which one that is, and whether it may, is found out meanwhile.
    argument: whose call it shall be; "" for any of the telephone's own pickup group."""
    return one(waiting_step(argument, call.reason(Reason.FEATURE))).ending(no.NO_APPLICATIONS, EVERY)


_ROUTES: Mapping[str, Callable[[Call, str], Route]] = {
    "pickup": _pickup,
    "pickup_group": _pickup,
    "voicemail_own": _own_voicemail,
    "voicemail_leave": _nobody,
}
"""Features that are not simply FreeSWITCH's. `voicemail_leave` comes here when the number behind it has no box."""
