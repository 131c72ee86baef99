"""What is wrong with a flow, all of it, each fault with its node and a hint. Pure.

Found before publishing: a caller must never end in silence, go round for ever, or hear nothing where a prompt was meant.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from appliance.freeswitch.flow import CALLS, ENDS, TIMEOUT, Flow, FlowNode, Kind
from appliance.freeswitch.flow_faults import Fault, Known, listed
from appliance.freeswitch.flow_node_check import NODE_TEMPLATES, node_faults

DEPTH_MAX = 60
"""Nodes between the start and the farthest node: a caller who goes through them has long hung up."""

FLOW_TEMPLATES: dict[str, tuple[str, str]] = NODE_TEMPLATES | {
    "flow.node_taken": ("{value} is already the id of another node", "Give each node its own id."),
    "flow.start_unknown": (
        "{value} is not a node of this flow",
        "Name the node that a call begins with; known are {known}.",
    ),
    "flow.target_unknown": (
        "the way out {outcome} of node {node} leads to {value}, which is not a node of this flow",
        "Correct the id; known are {known}.",
    ),
    "flow.dead_end": (
        "the way out {outcome} of node {node} leads nowhere: the caller would be cut off without a word",
        "Name a node, such as one that says goodbye and hangs up.",
    ),
    "flow.unreachable": ("no way leads to node {node}", "Remove it, or lead a way out to it."),
    "flow.deep": (
        "node {node} is {depth} nodes from the start; at most {most} are allowed",
        "Make the flow shorter: callers give up long before.",
    ),
    "flow.loop": (
        "a caller who presses nothing goes round for ever: {chain}",
        "Lead the way out for a caller who does nothing to a node that ends the call or calls somebody.",
    ),
    "flow.spin": (
        "where nobody can be called, a caller goes round without a pause and hears nothing: {chain}",
        "Put a node that plays something into the ring, or lead a way out to one that ends the call.",
    ),
    "flow.no_end": (
        "from node {node} no way leads to an end",
        "Let one of its ways out lead to a node that ends the call.",
    ),
    "flow.prompt_missing": (
        "node {node} plays the prompt {value}, which does not exist",
        "Correct the id, or add the prompt.",
    ),
    "flow.prompt_language": (
        "node {node} plays the prompt {value}, which has no text in {language}",
        "Add the text, or choose another language for the flow.",
    ),
    "flow.no_prompt": (
        "node {node} asks for keys without a prompt: the caller would hear silence",
        "Add a prompt.",
    ),
    "flow.key_taken": ("menu {node} offers the key {value} twice", "Remove one of the two."),
    "flow.no_keys": ("menu {node} offers no key", "Add at least one key, or use a node that plays."),
    "flow.variable_unset": (
        "node {node} uses the variable {value}, which no node before it sets",
        "Set it on every way to this node, or correct its name.",
    ),
    "flow.pattern": (
        "{value} is no regular expression: {detail}",
        "Correct the expression at the place named.",
    ),
    "flow.digits": ("{least} to {most} digits", "The least number of digits must not be above the most."),
}
"""Rules of flows, in English: key -> (message, hint)."""


def check(flow: Flow, known: Known) -> list[Fault]:
    """Every fault of a flow, in the order of its nodes."""
    ways = [*_ids(flow), *_targets(flow)]
    faults = list(ways)
    for index, node in enumerate(flow.nodes):
        faults += _node(flow, node, f"nodes[{index}]", known)
    if ways:  # what is reached means little while ways lead nowhere
        return [*faults, *_loops(flow)]
    return [
        *faults,
        *_unreachable(flow),
        *_variables(flow),
        *_loops(flow),
        *_endless(flow),
        *_deep(flow),
    ]


def _ids(flow: Flow) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, node in enumerate(flow.nodes):
        if node.id and node.id in seen:
            yield Fault(f"nodes[{index}].id", "flow.node_taken", {"value": repr(node.id)})
        seen.add(node.id)
    if flow.start and flow.start not in seen:
        yield Fault("start", "flow.start_unknown", {"value": repr(flow.start), "known": listed(seen)})


def _targets(flow: Flow) -> Iterator[Fault]:
    ids = {node.id for node in flow.nodes}
    for index, node in enumerate(flow.nodes):
        for outcome, target in node.edges():
            where = f"nodes[{index}].{_field(node, outcome)}"
            if not target:
                yield Fault(where, "flow.dead_end", {"outcome": outcome, "node": node.id})
            elif target not in ids:
                values = {"outcome": outcome, "node": node.id, "value": repr(target), "known": listed(ids)}
                yield Fault(where, "flow.target_unknown", values)


def _field(node: FlowNode, outcome: str) -> str:
    """Where the document says what an outcome leads to."""
    if outcome.startswith("case"):
        return f"cases[{int(outcome.removeprefix('case')) - 1}].then"
    keys = [key for key, _ in node.keys]
    return f"keys[{keys.index(outcome)}].then" if outcome in keys else outcome


def _node(flow: Flow, node: FlowNode, path: str, known: Known) -> Iterator[Fault]:
    for name, prompts in (("prompts", node.prompts), ("again", node.again)):
        for index, prompt in enumerate(prompts):
            yield from _prompt(flow, node, f"{path}.{name}[{index}]", prompt, known)
    if node.kind in (Kind.MENU, Kind.COLLECT, Kind.PLAY) and not node.prompts:
        yield Fault(f"{path}.prompts", "flow.no_prompt", {"node": node.id})
    if node.kind is Kind.MENU and not node.keys:
        yield Fault(f"{path}.keys", "flow.no_keys", {"node": node.id})
    keys = [key for key, _ in node.keys]
    for index, key in enumerate(keys):
        if key and key in keys[:index]:
            yield Fault(f"{path}.keys[{index}].key", "flow.key_taken", {"node": node.id, "value": repr(key)})
    if node.kind is Kind.COLLECT and node.least > node.most:
        yield Fault(f"{path}.least", "flow.digits", {"least": node.least, "most": node.most})
    patterns = [(f"{path}.pattern", node.pattern)] if node.pattern else []
    patterns += [
        (f"{path}.cases[{index}].matches", case.matches)
        for index, case in enumerate(node.cases)
        if case.matches
    ]
    for where, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield Fault(where, "flow.pattern", {"value": repr(pattern), "detail": str(error)})
    yield from node_faults(node, path, known)


def _prompt(flow: Flow, node: FlowNode, where: str, prompt: str, known: Known) -> Iterator[Fault]:
    if not prompt:
        return
    languages = known.prompts.get(prompt)
    if languages is None:
        yield Fault(where, "flow.prompt_missing", {"node": node.id, "value": repr(prompt)})
    elif flow.language not in languages:
        yield Fault(
            where, "flow.prompt_language", {"node": node.id, "value": repr(prompt), "language": flow.language}
        )


def _unreachable(flow: Flow) -> Iterator[Fault]:
    reached = _reach(flow, (flow.start,))
    for index, node in enumerate(flow.nodes):
        if node.id not in reached:
            yield Fault(f"nodes[{index}]", "flow.unreachable", {"node": node.id})


def _reach(flow: Flow, start: Iterable[str]) -> set[str]:
    nodes = {node.id: node for node in flow.nodes}
    reached: set[str] = set()
    pending = set(start)
    while pending:
        one = pending.pop()
        reached.add(one)
        pending |= {target for _, target in nodes[one].edges()} - reached
    return reached


def _endless(flow: Flow) -> Iterator[Fault]:
    """Nodes from which nothing ends the call, whatever the caller presses. A call that is answered ends by itself."""
    nodes = {node.id: node for node in flow.nodes}
    ends = {node.id for node in flow.nodes if node.kind in ENDS | CALLS}
    for index, node in enumerate(flow.nodes):
        if not _reach(flow, (node.id,)) & ends & set(nodes):
            yield Fault(f"nodes[{index}]", "flow.no_end", {"node": node.id})


def _deep(flow: Flow) -> Iterator[Fault]:
    """The nodes that a caller reaches after too many others, the first of them."""
    nodes = {node.id: node for node in flow.nodes}
    seen, front, depth = {flow.start}, [flow.start], 0
    while front:
        depth += 1
        following = (target for one in front for _, target in nodes[one].edges())
        front = [one for one in dict.fromkeys(following) if one not in seen]
        seen |= set(front)
        if front and depth >= DEPTH_MAX:
            index = list(nodes).index(front[0])
            values = {"node": front[0], "depth": depth, "most": DEPTH_MAX - 1}
            yield Fault(f"nodes[{index}]", "flow.deep", values)
            return


def _silent(node: FlowNode) -> list[str]:
    """Where a caller who presses nothing may be led. A call to somebody is a rest: it ends the round."""
    if node.kind in CALLS:
        return []
    keys = {key for key, _ in node.keys}
    pressed = {"next"} if node.kind is Kind.COLLECT else set()
    return [target for outcome, target in node.edges() if outcome not in keys | pressed]


INSTANT = frozenset(Kind) - {Kind.PLAY, Kind.MENU, Kind.COLLECT, Kind.SAY, Kind.RECORD_ANNOUNCE}
"""Kinds that may be passed in no time, and in which nothing is heard then."""


def _hasty(node: FlowNode) -> list[str]:
    """Where a call may be led at once: a telephone that is not registered and a queue without agents take no time."""
    if node.kind not in INSTANT:
        return []
    return [target for outcome, target in node.edges() if (node.kind, outcome) != (Kind.QUEUE, TIMEOUT)]


def _loops(flow: Flow) -> Iterator[Fault]:
    """One fault for each ring of nodes that a silent caller cannot leave or may never leave, and for each in which a call that
    nobody takes would go round as fast as the machine can."""
    told: set[frozenset[str]] = set()
    nodes = {node.id: node for node in flow.nodes}
    places = {node.id: index for index, node in enumerate(flow.nodes)}
    for key, ways in (("flow.loop", _silent), ("flow.spin", _hasty)):
        for node in flow.nodes:
            ring = _ring(nodes, node.id, ways)
            if ring and frozenset(ring) not in told:
                told.add(frozenset(ring))
                chain = " -> ".join((*ring, ring[0]))
                yield Fault(f"nodes[{places[node.id]}]", key, {"chain": chain})


def _ring(
    nodes: dict[str, FlowNode], start: str, ways_of: Callable[[FlowNode], list[str]]
) -> tuple[str, ...]:
    """The shortest way from a node back to it; () when there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    for way in ways:
        for target in ways_of(nodes[way[-1]]):
            if target == start:
                return way
            if target in nodes and target not in seen:
                seen.add(target)
                ways.append((*way, target))
    return ()


def _variables(flow: Flow) -> Iterator[Fault]:
    """Variables that are read before anything can have set them, on some way."""
    nodes = {node.id: node for node in flow.nodes}
    everything = frozenset().union(
        *(node.sets(outcome) for node in flow.nodes for outcome, _ in node.edges())
    )
    before: dict[str, frozenset[str]] = dict.fromkeys(nodes, everything) | {flow.start: frozenset()}
    pending = [flow.start]
    visited: set[str] = set()
    while pending:
        node = nodes[pending.pop()]
        for outcome, target in node.edges():
            known = before[node.id] | node.sets(outcome)
            narrowed = before[target] & known
            if narrowed != before[target] or target not in visited:
                before[target] = narrowed
                visited.add(target)
                pending.append(target)
    for index, node in enumerate(flow.nodes):
        for name in sorted(node.reads() - before[node.id]):
            where = f"nodes[{index}].{'send' if node.lookup else 'variable'}"
            yield Fault(where, "flow.variable_unset", {"node": node.id, "value": repr(name)})
