"""What is wrong with a single node: what it refers to, and what its fields say together. Pure."""

from collections.abc import Iterator

from appliance.freeswitch.flow import CALLS_OWN, QUEUED, FlowNode, Kind, Subject
from appliance.freeswitch.flow_faults import Fault, Known, listed

NODE_TEMPLATES: dict[str, tuple[str, str]] = {
    "flow.schedule_unknown": (
        "{value} is not a schedule; known are {known}",
        "Correct the id, or add the schedule.",
    ),
    "flow.mailbox_unknown": (
        "{value} is not an extension with a voicemail box",
        "Correct the number, or give it a box.",
    ),
    "flow.queue_unknown": ("{value} is not a queue; known are {known}", "Correct the id, or add the queue."),
    "flow.queue_missing": ("branch {node} looks at a queue and names none", "Name the queue."),
    "flow.schedule_missing": (
        "branch {node} looks at holidays and names no schedule",
        "Name the schedule whose holidays count.",
    ),
    "flow.directory_unknown": (
        "{value} is not an application of kind directory; known are {known}",
        "Correct the number, or add the application.",
    ),
    "flow.case_empty": (
        "case {number} of branch {node} matches nothing",
        "Give matches, is, prefixes, at_least, days or holidays.",
    ),
    "flow.case_field": (
        "{field} means nothing to branch {node}, which looks at {subject}",
        "Use {allowed} there.",
    ),
    "flow.holiday_unknown": (
        "{value} is no public holiday of the schedule {schedule}; known are {known}",
        "Write the name as it is known, or give the date under days.",
    ),
    "flow.variable_reserved": (
        "{value} is the call's own and cannot be set by node {node}",
        "Choose another name.",
    ),
    "flow.no_fields": (
        "node {node} looks something up and notes nothing of the answer",
        "Give fields: which part of the answer goes into which variable.",
    ),
    "flow.port": ("{value} is no port", "Ports are 1 to 65535."),
}
"""Rules of single nodes, in English: key -> (message, hint)."""

_NUMBERS = ("matches", "is", "at_least")
_TEXTS = ("matches", "is", "prefixes")
_DAYS = ("days", "holidays")


def node_faults(node: FlowNode, path: str, known: Known) -> Iterator[Fault]:
    """Every fault of a node by itself. path: of the node in its flow."""
    yield from _references(node, path, known)
    if node.kind is Kind.BRANCH:
        yield from _branch(node, path, known)
    if node.lookup:
        yield from _lookup(node, path)
    if node.kind in (Kind.SET, Kind.COLLECT) and node.variable in CALLS_OWN:
        values = {"node": node.id, "value": repr(node.variable)}
        yield Fault(f"{path}.variable", "flow.variable_reserved", values)


def _references(node: FlowNode, path: str, known: Known) -> Iterator[Fault]:
    if node.schedule and node.schedule not in known.schedules:
        values = {"value": repr(node.schedule), "known": listed(known.schedules)}
        yield Fault(f"{path}.schedule", "flow.schedule_unknown", values)
    if node.queue and node.queue not in known.queues:
        values = {"value": repr(node.queue), "known": listed(known.queues)}
        yield Fault(f"{path}.queue", "flow.queue_unknown", values)
    if node.kind is Kind.VOICEMAIL and node.number and node.number not in known.mailboxes:
        yield Fault(f"{path}.number", "flow.mailbox_unknown", {"value": repr(node.number)})
    if node.kind is Kind.DIRECTORY and node.number not in known.directories:
        values = {"value": repr(node.number), "known": listed(known.directories)}
        yield Fault(f"{path}.number", "flow.directory_unknown", values)


def _branch(node: FlowNode, path: str, known: Known) -> Iterator[Fault]:
    if node.subject in QUEUED and not node.queue:
        yield Fault(f"{path}.queue", "flow.queue_missing", {"node": node.id})
    if node.subject is Subject.HOLIDAY and not node.schedule:
        yield Fault(f"{path}.schedule", "flow.schedule_missing", {"node": node.id})
    allowed = _DAYS if node.subject is Subject.HOLIDAY else _NUMBERS if node.subject in QUEUED else _TEXTS
    for index, case in enumerate(node.cases):
        given = {
            "matches": bool(case.matches),
            "is": bool(case.values),
            "prefixes": bool(case.prefixes),
            "at_least": case.at_least is not None,
            "days": bool(case.days),
            "holidays": bool(case.holidays),
        }
        where = f"{path}.cases[{index}]"
        if not any(given.values()):
            yield Fault(where, "flow.case_empty", {"node": node.id, "number": index + 1})
        for name in (name for name, there in given.items() if there and name not in allowed):
            values = {"node": node.id, "field": name, "subject": node.subject, "allowed": ", ".join(allowed)}
            yield Fault(f"{where}.{name}", "flow.case_field", values)
        names = known.schedules.get(node.schedule)
        if node.subject is not Subject.HOLIDAY or names is None:
            continue
        for place, name in enumerate(case.holidays):
            if name and name not in names:
                values = {"value": repr(name), "schedule": node.schedule, "known": listed(names)}
                yield Fault(f"{where}.holidays[{place}]", "flow.holiday_unknown", values)


def _lookup(node: FlowNode, path: str) -> Iterator[Fault]:
    if node.lookup is None:
        return
    if not node.lookup.fields:
        yield Fault(f"{path}.fields", "flow.no_fields", {"node": node.id})
    for index, (variable, _) in enumerate(node.lookup.fields):
        if variable in CALLS_OWN:
            values = {"node": node.id, "value": repr(variable)}
            yield Fault(f"{path}.fields[{index}].variable", "flow.variable_reserved", values)
    port = node.lookup.url.partition("//")[2].partition("/")[0].partition("?")[0].partition(":")[2]
    if port and not 0 < int(port) < 65_536:
        yield Fault(f"{path}.url", "flow.port", {"value": repr(port)})
