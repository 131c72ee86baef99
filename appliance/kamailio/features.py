"""Where a feature code leads. Pure.

Most features are FreeSWITCH's: it is called by the feature's id. What Kamailio does itself has a row in `_ROUTES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from appliance.kamailio import callback, login, presentation
from appliance.kamailio import reasons as no
from appliance.kamailio.actions import HERE, Outcome, Step, StepKind
from appliance.kamailio.blocking import BLOCKS_MAX
from appliance.kamailio.call import Call
from appliance.kamailio.dialplan import Number, clean, read_dialled
from appliance.kamailio.pickup import waiting_step
from appliance.kamailio.reasons import Reason, Refusal
from appliance.kamailio.request import Origin
from appliance.kamailio.route import EVERY, Route, one, then
from appliance.kamailio.trunks import refusal_of
from appliance.kamailio.view import FEATURE_USER, Extension
from appliance.model import NumberKind

MEDIA_LIFE_MS = 500
"""First sign of life from FreeSWITCH, which is on this machine and says 100 within milliseconds; with a retransmission."""

MEDIA_ANSWER_S = 10
"""Applications answer at once; one that does not hangs."""

SAY = "say-"
"""Before a prompt's id: FreeSWITCH speaks it and hangs up."""

HOT_DESK_IN, HOT_DESK_OUT = "hot_desk_in", "hot_desk_out"
HOT_DESK_WRONG, HOT_DESK_LOCKED = "hot_desk_wrong", "hot_desk_locked"
"""What is set, and what the centre hears of: a log-in, a log-out, a wrong PIN, and the one that locks."""

PHONE_TRIES = 3
"""A telephone locks after so many times the wrong PINs that lock a person."""

LOCAL = frozenset({HOT_DESK_IN, HOT_DESK_OUT})
"""Features that no cloud is asked about: what is dialled holds a PIN."""

SAID = frozenset(
    """
    no_such_number not_allowed caller_blocked caller_anonymous anonymous_on anonymous_off block_set block_cleared no_last_caller
    hot_desk_how hot_desk_in hot_desk_out hot_desk_wrong hot_desk_locked hot_desk_nobody
    forward_set forward_cleared do_not_disturb_on do_not_disturb_off
    """.split()  # noqa: SIM905 - a table
)
"""Every prompt that may be spoken so."""


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


def ordered(call: Call, what: str, value: str, prompt: str) -> Route:
    """Something of the caller's own extension is set, and the caller is told: aloud, or by the words of a reply where
    FreeSWITCH is out of order."""
    if call.caller is None:
        return said(call, "not_allowed", no.FEATURE_OF_NOBODY)
    step = Step(StepKind.SET, what, (call.caller.number, value), call.reason(Reason.FEATURE))
    return then(one(step), said(call, prompt, no.NOBODY_AVAILABLE), _DONE).ending(
        Refusal(480, f"{prompt}_done"), EVERY
    )


def _forward(field: str) -> Callable[[Call, str], Route]:
    """A forwarding to the number dialled behind the code, where that is one that the caller may call."""

    def route(call: Call, argument: str) -> Route:
        number = read_dialled(argument, call.view)
        refusal = _no_target(call, number, field)
        if refusal is not None:
            return said(call, _SAID_OF.get(refusal, "no_such_number"), refusal)
        return ordered(call, field, argument, "forward_set")

    return route


def _no_target(call: Call, number: Number, field: str) -> Refusal | None:
    """Why calls must not be forwarded to a number, or None."""
    own = call.caller.number if call.caller else ""
    if number.incomplete or not number.dialled:
        return no.INCOMPLETE_NUMBER
    if number.kind is NumberKind.UNKNOWN:
        return no.UNKNOWN_NUMBER
    if number.kind is NumberKind.EMERGENCY:
        return no.FORWARD_TO_EMERGENCY
    if number.kind is NumberKind.FEATURE:
        dialled = call.policy.feature(number.dialled)
        leaves = (
            dialled is not None and dialled[0] == "voicemail_leave" and dialled[1] in call.policy.mailboxes
        )
        return None if leaves else no.UNKNOWN_NUMBER
    if number.extension == own or (field == "forward_always" and own in _led_on(call, number)):
        return no.FORWARD_LOOP
    if number.kind in HERE or number.kind is NumberKind.REMOTE_EXTENSION:
        return None
    return no.CLASS_OF_SERVICE if refusal_of(call, number) is no.CLASS_OF_SERVICE else None


def _led_on(call: Call, number: Number) -> set[str]:
    """Numbers that a call to `number` comes to without anybody's doing."""
    found: set[str] = set()
    while number.kind is NumberKind.EXTENSION and number.extension not in found:
        found.add(number.extension)
        reached: Extension | None = call.view.extension(number.extension)
        if reached is None or not reached.forward_always:
            break
        number = read_dialled(reached.forward_always, call.view)
    return found


