"""Retention classes of a site document. A failure puts a call's recording into a class that nobody meant."""

from typing import Any

import pytest

from appliance import site
from appliance.site_retention import RetentionClass, RetentionPlan, RetentionRule
from tests.helpers.site_documents import RECIPIENT, document, group

CLASSES = [{"class": "short", "days": 30}, {"class": "long", "days": 3650}]
CDR: dict[str, Any] = {
    "direction": "out",
    "origin_id": "201",
    "answered_by": "+81312345678",
    "caller": "201",
    "dialled": "00312345678",
    "number": "+81312345678",
    "legs": [],
}


def recorded(rules: list[dict[str, Any]], classes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    recording = {"recipients": [RECIPIENT], "retention": classes or CLASSES, "retention_rules": rules}
    return document(recording=recording, groups=[group("600")])


def found(rules: list[dict[str, Any]], classes: list[dict[str, Any]] | None = None) -> list[tuple[str, str]]:
    return [(one.path, one.key) for one in site.validate(recorded(rules, classes))]


def test_classes_and_rules_are_read() -> None:
    rules = [{"class": "short", "extension": "201", "direction": "out"}, {"class": "long", "group": "600"}]
    assert site.parse(recorded(rules)).retention == RetentionPlan(
        (RetentionClass("short", 30), RetentionClass("long", 3650)),
        (RetentionRule("short", extension="201", direction="out"), RetentionRule("long", group="600")),
    )


@pytest.mark.parametrize(
    ("rule", "cdr", "holds"),
    [
        ({}, {}, True),
        ({"extension": "201"}, {}, True),
        ({"extension": "202"}, {}, False),
        ({"extension": "202"}, {"answered_by": "202"}, True),
        ({"group": "600"}, {"number": "600"}, True),
        ({"group": "600"}, {"legs": [{"number": "600"}]}, True),
        ({"group": "600"}, {"legs": [{"number": "601"}, None]}, False),
        ({"number": "+81312345678"}, {}, True),
        ({"number": "0312340000"}, {"caller": "0312340000"}, True),
        ({"number": "0312340000"}, {}, False),
        ({"direction": "out"}, {}, True),
        ({"direction": "in"}, {}, False),
        ({"direction": "out", "extension": "202"}, {}, False),
    ],
)
def test_rule_holds_when_all_that_it_says_holds(
    rule: dict[str, str], cdr: dict[str, Any], *, holds: bool
) -> None:
    plan = RetentionPlan((), (RetentionRule("short", **rule),))
    assert plan.class_of(CDR | cdr) == ("short" if holds else "")


def test_first_rule_that_holds_decides() -> None:
    rules = (RetentionRule("a", direction="in"), RetentionRule("b", extension="201"), RetentionRule("c"))
    assert RetentionPlan((), rules).class_of(CDR) == "b"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"class": "medium"}], ("$.recording.retention_rules[0].class", "site.retention_unknown")),
        (
            [{"class": "short"}, {"class": "short", "extension": "209"}],
            ("$.recording.retention_rules[1].extension", "site.retention_unknown"),
        ),
        (
            [{"class": "short", "group": "201"}],
            ("$.recording.retention_rules[0].group", "site.retention_unknown"),
        ),
        ([{}], ("$.recording.retention_rules[0].class", "field.missing")),
        (
            [{"class": "short", "directon": "in"}],
            ("$.recording.retention_rules[0].directon", "field.misspelt"),
        ),
    ],
)
def test_rule_that_names_nothing_is_refused(rules: list[dict[str, Any]], expected: tuple[str, str]) -> None:
    assert found(rules) == [expected]


def test_class_named_twice_and_days_out_of_range_are_refused() -> None:
    classes = [{"class": "short", "days": 30}, {"class": "short", "days": 0}]
    assert sorted(found([], classes)) == [
        ("$.recording.retention[1].class", "site.retention_twice"),
        ("$.recording.retention[1].days", "field.range"),
    ]


def test_class_of_a_flow_without_days_is_remarked() -> None:
    nodes = [
        {"id": "class", "do": "retention", "class": "shrot", "next": "bye"},
        {"id": "bye", "do": "hangup"},
    ]
    flow = {"id": "pay", "start": "class", "nodes": nodes}
    application = {"number": "700", "kind": "flow", "flow": "pay"}
    parsed = site.parse(recorded([]) | {"flows": [flow], "applications": [application]})
    assert [(one.path, one.key) for one in parsed.warnings] == [
        ("$.flows[0].nodes[0].class", "site.retention_endless")
    ]


def test_voicemail_and_rooms_have_a_class_of_their_own_which_must_be_one_of_the_document() -> None:
    own = {"retention": CLASSES, "voicemail_retention": "short", "room_retention": "long"}
    plan = site.parse(document(recording={"recipients": [RECIPIENT], **own})).retention
    ids = ("vm-0c5b", "room-77", "rec-0c5b-1")
    assert [plan.class_of_recording(one) for one in ids] == ["short", "long", ""]
    wrong = document(recording={"recipients": [RECIPIENT], **own, "voicemail_retention": "shrot"})
    assert [(one.path, one.key) for one in site.validate(wrong)] == [
        ("$.recording.voicemail_retention", "site.retention_unknown")
    ]
