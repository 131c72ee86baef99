"""Pieces of a plan and how they are joined: one after the other, branching off, closed by a refusal.

A piece has a main line (the steps tried one after the other) and branches that lead away from it and end on their own.
Joined pieces are laid flat in the order in which `actions.advance` searches them. Decides nothing about calls.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.kamailio.actions import PASS_OVER, Outcome, Step, StepKind
from appliance.kamailio.reasons import NOBODY_AVAILABLE, Refusal

EVERY = frozenset(Outcome)
UNREACHABLE = PASS_OVER | {Outcome.NO_CONTACT}
"""The called side was not reached: another way may reach it."""
UNANSWERED = UNREACHABLE | {Outcome.NO_ANSWER}
"""Nobody took the call, and nobody said no."""


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

    def ending(self, refusal: Refusal, left: frozenset[Outcome]) -> "Route":
        """The same way with another end."""
        return Route(self.steps, self.line, refusal, left)


def one(step: Step, refusal: Refusal = NOBODY_AVAILABLE) -> Route:
    """A route of one step."""
    return Route((step,), (0,), refusal)


def refused(refusal: Refusal) -> Route:
    """A route without a step."""
    return Route(refusal=refusal)


def series(steps: Iterable[Step], after: frozenset[Outcome], refusal: Refusal) -> Route:
    """Steps tried one after the other, each when all before it ended in `after`."""
    placed = tuple(
        step if index == 0 else _placed(step, after, tuple(range(index))) for index, step in enumerate(steps)
    )
    return Route(placed, tuple(range(len(placed))), refusal)


def then(first: Route, second: Route, after: frozenset[Outcome]) -> Route:
    """`second` when the main line of `first` ended in `after`. Keeps the refusal of `first`."""
    if not second.steps:
        return first
    if not first.steps:
        return second.ending(first.refusal, first.left)
    offset = len(first.steps)
    steps = first.steps + _moved(second, offset, after, first.line)
    line = first.line + tuple(index + offset for index in second.line)
    return Route(steps, line, first.refusal, first.left)


def branch(trunk: Route, limb: Route, after: frozenset[Outcome]) -> Route:
    """`limb` when the main line of `trunk` ended in `after`; what becomes of it there stays there."""
    if not limb.steps:
        return trunk
    steps = trunk.steps + _moved(close(limb), len(trunk.steps), after, trunk.line)
    return Route(steps, trunk.line, trunk.refusal, trunk.left)


def close(route: Route) -> Route:
    """`route` with its refusal as the last step, reached from the main line. A closed route is a whole plan."""
    code, reason = route.refusal.code, route.refusal.reason
    after = route.left if route.steps else frozenset()
    refusal = Step(StepKind.REJECT, "", (), reason, after, code=code, follows=route.line)
    return Route((*route.steps, refusal), route.line, route.refusal, route.left)


def _moved(
    route: Route, offset: int, after: frozenset[Outcome], follows: tuple[int, ...]
) -> tuple[Step, ...]:
    """`route`'s steps for a place `offset` further on, its first one entered from `follows`."""
    first, *rest = route.steps
    entry = _placed(first, after, follows)
    return (entry, *(_placed(step, step.after, tuple(i + offset for i in step.follows)) for step in rest))


def _placed(step: Step, after: frozenset[Outcome], follows: tuple[int, ...]) -> Step:
    """`dataclasses.replace(step, after=after, follows=follows)`, three times as fast; every call makes several."""
    return Step(
        step.kind,
        step.target,
        step.users,
        step.reason,
        after,
        step.caller,
        step.life_ms,
        step.ring_s,
        step.preempt,
        step.code,
        follows,
    )
