"""Walks a caller through a flow, step by step: what is heard, what may be pressed, where it leads. Pure.

The simulator's core, and the reference for the compiled dialplan: a test walks both and compares. `begin` gives the first
rest, `press`, `wait` and `answered` lead from rest to rest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from appliance.freeswitch import schedule as hours
from appliance.freeswitch.flow import (
    DONE,
    FAILED,
    INVALID,
    OTHERWISE,
    TIMEOUT,
    UNANSWERED,
    Flow,
    FlowNode,
    Kind,
)
from appliance.freeswitch.schedule import Schedule

STEPS_MAX = 1_000
"""Nodes passed without a rest: a checked flow needs a handful."""


@dataclass(frozen=True, slots=True)
class World:
    """What a flow may look at. moment: the site's local time. overrides: schedule id -> state set by hand."""

    caller: str
    dialled: str
    moment: datetime
    link: str = "UP"
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a call stands. node: where it rests, "" when it is over. heard: prompt ids, all since the beginning.
    path: nodes passed, in order. did: what was done beyond playing, such as ("transfer", "600")."""

    flow: Flow
    world: World
    node: str
    heard: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    tries_left: int = 0
    did: tuple[tuple[str, str], ...] = ()

    @property
    def over(self) -> bool:
        """Whether the flow has ended the call or handed it on for good."""
        return not self.node

    @property
    def at(self) -> FlowNode:
        """The node where the call rests. Raises LookupError when it is over."""
        found = self.flow.node(self.node)
        if found is None:
            raise LookupError("the call is over")
        return found


def begin(flow: Flow, world: World) -> Walk:
    """A call that arrives; goes on to the first node that waits for somebody."""
    return _enter(Walk(flow, world, flow.start), flow.start)


def press(walk: Walk, digits: str) -> Walk:
    """The caller's keys at a menu (one or more) or while digits are collected (up to the closing #)."""
    node = walk.at
    if node.kind is Kind.MENU:
        longest = max(len(key) for key, _ in node.keys)
        pressed = digits[:longest]
        if pressed in dict(node.keys):
            return _leave(walk, pressed)
        return _again(walk, INVALID, wrong=True)
    if node.kind is Kind.COLLECT:
        return _collected(walk, node, digits)
    raise LookupError(f"node {node.id} waits for no keys")


def wait(walk: Walk) -> Walk:
    """The caller presses nothing until the time is over; a call that rings is not answered."""
    node = walk.at
    if node.kind is Kind.TRANSFER:
        return _leave(walk, UNANSWERED)
    return _again(walk, TIMEOUT if node.kind is Kind.MENU else FAILED, wrong=False)


def answered(walk: Walk) -> Walk:
    """Somebody takes the call that is being transferred: the flow's part is over."""
    if walk.at.kind is not Kind.TRANSFER:
        raise LookupError(f"node {walk.node} calls nobody")
    return replace(walk, node="")


def _collected(walk: Walk, node: FlowNode, digits: str) -> Walk:
    given = digits.partition("#")[0][: node.most]
    right = node.least <= len(given) and (not node.pattern or re.fullmatch(node.pattern, given))
    if not right:
        return _again(walk, FAILED, wrong=len(given) >= node.least)
    noted = replace(walk, variables={**walk.variables, node.variable: given})
    return _leave(noted, DONE)


def _again(walk: Walk, outcome: str, wrong: bool) -> Walk:
    """One try less: asked again, after a wrong key with a word on that, or led along `outcome` when none is left."""
    node = walk.at
    left = walk.tries_left - 1
    if not left:
        return _leave(walk, outcome)
    complaint = node.again if wrong else ()
    return replace(walk, heard=(*walk.heard, *complaint, *node.prompts), tries_left=left)


def _leave(walk: Walk, outcome: str) -> Walk:
    return _enter(walk, walk.at.target(outcome))


def _enter(walk: Walk, node_id: str) -> Walk:
    """Pass through nodes until one waits, or the call is over."""
    for _ in range(STEPS_MAX):
        walk = replace(walk, node=node_id, path=(*walk.path, node_id))
        node = walk.at
        walk = replace(walk, heard=(*walk.heard, *node.prompts), tries_left=node.tries)
        if node.kind in (Kind.MENU, Kind.COLLECT):
            return walk
        if node.kind is Kind.TRANSFER:
            return replace(walk, did=(*walk.did, ("transfer", _number(walk, node))))
        if node.kind is Kind.VOICEMAIL:
            return replace(walk, node="", did=(*walk.did, ("voicemail", _number(walk, node))))
        if node.kind is Kind.HANGUP:
            return replace(walk, node="", did=(*walk.did, ("hangup", "")))
        if node.kind is Kind.SET:
            walk = replace(walk, variables={**walk.variables, node.variable: node.value})
        node_id = node.target(_outcome(walk, node))
    raise LookupError(f"{STEPS_MAX} nodes without a rest: {' -> '.join(walk.path[-10:])}")


def _number(walk: Walk, node: FlowNode) -> str:
    return node.number or walk.variables.get(node.variable, "")


def _outcome(walk: Walk, node: FlowNode) -> str:
    if node.kind is Kind.SCHEDULE:
        world = walk.world
        plan = world.schedules[node.schedule]
        return hours.state(plan, world.moment, world.overrides.get(node.schedule, ""))
    if node.kind is Kind.BRANCH:
        value = _value(walk, node)
        for index, case in enumerate(node.cases, 1):
            if re.fullmatch(case.matches, value):
                return f"case{index}"
        return OTHERWISE
    return DONE


def _value(walk: Walk, node: FlowNode) -> str:
    world = walk.world
    return {
        "variable": walk.variables.get(node.variable, ""),
        "caller": world.caller,
        "dialled": world.dialled,
        "link": world.link,
    }[node.subject]
