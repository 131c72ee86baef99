"""A flow as a picture: lines of text for a terminal, SVG for everywhere else. Pure.

Nodes stand in layers by their distance from the start, so that a caller's way runs from top to bottom; a way back is drawn
beside them. The same flow always gives the same picture.
"""

from collections.abc import Iterable, Iterator
from html import escape

from appliance.freeswitch.flow import Flow, FlowNode

BOX_WIDTH, BOX_HEIGHT = 190, 58
GAP_X, GAP_Y = 40, 74
MARGIN = 30
LINE_CHARS = 28
"""Characters that fit into a box at the font's size."""

COLOURS = {
    "play": "#e8f0fe",
    "menu": "#fff3d6",
    "collect": "#fff3d6",
    "schedule": "#e6f4ea",
    "branch": "#e6f4ea",
    "set": "#f1f3f4",
    "transfer": "#fce8e6",
    "voicemail": "#f3e8fd",
    "queue": "#fce8e6",
    "http": "#e0f7fa",
    "say": "#e8f0fe",
    "directory": "#f3e8fd",
    "record_announce": "#fdf0e1",
    "record_pause": "#fdf0e1",
    "record_resume": "#fdf0e1",
    "retention": "#fdf0e1",
    "hangup": "#dadce0",
}


def lines(flow: Flow) -> Iterator[str]:
    """The flow as text, node by node in the order in which a caller meets them."""
    yield f"{flow.name}  ({flow.language})"
    for node in _ordered(flow):
        start = "●" if node.id == flow.start else "○"
        yield ""
        yield f"{start} {node.id}  [{node.kind}]  {_about(node)}".rstrip()
        ways = list(node.edges())
        for index, (outcome, target) in enumerate(ways):
            branch = "└" if index == len(ways) - 1 else "├"
            yield f"  {branch}─ {_label(node, outcome)} → {target or '?'}"


def svg(flow: Flow) -> str:
    """The flow as an SVG document."""
    layers = _layers(flow)
    places = {
        node.id: (MARGIN + column * (BOX_WIDTH + GAP_X), MARGIN + row * (BOX_HEIGHT + GAP_Y))
        for row, layer in enumerate(layers)
        for column, node in enumerate(layer)
    }
    widest = max((len(layer) for layer in layers), default=1)
    width = 2 * MARGIN + widest * (BOX_WIDTH + GAP_X) + GAP_X
    height = 2 * MARGIN + len(layers) * (BOX_HEIGHT + GAP_Y)
    body = [*_ways(flow, places), *(_box(node, *places[node.id]) for layer in layers for node in layer)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    )
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5f6368"/></marker></defs>'
    )
    title = f"<title>{escape(flow.name)}</title>"
    return "\n".join(
        (head, title, arrow, '<rect width="100%" height="100%" fill="#fff"/>', *body, "</svg>", "")
    )


def _about(node: FlowNode) -> str:
    """What the node says or uses, in a few words."""
    words = [
        ", ".join(node.prompts),
        node.schedule,
        node.queue,
        node.number,
        node.retention,
        node.lookup.url if node.lookup else "",
        f"${node.variable}" if node.variable else "",
    ]
    return "  ".join(filter(None, words))


def _label(node: FlowNode, outcome: str) -> str:
    """An outcome as people know it: a case by what it matches."""
    if outcome.startswith("case") and node.cases:
        return f"{node.subject} = {node.cases[int(outcome.removeprefix('case')) - 1].asks}"
    return outcome


def _layers(flow: Flow) -> list[list[FlowNode]]:
    """Nodes by their distance from the start; those that nothing leads to at the end."""
    nodes = {node.id: node for node in flow.nodes}
    layers: list[list[FlowNode]] = []
    seen: set[str] = set()
    front = [flow.start] if flow.start in nodes else []
    while front:
        layers.append([nodes[one] for one in front])
        seen |= set(front)
        following = (target for one in front for _, target in nodes[one].edges())
        front = [one for one in dict.fromkeys(following) if one in nodes and one not in seen]
    lost = [node for node in flow.nodes if node.id not in seen]
    return [*layers, *([lost] if lost else [])]


def _ordered(flow: Flow) -> Iterable[FlowNode]:
    return (node for layer in _layers(flow) for node in layer)


def _box(node: FlowNode, x: int, y: int) -> str:
    head = f"{node.id} · {node.kind}"
    about = _cut(_about(node))
    return (
        f'<g><rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="{COLOURS[node.kind]}" '
        f'stroke="#5f6368"/><text x="{x + 10}" y="{y + 22}" font-weight="bold">{escape(_cut(head))}</text>'
        f'<text x="{x + 10}" y="{y + 42}" fill="#3c4043">{escape(about)}</text></g>'
    )


def _ways(flow: Flow, places: dict[str, tuple[int, int]]) -> Iterator[str]:
    for node in flow.nodes:
        ways = [(outcome, target) for outcome, target in node.edges() if target in places]
        for index, (outcome, target) in enumerate(ways):
            begin_x = places[node.id][0] + round(BOX_WIDTH * (index + 1) / (len(ways) + 1))
            begin_y = places[node.id][1] + BOX_HEIGHT
            end_x, end_y = places[target][0] + BOX_WIDTH // 2, places[target][1]
            back = end_y < begin_y
            if back:
                end_x, end_y = places[target][0] + BOX_WIDTH, places[target][1] + BOX_HEIGHT // 2
            bend = GAP_Y // 2
            path = (
                f"M{begin_x} {begin_y} C{begin_x} {begin_y + bend} {end_x + bend * 2} {end_y + bend} {end_x} {end_y}"
                if back
                else f"M{begin_x} {begin_y} C{begin_x} {begin_y + bend} {end_x} {end_y - bend} {end_x} {end_y}"
            )
            yield f'<path d="{path}" fill="none" stroke="#5f6368" marker-end="url(#arrow)"/>'
            text = escape(_cut(_label(node, outcome)))
            label_y = begin_y + 14 + 12 * (index % 3)
            yield f'<text x="{begin_x + 4}" y="{label_y}" fill="#1a73e8">{text}</text>'


def _cut(text: str) -> str:
    return text if len(text) <= LINE_CHARS else text[: LINE_CHARS - 1] + "…"
