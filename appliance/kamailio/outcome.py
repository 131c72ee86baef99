"""What the end of a step means: a SIP reply or a silence -> `Outcome`. And how long a step may take.

Pure. Rules: RFC 3261 for the codes; that a far side which only ever said "100 Trying" has shown no life worth waiting
for is the product's rule (the cloud's front may answer while what stands behind it is dead).
"""

from dataclasses import dataclass

from appliance.kamailio.actions import Outcome, Plan, Step, StepKind, advance

CLOUD_PROGRESS_LIMIT_S = 8
"""A cloud that said 100 and then neither rings nor refuses for this long is passed over: setting up a call abroad
takes a PBX up to 6 s, a caller puts down after some 10 s of silence."""
GATEWAY_PROGRESS_LIMIT_S = 25
"""The same for a gateway: behind it lies the telephone network, where overlap dialling and routes abroad take 20 s."""
MEDIA_PROGRESS_LIMIT_S = 8
"""The same for FreeSWITCH, which opens the audio in milliseconds."""
TIMER_TICK_MS = 63
"""Kamailio's timers run on ticks of 1/16 s and fire up to one tick late (`TIMER_TICKS_HZ`, `core/timer_ticks.h`)."""
LIFE_MIN_MS = 2 * TIMER_TICK_MS
"""Below two ticks a timer could fire before the far side had any time at all."""
RETRANSMIT_MS = 200
"""First repetition of an INVITE over UDP. RFC 3261's 500 ms would leave one try within the time for a sign of life."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a step's best branch ended. code: final SIP code, 408 for the box's own timer.

    replied: the target sent anything at all. rang: it sent 18x. timer: the box's timer ended it, not a reply.
    """

    code: int
    replied: bool = True
    rang: bool = False
    timer: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a step waits, in ms: life_ms for any reply, progress_ms from then to 18x, ring_ms from 18x to an answer."""

    life_ms: int
    progress_ms: int
    ring_ms: int


def outcome_of(kind: StepKind, ending: Ending) -> Outcome:
    """What `ending` says of a step of `kind`. An answer (2xx) is no outcome and raises ValueError."""
    code = ending.code
    if code < 300:
        raise ValueError(f"code {code} ends no step: allowed 300 to 699")
    if not ending.replied:
        return Outcome.NO_CONTACT if kind is StepKind.CONTACTS else Outcome.NO_LIFE
    if ending.timer or code == 408:
        return _silence(kind, ending)
    if code in (486, 600):
        return Outcome.BUSY
    if code == 480:
        return Outcome.NO_ANSWER if ending.rang else Outcome.NO_CONTACT
    if code in (404, 410, 604) and not ending.rang:
        return Outcome.NO_CONTACT
    if 500 <= code < 600:
        return Outcome.NO_CONTACT if kind is StepKind.CONTACTS else Outcome.OVERLOADED
    return Outcome.REFUSED


def limits_of(plan: Plan, index: int) -> Limits:
    """The time that step `index` gets. Only a step that has another to fall back on is passed over early."""
    step = plan.steps[index]
    ring_ms = step.ring_s * 1000
    life_ms = max(step.life_ms, LIFE_MIN_MS)
    return Limits(life_ms, min(_progress_ms(plan, index, step, ring_ms), ring_ms), ring_ms)


def _silence(kind: StepKind, ending: Ending) -> Outcome:
    if ending.rang:
        return Outcome.NO_ANSWER
    if kind is StepKind.CONTACTS:
        return Outcome.NO_CONTACT
    return Outcome.OVERLOADED if ending.timer else Outcome.NO_CONTACT


def _progress_ms(plan: Plan, index: int, step: Step, ring_ms: int) -> int:
    if advance(plan, index, Outcome.OVERLOADED) is None:
        return ring_ms
    if step.kind is StepKind.CLOUD:
        return CLOUD_PROGRESS_LIMIT_S * 1000
    if step.kind is StepKind.MEDIA:
        return MEDIA_PROGRESS_LIMIT_S * 1000
    return GATEWAY_PROGRESS_LIMIT_S * 1000 if step.kind is StepKind.GATEWAY else ring_ms
