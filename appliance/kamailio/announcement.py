"""Who is told that a call is recorded, and how the telling fits into the call's plan. Pure.

FreeSWITCH speaks the sentence before anybody is rung. Where the caller's own reply must not change (telephones of the site, a
cloud that has its own hunt groups) it speaks before the answer and goes away again (`Way.SAID`); where only an answered call is
sure to hear it (telephone network), it answers and calls on (`Way.ANSWER`). What it calls on is named by the Call-ID alone: the
rest of the plan waits in Kamailio, so that nothing of a caller's becomes part of a dialplan, and the call is routed as it came.

Whoever cannot be told then is told as soon as somebody has answered (`Plan.tell`), by rtpengine and to both sides at once: a
telephone whose cloud asks it for a password, everybody while FreeSWITCH is out of order, who joins by a transfer or a pickup, who
answers without knowing. The recording begins behind the sentence (`telling`).

What was not said to its end is not recorded. `appliance.freeswitch.announcement_xml` has FreeSWITCH's half.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from enum import StrEnum

from appliance.kamailio import features
from appliance.kamailio.actions import HERE, PEERS, Outcome, Plan, Step, StepKind
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
"""OUTSIDE: callers from outside. EVERYBODY: callers inside as well, and who answers; his own telephone's owner knows that its
calls are recorded."""

WAYS = (OFF, OUTSIDE, EVERYBODY)
SITE = "site"
"""Of an extension: as the site does."""

TARGET = "recording"
"""Of the step: in call records and traces."""

USER = "announce-"
"""Before the way: what FreeSWITCH is called by."""


class Way(StrEnum):
    """How FreeSWITCH tells. SAID: before the answer, then the plan goes on. ANSWER, EARLY: it answers (or not), and calls on
    itself. BOTH: as EARLY, and who answers is told too before he is connected."""

    SAID = "said"
    ANSWER = "answer"
    EARLY = "early"
    BOTH = "both"


SAID_CODE = 470
"""RFC 5360, Consent Needed: by this reply FreeSWITCH says that it has spoken to the end. Nobody else sends it here."""

ANNOUNCED, UNANNOUNCED = "announced", "unannounced"
"""What FreeSWITCH calls to go on, after the sentence was heard or could not be spoken: then it is said after the answer."""

HEARD = frozenset({"yes", "FILE PLAYED"})
"""Values of `names.ANNOUNCED_HEADER`: a call that the box has told, and one that a flow's own node has."""

YES = "yes"
"""Beside the transaction: the sentence was heard."""

MEETINGS = frozenset({"conference", "parking"})
"""Kinds of application where a recorded telephone meets people whom nobody has told."""

FORWARDED = ("forward_", "overflow")
"""How the reasons of steps begin that lead to somebody else than who was called."""

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
    level = level_of(call.policy.announce, parties)
    if plan.emergency or level == OFF:
        return plan
    found = call.policy.application(number.extension) if number.kind is NumberKind.APPLICATION else None
    way, meets = _way(call, number, level), found is not None and found.kind in MEETINGS
    if way is None:
        return replace(plan, tell=meets)
    if found is not None and found.announces:
        return replace(plan, record=False)  # it says so itself, before it connects anybody
    if call.facts.bare or _asks_the_telephone(plan):
        return replace(plan, tell=True)
    step = features.media(call, TARGET, f"{USER}{way}", Reason.RECORDED)
    step = replace(step, ring_s=SAID_MAX_S if way is Way.SAID else CALL_MAX_S)
    after = EVERY if way is Way.SAID else LOST
    tell = meets or (level == EVERYBODY and way is not Way.BOTH and _answers_untold(number, plan, parties))
    return replace(plan, steps=(step, *_behind(plan.steps, after)), tell=tell)


def level_of(site: str, parties: Iterable[Extension]) -> str:
    """Who is told of a recorded call between these extensions: of those that are recorded, the one that tells more counts.
    site: the site's own."""
    wanted = {site if one.announce == SITE else one.announce for one in parties if one.record != "none"}
    return next((one for one in (EVERYBODY, OUTSIDE) if one in (wanted or {site})), OFF)


def _answers_untold(number: Number, plan: Plan, parties: Collection[Extension]) -> bool:
    """Whether somebody may answer who does not know that the call is recorded: his own extension is not. A cloud that is asked
    for a number of the site stands for its telephones."""
    know = {one.number for one in parties if one.record != "none"}
    for step in plan.steps:
        if step.kind is StepKind.CONTACTS and not know.issuperset(step.users):
            return True
        if step.kind in PEERS and (number.kind not in HERE or step.reason.startswith(FORWARDED)):
            return True
    return False


def replacing(plan: Plan, level: str) -> Plan:
    """The plan of a call that takes the place of another one (Replaces): nothing may hold it up, and who is in it may not have
    been told. level: see `level_of`."""
    if leads(plan):
        plan = rest(plan, plan.record)
    return replace(plan, tell=plan.record and level != OFF)


def picked(plan: Plan, picker: Extension | None, level: str) -> Plan:
    """The plan of a call that is picked up. picker: who does."""
    knows = picker is not None and picker.record != "none"
    return plan if knows or level != EVERYBODY else replace(plan, tell=plan.record)


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
    """Whether a cloud asks the telephone itself for its password: FreeSWITCH in between could not answer, and telephones answer
    within the dialog that early audio has opened, which no cloud knows."""
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
    return replace(plan, steps=steps, record=record, tell=record and plan.tell)


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


def at_answer(step: Step, heard: str, plan: Plan) -> dict[str, object]:
    """What the journal's `answer` says more. step: that was answered; heard: `YES`, or "" for no announcement. Where somebody
    is told from now on (`Plan.tell`), a row of its own says later that he was."""
    if is_announcement(step):
        return {"record": False}  # what FreeSWITCH calls is recorded
    if plan.record and plan.tell:
        return {"record": False, "recording_refused": REFUSED}
    return {"announced": plan.record} if heard == YES else {}
