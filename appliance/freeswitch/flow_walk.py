"""Walks a caller through a flow, step by step: what is heard, what may be pressed, where it leads. Pure.

The simulator's core, and the reference for the compiled dialplan: a test walks both and compares. `begin` gives the first
rest, `press`, `wait` and `answered` lead from rest to rest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from appliance.freeswitch import flow_cases
from appliance.freeswitch import schedule as hours
from appliance.freeswitch.flow import (
    CALLS,
    DONE,
    ENDS,
    FAILED,
    FULL,
    INVALID,
    NOBODY,
    OTHERWISE,
    QUEUED,
    TIMEOUT,
    UNANSWERED,
    Flow,
    FlowNode,
    Kind,
    Subject,
)
from appliance.freeswitch.queue import Figures
from appliance.freeswitch.schedule import Schedule

STEPS_MAX = 1_000
"""Nodes passed without a rest: a checked flow needs a handful."""


@dataclass(frozen=True, slots=True)
class World:
    """What a flow may look at. moment: the site's local time. overrides: schedule id -> state set by hand. queues: id ->
    figures, where somebody knows them. answers: node id -> what its look-up notes, None for one that fails. paused_fails:
    whether recordings cannot be stopped. room: queue's id -> how many may wait there."""

    caller: str
    dialled: str
    moment: datetime
    link: str = "UP"
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, Figures] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    paused_fails: bool = False
    room: Mapping[str, int] = field(default_factory=dict)


NODE, WAY, PROMPT = "node", "way", "prompt"
"""What a log tells beside what was done: a node that was entered, a way that the flow itself chose, a prompt that was heard."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a call stands. node: where it rests, "" when it is over. question: what was said last where it waits for keys.
    log: all that happened, in order, such as ("node", "main"), ("way", "when → open"), ("prompt", "welcome"),
    ("transfer", "600")."""

    flow: Flow
    world: World
    node: str
    variables: Mapping[str, str] = field(default_factory=dict)
    tries_left: int = 0
    question: tuple[str, ...] = ()
    log: tuple[tuple[str, str], ...] = ()

    @property
    def heard(self) -> tuple[str, ...]:
        """Ids of prompts."""
        return tuple(value for what, value in self.log if what == PROMPT)

    @property
    def path(self) -> tuple[str, ...]:
        """Nodes passed."""
        return tuple(value for what, value in self.log if what == NODE)

    @property
    def did(self) -> tuple[tuple[str, str], ...]:
        """What was done beyond playing."""
        return tuple(one for one in self.log if one[0] not in (NODE, WAY, PROMPT))

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
    if digits == "#" and node.kind in (Kind.MENU, Kind.COLLECT) and "#" not in "".join(dict(node.keys)):
        return _told(
            walk, PROMPT, *walk.question
        )  # it ends a number that was complete already, and costs no try
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
    """The caller presses nothing until the time is over; a call that rings is not answered, a queue has nobody free."""
    node = walk.at
    if node.kind is Kind.TRANSFER:
        return _leave(walk, UNANSWERED)
    if node.kind is Kind.QUEUE:
        return _leave(walk, TIMEOUT)
    return _again(walk, TIMEOUT if node.kind is Kind.MENU else FAILED, wrong=False)


def answered(walk: Walk) -> Walk:
    """Somebody takes the call that is being transferred or waits: the flow's part is over."""
    if walk.at.kind not in CALLS:
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
    question = (*(node.again if wrong else ()), *node.prompts)
    return replace(_told(walk, PROMPT, *question), tries_left=left, question=question)


def _told(walk: Walk, what: str, *values: str) -> Walk:
    return replace(walk, log=(*walk.log, *((what, value) for value in values)))


def _leave(walk: Walk, outcome: str) -> Walk:
    return _enter(_chosen(walk, outcome), walk.at.target(outcome))


def _chosen(walk: Walk, outcome: str) -> Walk:
    """A way that nobody sees from what is heard. The one way out of a node is no choice."""
    return (
        walk
        if outcome == DONE and len(tuple(walk.at.edges())) == 1
        else _told(walk, WAY, f"{walk.node} → {outcome}")
    )


