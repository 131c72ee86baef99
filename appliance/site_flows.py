"""Reads the flows and queues of a site document: nodes and their fields, each by its own rule. Pure.

What nodes say together is `appliance.freeswitch.flow_check`'s work.
"""

import re
from collections.abc import Callable
from datetime import date

from appliance import words
from appliance.freeswitch.flow import OUTCOMES, Case, Flow, FlowNode, Kind, Lookup, Saying, Subject
from appliance.freeswitch.queue import Queue
from appliance.freeswitch.schedule import Day
from appliance.reader import Table
from appliance.words import Form

NODES_MAX = 200
"""Of one flow. The largest that a person can still draw is a quarter."""

PROMPTS_IN_A_ROW_MAX = 10
CASES_MAX = 50
CASE_VALUES_MAX = 500
"""In the lists of one case: a branch on customers' numbers; more belong into a look-up."""

KEYS_MAX = 50
DAYS_MAX = 400
AGENTS_MAX = 100
LOOKUP_FIELDS_MAX = 20
LOOKUP_MS_MAX = 5_000
"""A caller hears silence meanwhile."""

FLOW_LANGUAGES = ("ja", "en")

NODE_ID = Form(
    re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII).fullmatch,
    "a lower-case letter and then letters, digits, _ and -, 1 to 32 of them",
    "'main-menu'",
)
PROMPT_ID = Form(NODE_ID.holds, NODE_ID.expected, "'welcome'")
VARIABLE = Form(
    re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII).fullmatch,
    "a lower-case letter and then letters, digits and _, 1 to 32 of them",
    "'customer'",
)
VALUE = Form(
    re.compile(r"[A-Za-z0-9_.+*#-]{1,64}", re.ASCII).fullmatch, "letters, digits and _ . + * # -", "'vip'"
)
PATTERN = Form(
    re.compile(r"[A-Za-z0-9_.+*#?|()\[\]{},-]{1,128}", re.ASCII).fullmatch,
    "a regular expression of letters, digits and _ . + * # ? | ( ) [ ] { } , -",
    "'0[0-9]{9}'",
)
KEY = Form(re.compile(r"[0-9*#]{1,4}", re.ASCII).fullmatch, "1 to 4 keys of a telephone", "'1'")
DAY = Form(
    re.compile(r"(?:[0-9]{4}-)?(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])", re.ASCII).fullmatch,
    "a date with or without year",
    "'2026-12-30' or '12-30'",
)
URL = Form(
    re.compile(
        r"https://(?=.{1,480}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%/-]*)?"
        r"(?:\?[A-Za-z0-9._~%&=+-]*)?",
        re.ASCII,
    ).fullmatch,
    "https://, a host name or IPv4 address and a path",
    "'https://crm.example/customer'",
)
FIELD_NAME = Form(
    re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII).fullmatch,
    "a letter and then letters, digits and _ . -",
    "'tel'",
)
FIELD_PATH = Form(
    re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,7}", re.ASCII).fullmatch,
    "names and indices with dots between them",
    "'customer.level' or 'results.0.name'",
)


def flow(table: Table) -> Flow:
    """One flow; faults go to the table's `Problems`."""
    flow_id = table.text("id", form=words.ID)
    name = table.text("name", flow_id, most=64, form=words.NAME)
    nodes = [_node(one) for one in table.tables("nodes", count_most=NODES_MAX)]
    found = Flow(
        id=flow_id,
        name=name,
        start=table.text("start", nodes[0].id if nodes else "", form=NODE_ID),
        nodes=tuple(nodes),
        language=table.choice("language", "ja", FLOW_LANGUAGES),
    )
    table.finish()
    return found


def queue(table: Table) -> Queue:
    """One queue."""
    queue_id = table.text("id", form=words.ID)
    found = Queue(
        id=queue_id,
        name=table.text("name", queue_id, most=64, form=words.NAME),
        agents=table.texts("agents", count_least=1, count_most=AGENTS_MAX, form=words.INTERNAL_NUMBER),
        ring_s=table.integer("ring_s", 15, low=5, high=60),
        rest_s=table.integer("rest_s", 5, low=0, high=600),
        waiting_max=table.integer("waiting_max", 20, low=1, high=100),
        timeout_s=table.integer("timeout_s", 300, low=10, high=3_600),
        place_every_s=table.integer("place_every_s", 30, low=0, high=600),
    )
    table.finish()
    return found


def prompts(table: Table, name: str) -> tuple[str, ...]:
    """Ids of prompts that are played one after the other."""
    return table.texts(name, (), count_most=PROMPTS_IN_A_ROW_MAX, form=PROMPT_ID)


def days(table: Table, name: str) -> tuple[Day, ...]:
    """Dates with or without year."""
    given = table.texts(name, (), count_most=DAYS_MAX, form=DAY)
    found: list[Day] = []
    for index, text in enumerate(given):
        if not text:
            continue
        *year, month, day = (int(number) for number in text.split("-"))
        try:
            date(year[0] if year else 2000, month, day)  # 2000: a year with every day that a year can have
        except ValueError:
            table.problem(f"{name}[{index}]", "media.no_such_day", value=repr(text))
        found.append(Day(month, day, year[0] if year else 0))
    return tuple(found)


