"""Reads the site document's part on media applications: numbers, flows, schedules, prompts. Pure.

Each field by its own rule; what fields say together is `site_media_checks`' work.
"""

import re
from collections.abc import Callable
from datetime import date

from appliance import words
from appliance.digest import MD5_DIGITS
from appliance.freeswitch.applications import Application, Kind, Mailbox, MediaPlan, Prompt
from appliance.freeswitch.flow import OUTCOMES, Case, Flow, FlowNode, Subject
from appliance.freeswitch.flow import Kind as NodeKind
from appliance.freeswitch.schedule import DAY_MINUTES, PUBLIC, WEEKDAYS, Day, Hours, Schedule
from appliance.kamailio import view
from appliance.reader import Table
from appliance.words import Form

APPLICATIONS_MAX = 500
"""Gone through for every number that is dialled: some 15 microseconds."""

FLOWS_MAX = 500
NODES_MAX = 500
"""Of one flow. The largest that a person can still draw is a tenth."""

SCHEDULES_MAX = 200
HOURS_MAX = 50
DAYS_MAX = 400
PROMPTS_MAX = 2_000
MAILBOXES_MAX = 20_000
MAILBOX_ADDRESSES_MAX = 5
PROMPT_CHARS_MAX = 1_000
"""About a minute and a half of speech; nobody listens longer."""

PROMPTS_IN_A_ROW_MAX = 10
CASES_MAX = 50
KEYS_MAX = 50

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
APPLICATION_NUMBER = Form(
    re.compile(r"[0-9]{2,10}|\*[0-9*]{1,8}#?", re.ASCII).fullmatch,
    "2 to 10 digits, or a star and a code",
    "'700' or '*97'",
)
KEY = Form(re.compile(r"[0-9*#]{1,4}", re.ASCII).fullmatch, "1 to 4 keys of a telephone", "'1'")
ACCESS_CODE = Form(re.compile(r"[0-9]{4,10}", re.ASCII).fullmatch, "4 to 10 digits", "'40718'")
CLOCK = Form(
    re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII).fullmatch, "a time of day", "'09:00'"
)
DAY = Form(
    re.compile(r"(?:[0-9]{4}-)?(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])", re.ASCII).fullmatch,
    "a date with or without year",
    "'2026-12-30' or '12-30'",
)


def read(root: Table, time_zone: str, domain: str) -> MediaPlan:
    """What the document says of applications; faults go to the table's `Problems`."""
    applications = [_application(table) for table in root.tables("applications", count_most=APPLICATIONS_MAX)]
    flows = [_flow(table) for table in root.tables("flows", count_most=FLOWS_MAX)]
    schedules = [_schedule(table) for table in root.tables("schedules", count_most=SCHEDULES_MAX)]
    mailboxes = [_mailbox(table) for table in root.tables("mailboxes", count_most=MAILBOXES_MAX)]
    prompts = [_prompt(table) for table in root.tables("prompts", count_most=PROMPTS_MAX)]
    return MediaPlan(
        time_zone=time_zone,
        domain=domain,
        applications=tuple(applications),
        flows=tuple(flows),
        schedules=tuple(schedules),
        prompts=tuple(prompts),
        mailboxes=tuple(mailboxes),
    )


def answered(plan: MediaPlan) -> tuple[view.Application, ...]:
    """What Kamailio has to know of the numbers that FreeSWITCH answers."""
    return tuple(view.Application(one.number, one.kind, one.fallback) for one in plan.applications)


def called(plan: MediaPlan) -> tuple[str, ...]:
    """Numbers that the flows name, as they are dialled."""
    numbers = {
        node.number
        for flow in plan.flows
        for node in flow.nodes
        if node.kind is NodeKind.TRANSFER and node.number
    }
    return tuple(sorted(numbers))