def _enter(walk: Walk, node_id: str) -> Walk:
    """Pass through nodes until one waits, or the call is over."""
    for _ in range(STEPS_MAX):
        walk = _told(replace(walk, node=node_id), NODE, node_id)
        node = walk.at
        heard = () if node.kind is Kind.QUEUE else node.prompts  # told to those who wait
        walk = replace(_told(walk, PROMPT, *heard), tries_left=node.tries, question=heard)
        if node.kind in (Kind.MENU, Kind.COLLECT):
            return walk
        if node.kind is Kind.TRANSFER:
            return _told(walk, "transfer", _number(walk, node))
        if node.kind is Kind.QUEUE:
            return _queued(walk, node)
        if node.kind in ENDS:
            what = "" if node.kind is Kind.HANGUP else _number(walk, node)
            return replace(_told(walk, str(node.kind), what), node="")
        walk, outcome = _done(walk, node)
        walk, node_id = _chosen(walk, outcome), node.target(outcome)
    raise LookupError(f"{STEPS_MAX} nodes without a rest: {' -> '.join(walk.path[-10:])}")


def _number(walk: Walk, node: FlowNode) -> str:
    return node.number or walk.variables.get(node.variable, "")


def _queued(walk: Walk, node: FlowNode) -> Walk:
    """A caller waits, unless too many do already or the queue has no agent at all."""
    walk = _told(walk, "queue", node.queue)
    figures, room = walk.world.queues.get(node.queue), walk.world.room.get(node.queue)
    if figures and room is not None and figures.waiting >= room:
        return _leave(walk, FULL)
    return _leave(walk, NOBODY) if figures and not figures.agents else walk


def _done(walk: Walk, node: FlowNode) -> tuple[Walk, str]:
    """What a node does by itself, and which way leads on."""
    if node.kind is Kind.SET:
        return replace(walk, variables={**walk.variables, node.variable: node.value}), DONE
    if node.kind is Kind.HTTP:
        noted = walk.world.answers.get(node.id)
        walk = _told(walk, "http", node.id)
        if noted is None:
            return walk, FAILED
        fields = {name: noted.get(name, "") for name, _ in (node.lookup.fields if node.lookup else ())}
        return replace(walk, variables={**walk.variables, **fields}), DONE
    if node.kind is Kind.SAY:
        said = flow_cases.said(node.saying, walk.variables.get(node.variable, ""))
        return _told(walk, "say", *([f"{node.saying} {said}"] if said else [])), DONE
    if node.kind in _STEERS:
        order = _STEERS[node.kind] + node.retention
        unknown = walk.world.paused_fails and node.kind is Kind.RECORD_PAUSE
        return _told(walk, "recording", order), FAILED if unknown else DONE
    if node.kind is Kind.SCHEDULE:
        plan = walk.world.schedules[node.schedule]
        return walk, hours.state(plan, walk.world.moment, walk.world.overrides.get(node.schedule, ""))
    return walk, _case(walk, node) if node.kind is Kind.BRANCH else DONE


_STEERS = {Kind.RECORD_PAUSE: "pause", Kind.RECORD_RESUME: "resume", Kind.RETENTION: "retention="}


def _case(walk: Walk, node: FlowNode) -> str:
    """The first case that holds."""
    if node.subject is Subject.HOLIDAY:
        schedule, today = walk.world.schedules[node.schedule], walk.world.moment.date()
        held = [hours.is_named(schedule, today, case.days, case.holidays) for case in node.cases]
    else:
        value = _value(walk, node)
        held = [flow_cases.holds(case, value) for case in node.cases]
    return f"case{held.index(True) + 1}" if True in held else OTHERWISE


def _value(walk: Walk, node: FlowNode) -> str:
    """What a branch looks at, "" for what nobody knows."""
    world = walk.world
    if node.subject in QUEUED:
        figures = world.queues.get(node.queue)
        name = node.subject.removeprefix("queue_")
        return "" if figures is None else str(getattr(figures, name))
    return {
        "variable": walk.variables.get(node.variable, ""),
        "caller": world.caller,
        "dialled": world.dialled,
        "link": world.link,
    }[node.subject]