def _node(table: Table) -> FlowNode:
    node_id = table.text("id", form=NODE_ID)
    kind = Kind(table.choice("do", None, Kind))
    found = FlowNode(
        id=node_id,
        kind=kind,
        go=tuple((outcome, table.text(outcome, "", form=NODE_ID)) for outcome in OUTCOMES[kind]),
        **_FIELDS.get(kind, _nothing)(table),  # type: ignore[arg-type]
    )
    table.finish()
    return found


def _nothing(table: Table) -> dict[str, object]:
    return {}


def _spoken(table: Table) -> dict[str, object]:
    return {"prompts": prompts(table, "prompts")}


def _asked(table: Table) -> dict[str, object]:
    return _spoken(table) | {
        "again": prompts(table, "again"),
        "tries": table.integer("tries", 3, low=1, high=10),
        "wait_s": table.integer("wait_s", 5, low=1, high=60),
    }


def _menu(table: Table) -> dict[str, object]:
    return _asked(table) | {"keys": tuple(_key(one) for one in table.tables("keys", count_most=KEYS_MAX))}


def _key(table: Table) -> tuple[str, str]:
    key = (table.text("key", form=KEY), table.text("then", "", form=NODE_ID))
    table.finish()
    return key


def _collect(table: Table) -> dict[str, object]:
    return _asked(table) | {
        "variable": table.text("variable", form=VARIABLE),
        "least": table.integer("least", 1, low=1, high=32),
        "most": table.integer("most", 16, low=1, high=32),
        "pattern": table.text("pattern", "", form=PATTERN),
    }


def _branch(table: Table) -> dict[str, object]:
    return {
        "subject": Subject(table.choice("on", Subject.VARIABLE, Subject)),
        "variable": table.text("variable", "", form=VARIABLE),
        "schedule": table.text("schedule", "", form=words.ID),
        "queue": table.text("queue", "", form=words.ID),
        "cases": tuple(_case(one) for one in table.tables("cases", count_most=CASES_MAX)),
    }


def _case(table: Table) -> Case:
    case = Case(
        matches=table.text("matches", "", form=PATTERN),
        then=table.text("then", "", form=NODE_ID),
        values=table.texts("is", (), count_most=CASE_VALUES_MAX, form=VALUE),
        prefixes=table.texts("prefixes", (), count_most=CASE_VALUES_MAX, form=VALUE),
        at_least=table.integer("at_least", 0, low=0, high=9_999) if table.has("at_least") else None,
        days=days(table, "days"),
        holidays=table.texts("holidays", (), count_most=CASE_VALUES_MAX, form=words.NAME),
    )
    table.finish()
    return case


def _set(table: Table) -> dict[str, object]:
    return {"variable": table.text("variable", form=VARIABLE), "value": table.text("value", form=VALUE)}


def _called(table: Table) -> dict[str, object]:
    return {
        "number": table.text("number", "", form=words.DIALLED),
        "variable": table.text("variable", "", form=VARIABLE),
    }


def _transfer(table: Table) -> dict[str, object]:
    return _called(table) | {"ring_s": table.integer("ring_s", 30, low=5, high=300)}


def _schedule_node(table: Table) -> dict[str, object]:
    return {"schedule": table.text("schedule", form=words.ID)}


def _queue_node(table: Table) -> dict[str, object]:
    said = prompts(table, "prompts") or ("queue_place",)
    return {"queue": table.text("queue", form=words.ID), "prompts": said}


def _directory(table: Table) -> dict[str, object]:
    return {"number": table.text("number", "", form=words.DIALLED)}


def _say(table: Table) -> dict[str, object]:
    return {
        "saying": Saying(table.choice("as", None, Saying)),
        "variable": table.text("variable", "", form=VARIABLE),
    }


def _announced(table: Table) -> dict[str, object]:
    return {"prompts": prompts(table, "prompts") or ("recorded",)}


def _retention(table: Table) -> dict[str, object]:
    return {"retention": table.text("class", form=words.ID)}


def _http(table: Table) -> dict[str, object]:
    found = Lookup(
        url=table.text("url", most=500, form=URL),
        method=table.choice("method", "GET", ("GET", "POST")),
        send=_pairs(table, "send", ("name", FIELD_NAME), ("from", VARIABLE)),
        fields=_pairs(table, "fields", ("variable", VARIABLE), ("path", FIELD_PATH)),
        secret=table.text("secret", "", form=words.ID),
        private=table.flag("private", False),
        time_ms=table.integer("time_ms", 2_000, low=200, high=LOOKUP_MS_MAX),
    )
    return {"lookup": found}


def _pairs(
    table: Table, name: str, first: tuple[str, Form], second: tuple[str, Form]
) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for one in table.tables(name, count_most=LOOKUP_FIELDS_MAX):
        found.append((one.text(first[0], form=first[1]), one.text(second[0], form=second[1])))
        one.finish()
    return tuple(found)


_FIELDS: dict[Kind, Callable[[Table], dict[str, object]]] = {
    Kind.PLAY: _spoken,
    Kind.MENU: _menu,
    Kind.COLLECT: _collect,
    Kind.SCHEDULE: _schedule_node,
    Kind.BRANCH: _branch,
    Kind.SET: _set,
    Kind.TRANSFER: _transfer,
    Kind.VOICEMAIL: _called,
    Kind.QUEUE: _queue_node,
    Kind.HTTP: _http,
    Kind.SAY: _say,
    Kind.DIRECTORY: _directory,
    Kind.RECORD_ANNOUNCE: _announced,
    Kind.RETENTION: _retention,
    Kind.HANGUP: _spoken,
}
