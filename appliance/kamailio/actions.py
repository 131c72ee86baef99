"""What a routing decision may order: a call's plan, an ordered list of steps with reasons.

The handler performs step after step; `advance` says which step an outcome leads to. Nothing here does I/O.
"""

from dataclasses import dataclass
from enum import StrEnum

from appliance.model import NumberKind


class StepKind(StrEnum):
    """Where a step sends the call. MEDIA is the box's FreeSWITCH; REJECT answers the caller; SET sends it nowhere: something is
    set, and the call goes on with DONE."""

    CLOUD = "cloud"
    CONTACTS = "contacts"
    GATEWAY = "gateway"
    MEDIA = "media"
    REJECT = "reject"
    SET = "set"


class Outcome(StrEnum):
    """How a step ended without connecting the call."""

    NO_LIFE = "no_life"  # no reply at all within life_ms, or the send failed at once
    OVERLOADED = "overloaded"  # 5xx: the far side lives but cannot serve
    NO_CONTACT = "no_contact"  # nobody is registered (local), or 404/480 before ringing
    BUSY = "busy"  # 486, 600
    NO_ANSWER = "no_answer"  # rang for ring_s
    FULL = "full"  # the gateway's channels are all taken
    DONE = "done"  # what was to be set is set
    REFUSED = "refused"  # any other 4xx or 6xx: the call's own answer


PASS_OVER = frozenset({Outcome.NO_LIFE, Outcome.OVERLOADED, Outcome.FULL})
"""Outcomes that say something about the target, not about the callee: try the next one."""

HERE = frozenset({NumberKind.EXTENSION, NumberKind.GROUP, NumberKind.APPLICATION, NumberKind.FEATURE})
"""Kinds of number that are answered at the box: it knows better than a cloud whether they can be reached."""

PEERS = frozenset({StepKind.CLOUD, StepKind.GATEWAY})
"""Kinds of step whose answer about the callee (busy, declined, unknown) is the call's own answer."""


@dataclass(frozen=True, slots=True)
class CallerId:
    """What the called side is shown. user: number in the target's own format; privacy: withhold it (RFC 3323)."""

    user: str
    display: str = ""
    privacy: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt.

    kind, target: CLOUD/GATEWAY: the peer's id; CONTACTS: "" ; MEDIA: application; REJECT: "".
    users: CONTACTS: extension numbers rung together; CLOUD/GATEWAY/MEDIA: one number in the target's format;
      REJECT: empty; SET: the extension and the value, `target` says of what.
    after: outcomes of an earlier step that lead here; the first step has none.
    follows: indices of the earlier steps that `after` speaks of; empty: every earlier one. A plan with forwarding is a
      tree laid flat, so a busy phone must not end up in the list meant for one that does not answer.
    life_ms: time for a first sign of life. ring_s: time from then to an answer.
    preempt: EMERGENCY only, give way: when the gateway is full, end one of its lower calls first.
    code, reason: REJECT: the SIP reply; otherwise reason says why the step is in the plan (goes into the CDR).
    """

    kind: StepKind
    target: str
    users: tuple[str, ...]
    reason: str
    after: frozenset[Outcome] = frozenset()
    caller: CallerId | None = None
    life_ms: int = 600
    ring_s: int = 120
    preempt: bool = False
    code: int = 0
    follows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of a call. kind: what was dialled (a `NumberKind` value); record: capture the audio;
    number: the called party in E.164 or as an extension (for the CDR); emergency: report it to the centre.
    tell: somebody can only be told of the recording once the call is answered, and it begins after that."""

    kind: str
    number: str
    steps: tuple[Step, ...]
    record: bool = False
    emergency: bool = False
    tell: bool = False


def advance(plan: Plan, index: int, outcome: Outcome) -> int | None:
    """Index of the step that `outcome` of step `index` leads to; None when the outcome is the call's answer.

    What a cloud or a gateway says of the callee ends the call: only a peer that fails itself is passed over, and a cloud
    that cannot find a telephone of this site (it may have lost its registrations). An emergency call goes on whatever
    the peer said, as long as a step is left.
    """
    lost = outcome in PASS_OVER or (outcome is Outcome.NO_CONTACT and plan.kind in HERE)
    if plan.steps[index].kind in PEERS and not lost and not plan.emergency:
        return None
    for later in range(index + 1, len(plan.steps)):
        step = plan.steps[later]
        if outcome in step.after and (not step.follows or index in step.follows):
            return later
    return None
