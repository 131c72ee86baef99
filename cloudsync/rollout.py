"""CORE. A change that is brought to sites ring by ring, and stops by itself when too many of them do not bear it.

    RUNNING ── ring well ─► RUNNING (next ring published) … ── last ring well ─► FINISHED
       │ more errors than allowed ─► HALTED ── resume ─► RUNNING        stop ─► STOPPED ── resume ─► RUNNING

An error is a site that refused the version or took it back; it runs its old one. Who resumes accepts the errors so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from appliance.errors import KyusaiError


class State(StrEnum):
    """HALTED: by errors. STOPPED: by a person."""

    RUNNING = "running"
    HALTED = "halted"
    STOPPED = "stopped"
    FINISHED = "finished"


class Event(StrEnum):
    """WAIT: the ring is not done. RING_WELL, LAST_WELL: it is. The rest as it says."""

    WAIT = "wait"
    RING_WELL = "ring_well"
    LAST_WELL = "last_well"
    TOO_MANY_ERRORS = "too_many_errors"
    STOP = "stop"
    RESUME = "resume"


class Effect(StrEnum):
    """What to do on a transition."""

    NOTHING = "nothing"
    PUBLISH_NEXT = "publish_next"
    ACCEPT_ERRORS = "accept_errors"


TRANSITIONS: dict[tuple[State, Event], tuple[State, Effect]] = {
    (State.RUNNING, Event.WAIT): (State.RUNNING, Effect.NOTHING),
    (State.RUNNING, Event.RING_WELL): (State.RUNNING, Effect.PUBLISH_NEXT),
    (State.RUNNING, Event.LAST_WELL): (State.FINISHED, Effect.NOTHING),
    (State.RUNNING, Event.TOO_MANY_ERRORS): (State.HALTED, Effect.NOTHING),
    (State.RUNNING, Event.STOP): (State.STOPPED, Effect.NOTHING),
    (State.HALTED, Event.STOP): (State.STOPPED, Effect.NOTHING),
    (State.HALTED, Event.RESUME): (State.RUNNING, Effect.ACCEPT_ERRORS),
    (State.STOPPED, Event.RESUME): (State.RUNNING, Effect.ACCEPT_ERRORS),
}
"""Every other pair is a mistake of the caller's."""


class SiteState(StrEnum):
    """What became of the version at one site. WAITING: no word yet, also of a box that is away."""

    WAITING = "waiting"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SiteOutcome:
    """One site of the rollout that has its version."""

    site_id: str
    ring: int
    state: SiteState


@dataclass(frozen=True, slots=True)
class Policy:
    """errors_max: so many failed sites do not stop it. soak_s: a ring is watched at least so long. patience_s: sites
    that have not answered after it are left behind; they take the version when they are back."""

    errors_max: int
    soak_s: int
    patience_s: int


def advance(state: State, event: Event) -> tuple[State, Effect]:
    """The next state and what to do. Raises KyusaiError `rollout.not_possible`."""
    if (state, event) not in TRANSITIONS:
        raise KyusaiError(
            "rollout.not_possible",
            f"the rollout is {state}: {event} is not possible",
            "`kyusai centre rollout status` shows where it stands.",
            state=str(state),
            event=str(event),
        )
    return TRANSITIONS[state, event]


def judge(
    outcomes: Sequence[SiteOutcome],
    ring: int,
    rings: int,
    policy: Policy,
    *,
    ring_age_s: float,
    accepted: int,
) -> Event:
    """How the ring under way is. outcomes: of all sites published so far; accepted: errors a person has accepted.

    A ring in which no site has applied the version proves nothing: the next one waits for it.
    """
    if errors(outcomes) - accepted > policy.errors_max:
        return Event.TOO_MANY_ERRORS
    own = [one.state for one in outcomes if one.ring == ring]
    if ring_age_s < policy.soak_s or SiteState.APPLIED not in own:
        return Event.WAIT
    if SiteState.WAITING in own and ring_age_s < policy.patience_s:
        return Event.WAIT
    return Event.LAST_WELL if ring == rings - 1 else Event.RING_WELL


def errors(outcomes: Sequence[SiteOutcome]) -> int:
    """Sites that refused the version or took it back, in any ring."""
    return sum(one.state is SiteState.FAILED for one in outcomes)


def site_state(version: int, told: Sequence[tuple[int | None, str | None]]) -> SiteState:
    """A site's outcome from what its boxes reported: (version, state) of each. One box that failed is enough."""
    states = [
        SiteState.WAITING
        if reported is None or reported < version
        else SiteState.APPLIED
        if reported > version or state == "applied"
        else SiteState.FAILED
        for reported, state in told
    ]
    if SiteState.FAILED in states:
        return SiteState.FAILED
    return SiteState.APPLIED if states and SiteState.WAITING not in states else SiteState.WAITING


def patched(document: Any, change: Any) -> Any:
    """`document` with a JSON merge patch applied (RFC 7396): null removes, an object goes deeper, the rest replaces."""
    if not isinstance(change, dict):
        return change
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), value)
    return result
