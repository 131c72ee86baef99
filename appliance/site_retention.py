"""The site document's retention classes of recordings: how many days each is kept, and which calls are in which. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from appliance import words
from appliance.problems import Problems, shown
from appliance.reader import Table

CLASSES_MAX = 32
RULES_MAX = 500
DAYS_MAX = 36_500
"""A hundred years."""
CLASS_MAX_CHARS = 32
"""What a call's record has room for."""
ANY = "any"
DIRECTIONS = ("internal", "out", "in", "in_cloud")
"""As calls' records name them."""

MESSAGE_PREFIX, ROOM_PREFIX = "vm-", "room-"
"""Begin the ids of recordings of voicemail messages and of conference rooms."""


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """name: as rules and call flows name it. days: that the centre keeps such a recording."""

    name: str
    days: int


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Which calls are in a class: those for which everything holds that is said; "" says nothing.

    extension: called or answered. group: was called, by somebody or by an application. number: of the caller, as dialled or as
    meant, exactly as the call's record tells it. direction: as the record tells it.
    """

    name: str
    extension: str = ""
    group: str = ""
    number: str = ""
    direction: str = ""


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """classes: in the document's order. rules: the first one that holds decides. voicemail, rooms: the class of voicemail
    messages and of recorded conference rooms, which belong to no call's record; "": none."""

    classes: tuple[RetentionClass, ...] = ()
    rules: tuple[RetentionRule, ...] = ()
    voicemail: str = ""
    rooms: str = ""

    @property
    def days(self) -> dict[str, int]:
        """Class -> days."""
        return {one.name: one.days for one in self.classes}

    def class_of(self, cdr: Mapping[str, object]) -> str:
        """The class of the recordings of a call by its record; "" where no rule holds."""
        return next((rule.name for rule in self.rules if _holds(rule, cdr)), "")

    def class_of_recording(self, recording_id: str) -> str:
        """The class of a recording that FreeSWITCH made, by its id; "" for that of a call, which its record tells."""
        own = ((MESSAGE_PREFIX, self.voicemail), (ROOM_PREFIX, self.rooms))
        return next((name for prefix, name in own if recording_id.startswith(prefix)), "")


NO_RETENTION = RetentionPlan()

APPLICATIONS = ("voicemail_retention", "room_retention")
"""Fields that name one class each."""


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may name: numbers of the site."""

    extensions: frozenset[str]
    groups: frozenset[str]


def read(recording: Table) -> RetentionPlan:
    """The classes and rules of the table `recording`."""
    return RetentionPlan(
        tuple(_class(table) for table in recording.tables("retention", count_most=CLASSES_MAX)),
        tuple(_rule(table) for table in recording.tables("retention_rules", count_most=RULES_MAX)),
        *(recording.text(field, "", most=CLASS_MAX_CHARS, form=words.ID) for field in APPLICATIONS),
    )


def _class(table: Table) -> RetentionClass:
    found = RetentionClass(
        table.text("class", most=CLASS_MAX_CHARS, form=words.ID),
        table.integer("days", low=1, high=DAYS_MAX),
    )
    table.finish()
    return found


def _rule(table: Table) -> RetentionRule:
    direction = table.choice("direction", ANY, (ANY, *DIRECTIONS))
    found = RetentionRule(
        table.text("class", most=CLASS_MAX_CHARS, form=words.ID),
        table.text("extension", "", form=words.INTERNAL_NUMBER),
        table.text("group", "", form=words.INTERNAL_NUMBER),
        table.text("number", "", form=words.DIALLED),
        "" if direction == ANY else direction,
    )
    table.finish()
    return found


def check(
    plan: RetentionPlan, known: Known, named_by_flows: Iterable[tuple[str, str]], problems: Problems
) -> None:
    """Note classes that are named twice, and rules that name what is not there. named_by_flows: (path, class)."""
    named: set[str] = set()
    for index, one in enumerate(plan.classes):
        if one.name and one.name in named:
            problems.add(
                f"$.recording.retention[{index}].class", "site.retention_twice", value=shown(one.name)
            )
        named.add(one.name)
    for index, rule in enumerate(plan.rules):
        for field, value, there in (
            ("class", rule.name, named),
            ("extension", rule.extension, known.extensions),
            ("group", rule.group, known.groups),
        ):
            if value and value not in there:
                path = f"$.recording.retention_rules[{index}].{field}"
                problems.add(path, "site.retention_unknown", value=shown(value))
    for field, name in zip(APPLICATIONS, (plan.voicemail, plan.rooms), strict=True):
        if name and name not in named:
            problems.add(f"$.recording.{field}", "site.retention_unknown", value=shown(name))
    for path, name in named_by_flows:
        if plan.classes and name and name not in named:
            problems.warn(path, "site.retention_endless", value=shown(name))


def _holds(rule: RetentionRule, cdr: Mapping[str, object]) -> bool:
    return (
        rule.direction in ("", cdr.get("direction"))
        and rule.extension in ("", cdr.get("origin_id"), cdr.get("answered_by"))
        and (not rule.group or rule.group in _numbers(cdr))
        and rule.number in ("", cdr.get("caller"), cdr.get("number"), cdr.get("dialled"))
    )


def _numbers(cdr: Mapping[str, object]) -> Iterator[object]:
    """What was called: by the caller, and by applications on his behalf."""
    yield cdr.get("number")
    legs = cdr.get("legs")
    for leg in legs if isinstance(legs, list) else ():
        yield leg.get("number") if isinstance(leg, dict) else None