def _application(table: Table) -> Application:
    number = table.text("number", form=APPLICATION_NUMBER)
    found = Application(
        number=number,
        name=table.text("name", number, most=64, form=words.NAME),
        kind=Kind(table.choice("kind", None, Kind)),
        flow=table.text("flow", "", form=words.ID),
        prompts=_prompts(table, "prompts"),
        language=table.choice("language", "ja", FLOW_LANGUAGES),
        access_code=table.text("access_code", "", form=ACCESS_CODE),
        public_number=table.text("public_number", "", form=words.E164),
        fallback=table.text("fallback", "", form=words.DIALLED),
        schedule=table.text("schedule", "", form=words.ID),
        return_s=table.integer("return_s", 90, low=10, high=3_600),
    )
    table.finish()
    return found


def _prompts(table: Table, name: str) -> tuple[str, ...]:
    return table.texts(name, (), count_most=PROMPTS_IN_A_ROW_MAX, form=PROMPT_ID)


def _flow(table: Table) -> Flow:
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


def _node(table: Table) -> FlowNode:
    node_id = table.text("id", form=NODE_ID)
    kind = NodeKind(table.choice("do", None, NodeKind))
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
    return {"prompts": _prompts(table, "prompts")}


def _asked(table: Table) -> dict[str, object]:
    return _spoken(table) | {
        "again": _prompts(table, "again"),
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
        "cases": tuple(_case(one) for one in table.tables("cases", count_most=CASES_MAX)),
    }


def _case(table: Table) -> Case:
    case = Case(table.text("matches", form=PATTERN), table.text("then", "", form=NODE_ID))
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


_FIELDS: dict[NodeKind, Callable[[Table], dict[str, object]]] = {
    NodeKind.PLAY: _spoken,
    NodeKind.MENU: _menu,
    NodeKind.COLLECT: _collect,
    NodeKind.SCHEDULE: _schedule_node,
    NodeKind.BRANCH: _branch,
    NodeKind.SET: _set,
    NodeKind.TRANSFER: _transfer,
    NodeKind.VOICEMAIL: _called,
    NodeKind.HANGUP: _spoken,
}


def _schedule(table: Table) -> Schedule:
    found = Schedule(
        id=table.text("id", form=words.ID),
        hours=tuple(
            hours for one in table.tables("hours", count_most=HOURS_MAX) if (hours := _hours(one)).days
        ),
        public_holidays=table.choice("public_holidays", "none", ("none", *PUBLIC)).replace("none", ""),
        closed_days=_days(table, "closed_days"),
        open_days=_days(table, "open_days"),
    )
    table.finish()
    return found


def _hours(table: Table) -> Hours:
    days = table.choices("days", WEEKDAYS[:5], WEEKDAYS, count_least=1)
    begin, end = _minutes(table.text("from", form=CLOCK)), _minutes(table.text("to", form=CLOCK))
    if begin >= end > 0:
        table.problem("to", "media.hours", begin=_clock(begin), end=_clock(end))
    table.finish()
    return Hours(tuple(sorted(WEEKDAYS.index(day) for day in days)), begin, max(end, begin + 1))


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes) if clock else 0


def _clock(minutes: int) -> str:
    return f"{min(minutes, DAY_MINUTES) // 60:02d}:{minutes % 60:02d}"


def _days(table: Table, name: str) -> tuple[Day, ...]:
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


def _mailbox(table: Table) -> Mailbox:
    found = Mailbox(
        number=table.text("number", form=words.INTERNAL_NUMBER),
        code_md5=table.hexadecimal("code_md5", MD5_DIGITS),
        language=table.choice("language", "ja", FLOW_LANGUAGES),
        email=table.texts("email", (), count_most=MAILBOX_ADDRESSES_MAX, form=words.EMAIL),
    )
    table.finish()
    return found


def _prompt(table: Table) -> Prompt:
    prompt_id = table.text("id", form=PROMPT_ID)
    texts = tuple(
        (language, text)
        for language in FLOW_LANGUAGES
        if (text := table.text(language, "", most=PROMPT_CHARS_MAX))
    )
    if not texts:
        table.problem("ja", "media.prompt_empty", value=repr(prompt_id))
    table.finish()
    return Prompt(prompt_id, texts)
