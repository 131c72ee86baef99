"""Pieces of a plan and how they are joined: one after the other, branching off, closed by a refusal.

A piece has a main line (the steps tried one after the other) and branches that lead away from it and end on their own.
Joined pieces are laid flat in the order in which `actions.advance` searches them. Decides nothing about calls.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from appliance.kamailio.actions import PASS_OVER, Outcome, Step, StepKind
from appliance.kamailio.reasons import NOBODY_AVAILABLE, Refusal

EVERY = frozenset(Outcome)
UNREACHABLE = PASS_OVER | {Outcome.NO_CONTACT}
"""The called side was not reached: another way may reach it."""
UNANSWERED = UNREACHABLE | {Outcome.NO_ANSWER}
"""Nobody took the call, and nobody said no."""
TAKE_TURNS = EVERY
"""Next member of a group: whatever the one before said."""


@dataclass(frozen=True, slots=True)
class Route:
    """Steps with a main line.

    line: indices of the main line's steps. refusal: the reply when the line has come to its end; left: outcomes of the
    line that lead to it (the others are the call's own answer).
    """

    steps: tuple[Step, ...] = ()
    line: tuple[int, ...] = ()
    refusal: Refusal = NOBODY_AVAILABLE
    left: frozenset[Outcome] = UNANSWERED


def one(step: Step, refusal: Refusal = NOBODY_AVAILABLE) -> Route:
    """A route of one step."""
    return Route((step,), (0,), refusal)


def refused(refusal: Refusal) -> Route:
    """A route without a step."""
    return Route(refusal=refusal)


def series(steps: Iterable[Step], after: frozenset[Outcome], refusal: Refusal) -> Route:
    """Steps tried one after the other, each when all before it ended in `after`."""
    route = refused(refusal)
    for step in steps:
        route = then(route, one(step), after)
    return replace(route, refusal=refusal)


def then(first: Route, second: Route, after: frozenset[Outcome]) -> Route:
    """`second` when the main line of `first` ended in `after`. Keeps the refusal of `first`."""
    if not second.steps:
        return first
    if not first.steps:
        return replace(second, refusal=first.refusal, left=first.left)
    offset = len(first.steps)
    steps = first.steps + _moved(second, offset, after, first.line)
    return replace(first, steps=steps, line=first.line + tuple(index + offset for index in second.line))


def branch(trunk: Route, limb: Route, after: frozenset[Outcome]) -> Route:
    """`limb` when the main line of `trunk` ended in `after`; what becomes of it there stays there."""
    if not limb.steps:
        return trunk
    ended = close(limb)
    return replace(trunk, steps=trunk.steps + _moved(ended, len(trunk.steps), after, trunk.line))


def close(route: Route) -> Route:
    """`route` with its refusal as the last step, reached from the main line. A closed route is a whole plan."""
    refusal = Step(StepKind.REJECT, "", (), route.refusal.reason, code=route.refusal.code)
    if route.steps:
        refusal = replace(refusal, after=route.left, follows=route.line)
    return replace(route, steps=(*route.steps, refusal))


def _moved(
    route: Route, offset: int, after: frozenset[Outcome], follows: tuple[int, ...]
) -> tuple[Step, ...]:
    """`route`'s steps for a place `offset` further on, its first one entered from `follows`."""
    first, *rest = route.steps
    entry = replace(first, after=after, follows=follows)
    return (entry, *(replace(step, follows=tuple(i + offset for i in step.follows)) for step in rest))
