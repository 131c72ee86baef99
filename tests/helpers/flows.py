"""Builds flows and their site documents: valid as they are, changed by keyword."""

from typing import Any

from appliance import site
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow import Flow
from tests.helpers.site_documents import document, group

OFFICE = {
    "id": "office",
    "hours": [
        {"from": "09:00", "to": "12:00"},
        {"from": "13:00", "to": "17:30"},
        {"days": ["sat"], "from": "10:00", "to": "12:00"},
    ],
    "public_holidays": "jp",
    "closed_days": ["12-29", "2026-08-14"],
    "open_days": ["2026-04-29"],
}


def bye(node_id: str = "bye", **changes: Any) -> dict[str, Any]:
    """A node that says goodbye."""
    return {"id": node_id, "do": "hangup", "prompts": ["goodbye"]} | changes


def menu(node_id: str = "main", **changes: Any) -> dict[str, Any]:
    """A menu with one key, all of whose ways lead to "bye"."""
    base = {"do": "menu", "prompts": ["welcome"], "keys": [{"key": "1", "then": "bye"}]}
    return {"id": node_id, "timeout": "bye", "invalid": "bye"} | base | changes


def flow(*nodes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A flow of those nodes, which begins with the first."""
    return {"id": "reception", "language": "en", "nodes": list(nodes)} | changes


def flow_document(*nodes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A site document with one flow at 700."""
    base: dict[str, Any] = {
        "groups": [group("600")],
        "applications": [{"number": "700", "kind": "flow", "flow": "reception"}],
        "schedules": [OFFICE],
        "flows": [flow(*nodes)],
    }
    return document(**(base | changes))


def faults(*nodes: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    """(path below the flow, key) of every fault of a flow."""
    found = site.validate(flow_document(*nodes, **changes))
    return [(one.path.removeprefix("$.flows[0]."), one.key) for one in found]


def plan_of(*nodes: dict[str, Any], **changes: Any) -> MediaPlan:
    """What the box makes of such a document."""
    return site.parse(flow_document(*nodes, **changes)).media


def flow_of(*nodes: dict[str, Any]) -> Flow:
    """The flow of those nodes."""
    return plan_of(*nodes).flows[0]