def _log_in(call: Call, argument: str) -> Route:
    """The telephone becomes that of who knows the PIN. After too many wrong ones nobody is let in for a while, neither for
    that person nor at that telephone, and a wrong extension sounds like a wrong PIN."""
    phone = call.facts.device or call.facts.origin_id
    if call.caller is None or call.facts.origin is not Origin.PHONE:
        return said(call, "not_allowed", no.FEATURE_OF_NOBODY)
    given = login.read(argument)
    if given is None:
        return said(call, "hot_desk_how", no.INCOMPLETE_NUMBER)
    number, pin = given
    policy, view = call.policy, call.view
    # A telephone is many people's: it locks later than a person.
    if (
        view.tries(number) >= policy.hot_desk_tries
        or view.tries(f"phone:{phone}") >= policy.hot_desk_tries * PHONE_TRIES
    ):
        return said(call, "hot_desk_locked", no.LOCKED)
    if not login.is_right(view.document_extension(number), pin, policy):
        return _then_said(call, HOT_DESK_WRONG, (number, phone), "hot_desk_wrong", no.WRONG_PIN)
    done = Refusal(480, "logged_in")
    return _then_said(call, HOT_DESK_IN, (number, phone), "hot_desk_in", done)


def _log_out(call: Call, argument: str) -> Route:
    """The telephone is its own again."""
    phone = call.facts.device
    if not phone:
        return said(call, "hot_desk_nobody", no.NOBODY_LOGGED_IN)
    done = Refusal(480, "logged_out")
    return _then_said(call, HOT_DESK_OUT, (call.facts.origin_id, phone), "hot_desk_out", done)


def _then_said(call: Call, what: str, users: tuple[str, str], prompt: str, refusal: Refusal) -> Route:
    step = Step(StepKind.SET, what, users, call.reason(Reason.FEATURE))
    return then(one(step), said(call, prompt, refusal), _DONE).ending(refusal, EVERY)


def _block_last(call: Call, argument: str) -> Route:
    """Whoever called last is not wanted any more. Emergency services cannot be blocked."""
    own = call.caller
    last = call.view.last_caller(own.number) if own else ""
    blocks = own.blocked_too.split() if own else []
    if clean(last) in call.policy.emergency_numbers or len(blocks) >= BLOCKS_MAX:
        return said(call, "not_allowed", no.FEATURE_OF_NOBODY)
    if not clean(last):
        return said(call, "no_last_caller", no.NO_LAST_CALLER)
    wanted = " ".join(dict.fromkeys((*blocks, clean(last))))
    return ordered(call, "blocked_too", wanted, "block_set")


def _unblock_last(call: Call, argument: str) -> Route:
    """The latest number blocked at this telephone is let through again."""
    blocks = call.caller.blocked_too.split() if call.caller else []
    if not blocks:
        return said(call, "no_last_caller", no.NO_LAST_CALLER)
    return ordered(call, "blocked_too", " ".join(blocks[:-1]), "block_cleared")


def _setting(what: str, value: str, prompt: str) -> Callable[[Call, str], Route]:
    return lambda call, argument: ordered(call, what, value, prompt)


_DONE = frozenset({Outcome.DONE})

_SAID_OF: Mapping[Refusal, str] = {
    no.CLASS_OF_SERVICE: "not_allowed",
    no.FORWARD_TO_EMERGENCY: "not_allowed",
    no.FORWARD_LOOP: "not_allowed",
}
"""What a caller hears whose forwarding is refused; else that there is no such number."""


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


def _call_back(call: Call, argument: str) -> Route:
    """Whom the caller found busy is called for him; without anybody the caller is told so."""
    own = call.caller.number if call.caller else ""
    wanted, pending = (
        call.view.wish(what, own) if own else "" for what in (callback.WANTED, callback.PENDING)
    )
    return by_media(call, callback.SET, callback.argument(own, wanted, pending))


_ROUTES: Mapping[str, Callable[[Call, str], Route]] = {
    "pickup": _pickup,
    "pickup_group": _pickup,
    "voicemail_own": _own_voicemail,
    "forward_always_set": _forward("forward_always"),
    "forward_always_clear": _setting("forward_always", "", "forward_cleared"),
    "forward_busy_set": _forward("forward_busy"),
    "forward_busy_clear": _setting("forward_busy", "", "forward_cleared"),
    "forward_no_answer_set": _forward("forward_no_answer"),
    "forward_no_answer_clear": _setting("forward_no_answer", "", "forward_cleared"),
    "do_not_disturb_on": _setting("do_not_disturb", "1", "do_not_disturb_on"),
    "do_not_disturb_off": _setting("do_not_disturb", "0", "do_not_disturb_off"),
    "hot_desk_in": _log_in,
    "hot_desk_out": _log_out,
    "block_last_caller": _block_last,
    "unblock_last_caller": _unblock_last,
    "anonymous_rejection_on": _setting("reject_anonymous", "1", "anonymous_on"),
    "anonymous_rejection_off": _setting("reject_anonymous", "0", "anonymous_off"),
    "voicemail_leave": _nobody,
    callback.SET: _call_back,
}
"""Features that are not simply FreeSWITCH's. `voicemail_leave` comes here when the number behind it has no box."""
