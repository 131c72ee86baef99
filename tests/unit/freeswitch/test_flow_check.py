"""Each fault of a flow, with the place where a person has to look."""

from typing import Any

import pytest

from appliance import site
from tests.helpers.flows import bye, faults, flow_document, menu

TRANSFER = {"id": "desk", "do": "transfer", "number": "600", "unanswered": "bye"}

CASES: dict[str, tuple[tuple[dict[str, Any], ...], list[tuple[str, str]]]] = {
    "no fault": ((menu(), bye()), []),
    "two nodes of one id": ((menu(), bye(), bye()), [("nodes[2].id", "flow.node_taken")]),
    "a way out to no node": ((menu(timeout="by"), bye()), [("nodes[0].timeout", "flow.target_unknown")]),
    "a way out to nowhere": ((menu(invalid=""), bye()), [("nodes[0].invalid", "flow.dead_end")]),
    "a key to nowhere": (
        (menu(keys=[{"key": "1", "then": "bye"}, {"key": "2"}]), bye()),
        [("nodes[0].keys[1].then", "flow.dead_end")],
    ),
    "a node that nothing leads to": ((menu(), bye(), bye("other")), [("nodes[2]", "flow.unreachable")]),
    "a menu that a silent caller never leaves": ((menu(timeout="main"), bye()), [("nodes[0]", "flow.loop")]),
    "a ring of two announcements": (
        (
            {"id": "a", "do": "play", "prompts": ["welcome"], "next": "b"},
            {"id": "b", "do": "play", "prompts": ["closed"], "next": "a"},
        ),
        [("nodes[0]", "flow.loop"), ("nodes[0]", "flow.no_end"), ("nodes[1]", "flow.no_end")],
    ),
    "ringing again is no ring": (
        (
            {"id": "wait", "do": "play", "prompts": ["please_wait"], "next": "desk"},
            TRANSFER | {"unanswered": "wait"},
        ),
        [],
    ),
    "a prompt that does not exist": (
        (menu(prompts=["hello"]), bye()),
        [("nodes[0].prompts[0]", "flow.prompt_missing")],
    ),
    "a question without a prompt": ((menu(prompts=[]), bye()), [("nodes[0].prompts", "flow.no_prompt")]),
    "a menu without keys": ((menu(keys=[]), bye()), [("nodes[0].keys", "flow.no_keys")]),
    "a key twice": (
        (menu(keys=[{"key": "1", "then": "bye"}, {"key": "1", "then": "bye"}]), bye()),
        [("nodes[0].keys[1].key", "flow.key_taken")],
    ),
    "a schedule that does not exist": (
        (
            {
                "id": "s",
                "do": "schedule",
                "schedule": "shop",
                "open": "bye",
                "closed": "bye",
                "holiday": "bye",
            },
            bye(),
        ),
        [("nodes[0].schedule", "flow.schedule_unknown")],
    ),
    "a variable that nothing sets": (
        ({"id": "b", "do": "branch", "variable": "who", "otherwise": "bye"}, bye()),
        [("nodes[0].variable", "flow.variable_unset")],
    ),
    "a variable set on one way only": (
        (
            menu(keys=[{"key": "1", "then": "mark"}], timeout="look"),
            {"id": "mark", "do": "set", "variable": "who", "value": "vip", "next": "look"},
            {"id": "look", "do": "branch", "variable": "who", "otherwise": "bye"},
            bye(),
        ),
        [("nodes[2].variable", "flow.variable_unset")],
    ),
    "no regular expression": (
        (
            {
                "id": "b",
                "do": "branch",
                "on": "caller",
                "cases": [{"matches": "(0", "then": "bye"}],
                "otherwise": "bye",
            },
            bye(),
        ),
        [("nodes[0].cases[0].matches", "flow.pattern")],
    ),
    "more digits at least than at most": (
        (
            {
                "id": "c",
                "do": "collect",
                "prompts": ["welcome"],
                "variable": "x",
                "least": 5,
                "most": 3,
                "next": "bye",
                "failed": "bye",
            },
            bye(),
        ),
        [("nodes[0].least", "flow.digits")],
    ),
    "a call to nobody": ((TRANSFER | {"number": "69"}, bye()), [("nodes[0].number", "site.forward_nobody")]),
    "a call to the police": (
        (TRANSFER | {"number": "110"}, bye()),
        [("nodes[0].number", "site.forward_emergency")],
    ),
    "an outside number": ((TRANSFER | {"number": "00312345678"}, bye()), []),
    "a start that does not exist": ((bye(),), []),
}


@pytest.mark.parametrize("case", CASES)
def test_fault_is_found_at_its_place_and_nothing_else(case: str) -> None:
    nodes, expected = CASES[case]
    assert faults(*nodes) == expected


def test_all_faults_are_told_at_once_each_with_a_hint() -> None:
    found = site.validate(flow_document(menu(prompts=["hello"], timeout="x"), bye(prompts=["auf"])))
    assert [one.key for one in found] == ["flow.target_unknown", "flow.prompt_missing", "flow.prompt_missing"]
    assert all(one.hint for one in found)


def test_prompt_without_a_text_in_the_flow_s_language_is_told() -> None:
    prompts = [{"id": "own", "ja": "こんにちは"}]
    assert faults(menu(prompts=["own"]), bye(), prompts=prompts) == [
        ("nodes[0].prompts[0]", "flow.prompt_language")
    ]


def test_an_application_whose_flow_does_not_exist_is_told() -> None:
    applications = [
        {"number": "700", "kind": "flow", "flow": "recepton"},
        {"number": "701", "kind": "announcement"},
    ]
    found = site.validate(flow_document(menu(), bye(), applications=applications))
    assert [(one.path, one.key) for one in found] == [
        ("$.applications[0].flow", "media.flow_unknown"),
        ("$.applications[1].prompts", "media.no_prompt"),
    ]


def test_an_application_cannot_take_a_number_that_is_taken() -> None:
    applications = [
        {"number": "201", "kind": "flow", "flow": "reception"},
        {"number": "110", "kind": "flow", "flow": "reception"},
    ]
    keys = [one.key for one in site.validate(flow_document(menu(), bye(), applications=applications))]
    assert keys == ["site.number_taken", "site.emergency_shadowed"]


def test_a_flow_that_no_number_reaches_is_a_warning() -> None:
    found = site.parse(flow_document(menu(), bye(), applications=[]))
    assert "media.flow_unused" in [one.key for one in found.warnings]
