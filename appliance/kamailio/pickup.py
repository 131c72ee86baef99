"""Pickup (代理応答): a telephone takes a call that rings at another one. Who may, which call, and by what names. Pure.

1. The telephone dials the code (and a number), or sends an INVITE with Replaces that a lamp has told it (RFC 3891). Kamailio
   calls FreeSWITCH for it, which answers and lets it wait at a meeting place named by a token.
2. Then an `Order` goes to the process that knows what rings (`lamps`). It takes the oldest call that fits from its telephones.
3. That call's next step leads to the same meeting place, and FreeSWITCH joins the two.

A proxy cannot join two calls by itself; the telephone that calls could take the other one over (Replaces), but gateways and
clouds cannot.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from appliance.kamailio.actions import Outcome, Plan, Step, StepKind
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.dialog_info import LOCAL_TAG
from appliance.kamailio.lamp_calls import Ringing
from appliance.kamailio.reasons import Reason
from appliance.kamailio.view import FEATURE_USER, Extension, View
from appliance.model import NumberKind

TARGET = "pickup"
"""Target of the steps that lead to FreeSWITCH for this."""

WAITS, TAKEN = "pickup-", "picked-"
"""What FreeSWITCH is called by, before a token: for the telephone that picks up, and for the call that it gets. The latter is
followed by a hyphen and the number that it goes back to when nobody waits for it."""

ASKED = f"{FEATURE_USER}pickup-"
"""Before what is asked for, where the waiting telephone's call is written down."""

BY_CALL = "call:"
"""Before a Call-ID, where a lamp named the call."""

TOKEN_DIGITS = 16

LIFE_MS, RING_S = 500, 10
"""As of every application: `features.MEDIA_LIFE_MS`."""

EVERYBODY, GROUP = "site", "group"
"""Who may pick a call up (`pickup` in the site document): every telephone, or those of the same pickup group."""


@dataclass(frozen=True, slots=True)
class Order:
    """Somebody waits for a call. token: of the meeting place. by: extension. of: extension or group whose call it shall be,
    `BY_CALL` and a Call-ID, or "" for the picker's own group."""

    token: str
    by: str
    of: str = ""

    def text(self) -> str:
        """For a queue."""
        return write([self.token, self.by, self.of])

    @classmethod
    def of_text(cls, text: str) -> "Order":
        """Inverse of `text`. Raises ValueError."""
        try:
            token, by, of = read(text)
        except TypeError as error:
            raise ValueError(f"no order: {text[:40]!r}") from error
        return cls(str(token), str(by), str(of))


def token_of(call: str) -> str:
    """Meeting place of the call that picks up. call: its key."""
    return hashlib.sha256(call.encode()).hexdigest()[:TOKEN_DIGITS]


def waiting_key(token: str) -> str:
    """In the table `sdp`: Call-ID and tag of the telephone that waits at a meeting place."""
    return f"{token}#waits"


def met(step: Step) -> str:
    """Token of the place that a step of `taken_plan` leads to; "" for any other step."""
    if step.target != TARGET or not step.users[0].startswith(TAKEN):
        return ""
    return step.users[0].removeprefix(TAKEN).partition("-")[0]


def waiting_step(of: str, reason: str) -> Step:
    """The telephone that picks up is called to the meeting place. of: as in `Order`."""
    return Step(StepKind.MEDIA, TARGET, (ASKED + of,), reason, life_ms=LIFE_MS, ring_s=RING_S)


def asked_of(step: Step) -> str | None:
    """What a waiting step asks for, as in `Order`; None for any other step."""
    if step.target != TARGET or len(step.users) != 1:
        return None
    return step.users[0].removeprefix(ASKED)


def taken_plan(plan: Plan, index: int, mark: str) -> Plan | None:
    """`plan` with a last step that leads the call to who picks it up, after step `index` was broken off. mark: what `mark_of`
    made. None: it is something else."""
    found = _MARK.fullmatch(mark)
    if found is None:
        return None
    token, by = found.groups()
    back = plan.number if _DIGITS.fullmatch(plan.number) else by
    step = Step(
        StepKind.MEDIA,
        TARGET,
        (f"{TAKEN}{token}-{back}", by),
        "pickup",
        frozenset({Outcome.NO_ANSWER}),
        caller=plan.steps[index].caller,
        life_ms=LIFE_MS,
        ring_s=RING_S,
    )
    return replace(plan, steps=(*plan.steps, step))


def mark_of(order: Order) -> str:
    """What is noted of a call before its telephones are told to stop (table `ending`)."""
    return f"{TARGET} {order.token} {order.by}"


def address(step: Step, call: str) -> str:
    """User part by which FreeSWITCH is called in a MEDIA step. call: key of the call that is sent there."""
    if asked_of(step) is not None:
        return WAITS + token_of(call)
    return step.users[0]


def named_by(replaces: str) -> str:
    """Call-ID that a lamp named, from a Replaces header; "" where no lamp of ours did."""
    call_id, *params = (word.strip() for word in replaces.split(";"))
    tags = {value for name, _, value in (word.partition("=") for word in params) if name.endswith("-tag")}
    return call_id if LOCAL_TAG in tags else ""


def asked_by_lamp(replaces: str) -> Plan | None:
    """The plan of a telephone that picks up a call by the key with its lamp; None: its Replaces header names none of ours."""
    call_id = named_by(replaces)
    if not call_id:
        return None
    return Plan(NumberKind.FEATURE, "", (waiting_step(BY_CALL + call_id, Reason.FEATURE),))


def taken(order: Order, ringing: Iterable[Ringing], view: View) -> Ringing | None:
    """The call that somebody gets: the first one that he asked for and may have. ringing: the oldest first."""
    picker = view.extension(order.by)
    if picker is None:
        return None
    for one in ringing:
        if _is_asked_for(order, one, picker, view) and _may_have(picker, one, view):
            return one
    return None


def _is_asked_for(order: Order, one: Ringing, picker: Extension, view: View) -> bool:
    if one.caller == order.by or one.users == (order.by,):
        return False
    if order.of.startswith(BY_CALL):
        return one.call_id == order.of.removeprefix(BY_CALL)
    if order.of:
        return order.of in (*one.users, one.number)
    return _is_of_group(picker, one, view)


def _may_have(picker: Extension, one: Ringing, view: View) -> bool:
    if view.policy.pickup == EVERYBODY:
        return True
    return view.policy.pickup == GROUP and _is_of_group(picker, one, view)


def _is_of_group(picker: Extension, one: Ringing, view: View) -> bool:
    """A call for a hunt group belongs to its members too, those included whose telephone does not ring now."""
    hunted = view.group(one.number)
    if hunted is not None and picker.number in hunted.members:
        return True
    rung = (view.extension(user) for user in one.users)
    return bool(picker.pickup_group) and any(
        user is not None and user.pickup_group == picker.pickup_group for user in rung
    )


_MARK = re.compile(rf"{TARGET} ([0-9a-f]{{{TOKEN_DIGITS}}}) ([0-9]{{1,10}})", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)
