"""A flow as a picture: lines of text for a terminal, SVG for everywhere else. Pure.

Nodes stand in columns by their distance from the start, so that a caller's way runs from left to right; what leads out of a node
stands in its box, so that no label meets another. The same flow always gives the same picture.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

from appliance.freeswitch.flow import Flow, FlowNode

BOX_WIDTH = 250
LINE_HEIGHT = 18
PADDING = 10
GAP_X, GAP_Y = 90, 26
MARGIN = 30
HEAD_HEIGHT = 34
"""Above the boxes: the flow's name."""
HEAD_UNITS = 26
"""As much of it as fits over one column."""

LINE_UNITS = 36
"""What fits into a box: a Latin letter is one unit wide, a Japanese character two."""

BOLD_UNITS = 30
"""The same of a node's name, which is wider."""

Words = Mapping[str, str]
"""Names of the site document -> how they are shown."""

PLAIN: Words = {}
"""As they are."""

FONTS = "'Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,'Noto Sans CJK JP',sans-serif"

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


def lines(flow: Flow, words: Words = PLAIN) -> Iterator[str]:
    """The flow as text, node by node in the order in which a caller meets them."""
    yield f"{flow.name}  ({flow.language})"
    for node in _ordered(flow):
        start = "●" if node.id == flow.start else "○"
        yield ""
        yield f"{start} {node.id}  [{_word(words, node.kind)}]  {_about(node)}".rstrip()
        ways = list(node.edges())
        for index, (outcome, target) in enumerate(ways):
            branch = "└" if index == len(ways) - 1 else "├"
            yield f"  {branch}─ {_label(node, outcome, words)} → {target or '?'}"


def svg(flow: Flow, words: Words = PLAIN) -> str:
    """The flow as an SVG document. words: how names of the site document are shown."""
    boxes = places(flow, words)
    width = max((box.x + BOX_WIDTH for box in boxes.values()), default=0) + MARGIN
    height = max((box.y + box.height for box in boxes.values()), default=0) + MARGIN
    columns = 1 + max((box.column for box in boxes.values()), default=0)
    name = _text(MARGIN, MARGIN, cut(flow.name, HEAD_UNITS * columns), 'font-size="16" font-weight="bold"')
    body = [name, *_ways(boxes), *(_drawn(box, words) for box in boxes.values())]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{FONTS}" font-size="12">'
    )
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5f6368"/></marker></defs>'
    )
    title = f"<title>{escape(flow.name)}</title>"
    return "\n".join(
        (head, title, arrow, '<rect width="100%" height="100%" fill="#fff"/>', *body, "</svg>", "")
    )


@dataclass(frozen=True, slots=True)
class Box:
    """A node on the picture. column: its distance from the start. rows: (what leads out, where to), as they stand below
    each other."""

    node: FlowNode
    column: int
    x: int
    y: int
    rows: tuple[tuple[str, str], ...]

    @property
    def height(self) -> int:
        """Two lines on the node, one for each way out."""
        return 2 * PADDING + LINE_HEIGHT * (2 + len(self.rows))

    def row_y(self, index: int) -> int:
        """Middle of a row."""
        return self.y + PADDING + LINE_HEIGHT * (2 + index) + LINE_HEIGHT // 2

    @property
    def entry_y(self) -> int:
        """Where ways come in."""
        return self.y + PADDING + LINE_HEIGHT // 2


def places(flow: Flow, words: Words = PLAIN) -> dict[str, Box]:
    """Where each node stands: one column for each distance from the start, in the order in which ways lead there. A way
    leads into the next column, or back: never across a box."""
    found: dict[str, Box] = {}
    for column, layer in enumerate(_layers(flow)):
        y = MARGIN + HEAD_HEIGHT
        for node in layer:
            rows = tuple((_label(node, outcome, words), target) for outcome, target in node.edges())
            box = Box(node, column, MARGIN + column * (BOX_WIDTH + GAP_X), y, rows)
            found[node.id] = box
            y += box.height + GAP_Y
    return found


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


def _label(node: FlowNode, outcome: str, words: Words) -> str:
    """An outcome as people know it: a case by what it matches."""
    if outcome.startswith("case") and node.cases:
        return f"{_word(words, node.subject)} {node.cases[int(outcome.removeprefix('case')) - 1].asks}"
    return outcome if outcome in dict(node.keys) else _word(words, outcome)


def _word(words: Words, name: str) -> str:
    return words.get(name, name)


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


def _drawn(box: Box, words: Words) -> str:
    node, x, y = box.node, box.x, box.y
    lines_of = [
        _text(x + PADDING, box.entry_y, cut(node.id, BOLD_UNITS), 'font-weight="bold"'),
        _text(
            x + PADDING,
            box.entry_y + LINE_HEIGHT,
            cut(f"{_word(words, node.kind)}  {_about(node)}"),
            'fill="#3c4043"',
        ),
    ]
    for index, (label, target) in enumerate(box.rows):
        sign = "→"
        room = LINE_UNITS - units(f" {sign} {target}")
        shown = f"{cut(label, max(4, room))} {sign} {target}"
        lines_of.append(_text(x + PADDING, box.row_y(index), shown, 'fill="#1a56b0"'))
    rule_y = y + PADDING + 2 * LINE_HEIGHT
    rule = f'<path d="M{x} {rule_y}h{BOX_WIDTH}" stroke="#dadce0"/>' if box.rows else ""
    frame = (
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{box.height}" rx="8" fill="{COLOURS[node.kind]}" '
        'stroke="#5f6368"/>'
    )
    told = escape(f"{node.id} · {_word(words, node.kind)}  {_about(node)}")
    return f"<g><title>{told}</title>{frame}{rule}{''.join(lines_of)}</g>"


def _text(x: int, middle_y: int, text: str, look: str) -> str:
    return f'<text x="{x}" y="{middle_y + 4}" {look}>{escape(text)}</text>'


def _ways(boxes: Mapping[str, Box]) -> Iterator[str]:
    """Lines into the next column; a way back is told by its row, with a short arrow."""
    for box in boxes.values():
        x = box.x + BOX_WIDTH
        for index, (_, target) in enumerate(box.rows):
            y, there = box.row_y(index), boxes.get(target)
            if there is not None and there.column == box.column + 1:
                bend = GAP_X // 2
                path = f"M{x} {y} C{x + bend} {y} {there.x - bend} {there.entry_y} {there.x} {there.entry_y}"
                yield f'<path d="{path}" fill="none" stroke="#5f6368" marker-end="url(#arrow)"/>'
            else:
                back = f"M{x} {y}h14v-6h-10"
                yield f'<path d="{back}" fill="none" stroke="#9aa0a6" marker-end="url(#arrow)"/>'


def units(text: str) -> int:
    """How wide a text is."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def cut(text: str, most: int = LINE_UNITS) -> str:
    """As much of a text as fits."""
    if units(text) <= most:
        return text
    shown = ""
    for one in text:
        if units(shown + one) >= most:
            break
        shown += one
    return shown + "…"
