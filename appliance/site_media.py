"""Reads the site document's part on media applications: numbers, flows, schedules, prompts. Pure.

Each field by its own rule; what fields say together is `site_media_checks`' work.
"""

import re

from appliance import site_flows, words
from appliance.digest import MD5_DIGITS
from appliance.freeswitch.applications import RECORDS, Application, Kind, Mailbox, MediaPlan, Prompt
from appliance.freeswitch.flow import Kind as NodeKind
from appliance.freeswitch.schedule import DAY_MINUTES, PUBLIC, WEEKDAYS, Hours, Schedule
from appliance.kamailio import view
from appliance.reader import Table
from appliance.site_flows import FLOW_LANGUAGES
from appliance.words import Form

APPLICATIONS_MAX = 500
"""Gone through for every number that is dialled: some 15 microseconds."""

PROMPT_ID = site_flows.PROMPT_ID

FLOWS_MAX = 500
QUEUES_MAX = 100
SCHEDULES_MAX = 200
HOURS_MAX = 50
PROMPTS_MAX = 2_000
MAILBOXES_MAX = 20_000
MAILBOX_ADDRESSES_MAX = 5
SHA256_DIGITS = 64
PROMPT_CHARS_MAX = 1_000
"""About a minute and a half of speech; nobody listens longer."""

APPLICATION_NUMBER = Form(
    re.compile(r"[0-9]{2,10}|\*[0-9*]{1,8}#?", re.ASCII).fullmatch,
    "2 to 10 digits, or a star and a code",
    "'700' or '*97'",
)
ACCESS_CODE = Form(re.compile(r"[0-9]{4,10}", re.ASCII).fullmatch, "4 to 10 digits", "'40718'")
CLOCK = Form(
    re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII).fullmatch, "a time of day", "'09:00'"
)


def read(root: Table, time_zone: str, domain: str) -> MediaPlan:
    """What the document says of applications; faults go to the table's `Problems`."""
    applications = [_application(table) for table in root.tables("applications", count_most=APPLICATIONS_MAX)]
    flows = [site_flows.flow(table) for table in root.tables("flows", count_most=FLOWS_MAX)]
    queues = [site_flows.queue(table) for table in root.tables("queues", count_most=QUEUES_MAX)]
    schedules = [_schedule(table) for table in root.tables("schedules", count_most=SCHEDULES_MAX)]
    mailboxes = [_mailbox(table) for table in root.tables("mailboxes", count_most=MAILBOXES_MAX)]
    prompts = [_prompt(table) for table in root.tables("prompts", count_most=PROMPTS_MAX)]
    return MediaPlan(
        time_zone=time_zone,
        domain=domain,
        applications=tuple(applications),
        flows=tuple(flows),
        queues=tuple(queues),
        schedules=tuple(schedules),
        prompts=tuple(prompts),
        mailboxes=tuple(mailboxes),
        music=root.text("music_on_hold", "", form=site_flows.PROMPT_ID),
    )


def answered(plan: MediaPlan) -> tuple[view.Application, ...]:
    """What Kamailio has to know of the numbers that FreeSWITCH answers."""
    announcing = {
        flow.id for flow in plan.flows if any(node.kind is NodeKind.RECORD_ANNOUNCE for node in flow.nodes)
    }
    return tuple(
        view.Application(one.number, one.kind, one.fallback, announces=one.flow in announcing)
        for one in plan.applications
    )


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
        prompts=site_flows.prompts(table, "prompts"),
        language=table.choice("language", "ja", FLOW_LANGUAGES),
        access_code=table.text("access_code", "", form=ACCESS_CODE),
        public_number=table.text("public_number", "", form=words.E164),
        fallback=table.text("fallback", "", form=words.DIALLED),
        schedule=table.text("schedule", "", form=words.ID),
        return_s=table.integer("return_s", 90, low=10, high=3_600),
        record=table.choice("record", RECORDS[0], RECORDS),
    )
    table.finish()
    return found


def _schedule(table: Table) -> Schedule:
    found = Schedule(
        id=table.text("id", form=words.ID),
        hours=tuple(
            hours for one in table.tables("hours", count_most=HOURS_MAX) if (hours := _hours(one)).days
        ),
        public_holidays=table.choice("public_holidays", "none", ("none", *PUBLIC)).replace("none", ""),
        closed_days=site_flows.days(table, "closed_days"),
        open_days=site_flows.days(table, "open_days"),
        access_code=table.text("access_code", "", form=ACCESS_CODE),
    )
    table.finish()
    return found


def _hours(table: Table) -> Hours:
    days = table.choices("days", WEEKDAYS[:5], WEEKDAYS, count_least=1)
    until = table.text("to", form=CLOCK)
    begin, end = _minutes(table.text("from", form=CLOCK)), _minutes(until)
    if until and begin >= end:
        table.problem("to", "media.hours", begin=_clock(begin), end=_clock(end))
    table.finish()
    return Hours(tuple(sorted(WEEKDAYS.index(day) for day in days)), begin, max(end, begin + 1))


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes) if clock else 0


def _clock(minutes: int) -> str:
    return f"{min(minutes, DAY_MINUTES) // 60:02d}:{minutes % 60:02d}"


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
    prompt_id = table.text("id", form=site_flows.PROMPT_ID)
    texts = tuple(
        (language, text)
        for language in FLOW_LANGUAGES
        if (text := table.text(language, "", most=PROMPT_CHARS_MAX))
    )
    audio = tuple(
        (language, sha256)
        for language in FLOW_LANGUAGES
        if (sha256 := table.hexadecimal(f"{language}_audio", SHA256_DIGITS))
    )
    if not texts and not audio:
        table.problem("ja", "media.prompt_empty", value=repr(prompt_id))
    table.finish()
    return Prompt(prompt_id, texts, audio)
