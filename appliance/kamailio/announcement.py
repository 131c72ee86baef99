"""Who is told that a call is recorded, and how the telling fits into the call's plan. Pure.

FreeSWITCH speaks the sentence before anybody is rung. Where the caller's own reply must not change (telephones of the site, a
cloud that has its own hunt groups) it speaks before the answer and goes away again (`Way.SAID`); where only an answered call is
sure to hear it (telephone network), it answers and calls on (`Way.ANSWER`). What it calls on is named by the Call-ID alone: the
rest of the plan waits in Kamailio, so that nothing of a caller's becomes part of a dialplan, and the call is routed as it came.

What was not said to its end is not recorded. `appliance.freeswitch.announcement_xml` has the other half.
"""

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum

from appliance.kamailio import features
from appliance.kamailio.actions import Outcome, Plan, Step, StepKind
from appliance.kamailio.call import Call
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.dialplan import INTERNAL, Number, read_inbound
from appliance.kamailio.outcome import Ending, outcome_of
from appliance.kamailio.plan_codec import decode, encode
from appliance.kamailio.reasons import Reason
from appliance.kamailio.request import Origin
from appliance.kamailio.route import EVERY
from appliance.kamailio.view import Extension
from appliance.model import NumberKind

OFF, OUTSIDE, EVERYBODY = "off", "outside_callers", "everybody"
"""OUTSIDE: callers from outside. EVERYBODY: callers inside as well, and who is called outside."""

WAYS = (OFF, OUTSIDE, EVERYBODY)
SITE = "site"
"""Of an extension: as the site does."""

TARGET = "recording"
"""Of the step: in call records and traces."""

USER = "announce-"
"""Before the way: what FreeSWITCH is called by."""


class Way(StrEnum):
    """How FreeSWITCH tells. SAID: before the answer, then the plan goes on. ANSWER, EARLY: it answers (or not), and calls on
    itself. BOTH: as EARLY, and who answers is told too before he is connected. NEVER: nobody can be told."""

    SAID = "said"
    ANSWER = "answer"
    EARLY = "early"
    BOTH = "both"
    NEVER = "never"


SAID_CODE = 470
"""RFC 5360, Consent Needed: by this reply FreeSWITCH says that it has spoken to the end. Nobody else sends it here."""

ANNOUNCED, UNANNOUNCED = "announced", "unannounced"
"""What FreeSWITCH calls to go on, after the sentence was heard or could not be spoken."""

HEARD = frozenset({"yes", "FILE PLAYED"})
"""Values of `names.ANNOUNCED_HEADER`: a call that the box has told, and one that a flow's own node has."""

YES, NO = "yes", "no"
"""Beside the transaction: whether the sentence was heard."""

REFUSED = "unannounced"
"""Why a call was not recorded, as the journal and the call record give it."""

SAID_MAX_S = 120
"""The longest prompt has some 90 s."""

CALL_MAX_S = 600
"""tm's own limit for a call that is not answered (kamailio.cfg, max_inv_lifetime); the steps behind have limits of their own."""

LOST = frozenset({Outcome.NO_LIFE, Outcome.OVERLOADED})
"""FreeSWITCH was not there. Everything else that comes from where it calls on is the call's own answer."""


def led(call: Call, number: Number, plan: Plan, parties: Collection[Extension]) -> Plan:
    """`plan`, which is recorded, with the announcement before it, if any. parties: extensions that may take part."""
    if plan.emergency:
        return plan
    wanted = {
        call.policy.announce if one.announce == SITE else one.announce
        for one in parties
        if one.record != "none"
    }
    level = next((one for one in (EVERYBODY, OUTSIDE) if one in wanted), OFF)
    way = _way(call, number, level) if level != OFF else None
    if way is None:
        return plan
    found = call.policy.application(number.extension) if number.kind is NumberKind.APPLICATION else None
    if found is not None and found.announces:
        return replace(plan, record=False)  # it says so itself, before it connects anybody
    if way in (Way.BOTH, Way.EARLY) and _asks_the_telephone(plan):
        way = Way.NEVER
    if call.facts.bare:
        way = Way.NEVER
    step = features.media(call, TARGET, f"{USER}{way}", Reason.RECORDED)
    step = replace(step, ring_s=SAID_MAX_S if way is Way.SAID else CALL_MAX_S)
    after = EVERY if way is Way.SAID else LOST
    return replace(plan, steps=(step, *_behind(plan.steps, after)))


