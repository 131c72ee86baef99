"""A picture that people can read: nothing on top of anything else, whatever the flow."""

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from appliance import site_flows
from appliance.freeswitch import flow_draw, flow_words
from appliance.freeswitch.flow import Flow
from appliance.freeswitch.flow_draw import BOX_WIDTH, LINE_UNITS, Box, cut, places, svg, units
from appliance.freeswitch.flow_templates import TEMPLATES, part
from appliance.problems import Problems
from appliance.reader import Document, Table
from appliance.site import ALL_TEMPLATES
from tests.helpers.flows import bye, flow_of, menu


def large(count: int = 30) -> Flow:
    """A tree of menus with ways back to the start, and names as long as they may be."""
    nodes = []
    for index in range(count):
        inner = [child for child in (3 * index + 1, 3 * index + 2, 3 * index + 3) if child < count]
        name = "n" + f"{index:02d}" + "-ein-recht-langer-name-im-bild"[: 28 - 3]
        keys = [
            {"key": str(place), "then": "n" + f"{child:02d}" + "-ein-recht-langer-name-im-bild"[: 28 - 3]}
            for place, child in enumerate(inner, 1)
        ]
        keys.append({"key": "9", "then": "bye"})
        nodes.append(menu(name, keys=keys))
    return flow_of(*nodes, bye())


def template(name: str) -> Flow:
    rows = part(name, {})["flows"]
    return site_flows.flow(Table(rows[0], "$", Document(Problems(ALL_TEMPLATES))))


FLOWS = [large(), *(template(name) for name in TEMPLATES)]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.id)
def test_no_box_touches_another_and_all_are_on_the_picture(flow: Flow) -> None:
    boxes = list(places(flow).values())
    assert len(boxes) == len(flow.nodes)
    assert not [(a.node.id, b.node.id) for a, b in combinations(boxes, 2) if _meet(a, b)]
    root = ET.fromstring(svg(flow))  # noqa: S314 - ours
    width, height = int(root.get("width", "0")), int(root.get("height", "0"))
    assert all(box.x + BOX_WIDTH < width and box.y + box.height < height for box in boxes)


def _meet(a: Box, b: Box) -> bool:
    return a.x < b.x + BOX_WIDTH and b.x < a.x + BOX_WIDTH and a.y < b.y + b.height and b.y < a.y + a.height


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.id)
@pytest.mark.parametrize("words", [{}, flow_words.words("ja")], ids=["plain", "ja"])
def test_every_line_of_text_stays_in_its_box_and_stands_alone(flow: Flow, words: dict[str, str]) -> None:
    root = ET.fromstring(svg(flow, words))  # noqa: S314 - ours
    texts = [
        (int(one.get("x", "0")), int(one.get("y", "0")), one.text or "")
        for one in root.iter("{http://www.w3.org/2000/svg}text")
    ]
    assert all(units(text) <= LINE_UNITS for _, _, text in texts)
    assert len({(x, y) for x, y, _ in texts}) == len(texts)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.id)
def test_a_line_leads_to_the_next_column_only_so_it_crosses_no_box(flow: Flow) -> None:
    boxes = places(flow)
    drawn = svg(flow).count('stroke="#5f6368" marker-end')
    forward = [
        target for box in boxes.values() for _, target in box.rows if boxes[target].column == box.column + 1
    ]
    assert drawn == len(forward)


def test_japanese_text_is_cut_by_its_width() -> None:
    assert units("受付") == 4
    assert (
        cut("お電話ありがとうございます。ただいま営業時間外です。") == "お電話ありがとうございます。ただい…"
    )
    assert units(cut("あ" * 100)) <= LINE_UNITS


def test_a_japanese_picture_names_nodes_and_ways_in_japanese_and_leaves_keys_and_ids_alone() -> None:
    shown = "\n".join(flow_draw.lines(template("contact-centre"), flow_words.words("ja")))
    assert "● when  [営業時間]  contact-centre-hours" in shown
    assert "├─ 満員 → busy" in shown
    assert "├─ 最長待ち秒数 ≥ 240 → busy" in shown
    keyed = flow_of(menu(keys=[{"key": "1", "then": "bye"}]), bye())
    assert ">1 → bye<" in svg(keyed, flow_words.words("ja") | {"1": "?"})
    assert [flow_words.words("en")[name] for name in flow_words.NAMES] == list(flow_words.NAMES)


def heading(flow: Flow) -> str:
    """The heading of a picture."""
    return ET.fromstring(svg(flow)).findtext("{http://www.w3.org/2000/svg}text") or ""  # noqa: S314 - ours


def test_a_name_with_markup_is_shown_as_it_is() -> None:
    flow = Flow("x", '<b>&"受付', "bye", flow_of(bye()).nodes)
    root = ET.fromstring(svg(flow))  # noqa: S314 - ours
    assert root.findtext("{http://www.w3.org/2000/svg}title") == '<b>&"受付'
    assert root.findtext("{http://www.w3.org/2000/svg}text") == '<b>&"受付'
    long = heading(Flow("x", "本社代表受付" * 20, "bye", flow_of(bye()).nodes))
    assert units(long) <= flow_draw.HEAD_UNITS
    assert next(iter(flow_draw.lines(flow))).startswith('<b>&"受付')
