"""A call flow put into a site document, or taken out of it. Pure.

What is put in is a flow, or a part of a document as `kyusai flow template show` prints it: rows of the lists that flows live in.
A row that is there already, by its id or number, is replaced.
"""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from appliance.errors import KyusaiError

KEYS = {"flows": "id", "schedules": "id", "queues": "id", "prompts": "id", "applications": "number"}
"""Lists of a document that a part may hold -> what names their rows."""

Document = dict[str, Any]


def part(given: object) -> dict[str, list[Document]]:
    """What was given as a part: a single flow is one. Raises `KyusaiError` "flow.no_part"."""
    if isinstance(given, dict) and "nodes" in given:
        given = {"flows": [given]}
    good = isinstance(given, dict) and given and set(given) <= set(KEYS)
    if good and isinstance(given, dict):
        good = all(
            isinstance(rows, list)
            and all(isinstance(row, dict) and isinstance(row.get(KEYS[name]), str) for row in rows)
            for name, rows in given.items()
        )
    if not good or not isinstance(given, dict):
        raise KyusaiError(
            "flow.no_part",
            "this is neither a flow nor a part of a site document",
            f"Give a flow with its id and nodes, or an object with some of {', '.join(KEYS)}, each a list of objects with id or "
            "number.",
            known=", ".join(KEYS),
        )
    return given


def put(document: Document, given: object) -> Document:
    """The document with a part in it. Raises as `part`."""
    found = deepcopy(document)
    for name, rows in part(given).items():
        key, there = KEYS[name], _rows(found, name)
        for row in rows:
            places = [
                index for index, one in enumerate(there) if isinstance(one, dict) and one.get(key) == row[key]
            ]
            if places:
                there[places[0]] = row
            else:
                there.append(row)
    return found


def remove(document: Document, flow_id: str) -> Document:
    """The document without a flow and without the applications that it answered; schedules and prompts stay. Raises
    `KyusaiError` "flow.unknown"."""
    found = deepcopy(document)
    flow(found, flow_id)
    left = {
        "flows": [one for one in _rows(found, "flows") if one.get("id") != flow_id],
        "applications": [
            one
            for one in _rows(found, "applications")
            if not (one.get("kind") == "flow" and one.get("flow") == flow_id)
        ],
    }
    return {name: value for name, value in (found | left).items() if name not in left or value}


def flow(document: Document, flow_id: str) -> Document:
    """A flow as the document has it. Raises `KyusaiError` "flow.unknown"."""
    rows = _rows(document, "flows")
    for row in rows:
        if row.get("id") == flow_id:
            return row
    known = ", ".join(sorted(str(row.get("id")) for row in rows)) or "none"
    raise KyusaiError(
        "flow.unknown",
        f"{flow_id!r} is not a flow of this site; known are {known}",
        "kyusai centre flow list shows them.",
        value=flow_id,
        known=known,
    )


def numbers(document: Document, flow_id: str) -> list[str]:
    """Numbers that the flow answers."""
    rows: Iterable[Document] = _rows(document, "applications")
    return [
        str(one.get("number")) for one in rows if one.get("kind") == "flow" and one.get("flow") == flow_id
    ]


def _rows(document: Document, name: str) -> list[Document]:
    rows: list[Document] = document.setdefault(name, [])
    return rows