def _way(call: Call, number: Number, level: str) -> Way | None:
    """None: nobody of this call is told."""
    origin = call.facts.origin
    if call.caller is not None:
        if level != EVERYBODY:
            return None
        if number.kind not in INTERNAL:
            return Way.BOTH
        return Way.SAID if origin is Origin.PHONE else Way.EARLY
    if level != EVERYBODY and not _is_from_outside(call):
        return None
    if origin is Origin.MEDIA:
        return Way.EARLY
    return Way.SAID if origin is Origin.UPSTREAM and call.cloud_controls else Way.ANSWER


def _is_from_outside(call: Call) -> bool:
    facts = call.facts
    if facts.origin is Origin.GATEWAY:
        return True
    if facts.anonymous or not any(digit.isdigit() for digit in facts.caller):
        return True
    return read_inbound(facts.caller, call.view).kind not in INTERNAL


def _asks_the_telephone(plan: Plan) -> bool:
    """Whether a cloud asks the telephone itself for its password: FreeSWITCH in between could not answer."""
    return any(step.kind is StepKind.CLOUD and step.caller is None for step in plan.steps)


def _behind(steps: tuple[Step, ...], after: frozenset[Outcome]) -> tuple[Step, ...]:
    """`steps` one place further on, entered from the announcement. Whatever followed every earlier one follows the same ones."""
    first, *rest = steps
    moved = (
        replace(step, follows=tuple(i + 1 for i in step.follows or range(index)))
        for index, step in enumerate(rest, 1)
    )
    return (replace(first, after=after, follows=(0,)), *moved)


def outcome(step: Step, ending: Ending, waits: bool) -> Outcome:
    """What the end of an announcement means. waits: what was kept for FreeSWITCH is still there, so it has not called on.

    Where it had, what came of that is the call's own answer, whatever the code. Where it had not, it did not do its work: it may
    not know the sentence yet, because the site's document is that new.
    """
    if ending.code == SAID_CODE:
        return Outcome.DONE
    found = outcome_of(step.kind, ending)
    if way_of(step) is Way.SAID:
        return found
    if waits:
        return found if found in LOST else Outcome.OVERLOADED
    return Outcome.REFUSED if found in LOST else found


def leads(plan: Plan) -> bool:
    """Whether a plan begins with an announcement."""
    return is_announcement(plan.steps[0])


def is_announcement(step: Step) -> bool:
    """Whether FreeSWITCH tells in this step that the call is recorded."""
    return step.kind is StepKind.MEDIA and step.target == TARGET


def way_of(step: Step) -> Way:
    """Of an announcement."""
    return Way(step.users[0].removeprefix(USER))


def rest(plan: Plan, record: bool) -> Plan:
    """The plan behind its announcement."""
    first, *others = plan.steps[1:]
    steps = (
        replace(first, after=frozenset(), follows=()),
        *(replace(step, follows=tuple(i - 1 for i in step.follows)) for step in others),
    )
    return replace(plan, steps=steps, record=record)


def key(call_id: str) -> str:
    """In the table `sdp`: where the rest of a call waits for FreeSWITCH to call on."""
    return f"{call_id}#announced"


def kept(dialled: str, payer: str, plan: Plan) -> str:
    """What waits there. dialled: by the caller. payer: extension whose limit of outside calls holds. plan: an announcement's."""
    return write([dialled, payer, encode(rest(plan, record=True))])


def taken(text: str) -> tuple[str, str, Plan] | None:
    """Inverse of `kept`; None where nothing waits."""
    if not text:
        return None
    dialled, payer, plan = read(text)
    return dialled, payer, decode(plan)


def at_answer(step: Step, heard: str, record: bool) -> dict[str, object]:
    """What the journal's `answer` says more. step: that was answered; heard: `YES`, `NO` or "" for no announcement."""
    if is_announcement(step):
        return {"record": False}  # what FreeSWITCH calls is recorded
    if heard == YES:
        return {"announced": record}
    return {"record": False, "recording_refused": REFUSED} if heard == NO else {}
