"""Each fault of a flow, with the place where a person has to look."""

from typing import Any

import pytest

from appliance import site
from tests.helpers.flows import OFFICE, bye, faults, flow_document, menu

TRANSFER = {"id": "desk", "do": "transfer", "number": "600", "unanswered": "bye"}

QUEUE = {"id": "q", "do": "queue", "queue": "sales", "timeout": "bye", "full": "bye", "nobody": "bye"}
HTTP = {
    "id": "look",
    "do": "http",
    "url": "https://crm.example/who",
    "fields": [{"variable": "level", "path": "level"}],
    "next": "bye",
    "failed": "bye",
}


def branch(*cases: dict[str, Any], **fields: str) -> dict[str, Any]:
    ways = [case | {"then": "bye"} for case in cases]
    return {"id": "b", "do": "branch", "cases": ways, "otherwise": "bye"} | fields


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
    "a queue that does not exist": (
        (QUEUE | {"queue": "sale"}, bye()),
        [("nodes[0].queue", "flow.queue_unknown")],
    ),
    "a queue with all its ways": ((QUEUE, bye()), []),
    "a branch on no queue": (
        (branch({"at_least": 1}, on="queue_waiting"), bye()),
        [("nodes[0].queue", "flow.queue_missing")],
    ),
    "a branch on holidays of no schedule": (
        (branch({"days": ["01-01"]}, on="holiday"), bye()),
        [("nodes[0].schedule", "flow.schedule_missing")],
    ),
    "a holiday that nobody keeps": (
        (branch({"holidays": ["元旦"]}, on="holiday", schedule="office"), bye()),
        [("nodes[0].cases[0].holidays[0]", "flow.holiday_unknown")],
    ),
    "a case that says nothing": (
        (branch({}, {"prefixes": ["03"]}, on="caller"), bye()),
        [("nodes[0].cases[0]", "flow.case_empty")],
    ),
    "a case that means nothing there": (
        (branch({"at_least": 3, "days": ["01-01"]}, on="caller"), bye()),
        [("nodes[0].cases[0].at_least", "flow.case_field"), ("nodes[0].cases[0].days", "flow.case_field")],
    ),
    "a look-up that notes nothing": ((HTTP | {"fields": []}, bye()), [("nodes[0].fields", "flow.no_fields")]),
    "a look-up that sends what nobody set": (
        (HTTP | {"send": [{"name": "id", "from": "typed"}]}, bye()),
        [("nodes[0].send", "flow.variable_unset")],
    ),
    "a look-up that sends the caller": ((HTTP | {"send": [{"name": "id", "from": "caller"}]}, bye()), []),
    "a look-up at no port": (
        (HTTP | {"url": "https://crm.example:99999/"}, bye()),
        [("nodes[0].url", "flow.port")],
    ),
    "a look-up without encryption": (
        (HTTP | {"url": "http://crm.example/"}, bye()),
        [("nodes[0].url", "field.pattern")],
    ),
    "a look-up with a password in its address": (
        (HTTP | {"url": "https://me:word@crm.example/"}, bye()),
        [("nodes[0].url", "field.pattern")],
    ),
    "a look-up that takes too long": (
        (HTTP | {"time_ms": 5_001}, bye()),
        [("nodes[0].time_ms", "field.range")],
    ),
    "what a look-up notes is there only when it succeeds": (
        (
            HTTP | {"next": "say", "failed": "say"},
            {"id": "say", "do": "say", "as": "number", "variable": "level", "next": "bye"},
            bye(),
        ),
        [("nodes[1].variable", "flow.variable_unset")],
    ),
    "the caller is set": (
        ({"id": "s", "do": "set", "variable": "caller", "value": "1", "next": "bye"}, bye()),
        [("nodes[0].variable", "flow.variable_reserved")],
    ),
    "a directory that is none": (
        ({"id": "d", "do": "directory", "number": "700"},),
        [("nodes[0].number", "flow.directory_unknown")],
    ),
    "the directory's feature code": (({"id": "d", "do": "directory", "number": "*411"},), []),
    "a ring of a look-up and what is said": (
        (
            HTTP | {"failed": "sorry"},
            {"id": "sorry", "do": "play", "prompts": ["nobody"], "next": "look"},
            bye(),
        ),
        [("nodes[0]", "flow.loop")],
    ),
    "a ring through a queue is left by the agent": (
        (
            QUEUE | {"timeout": "again"},
            {"id": "again", "do": "play", "prompts": ["please_wait"], "next": "q"},
            bye(),
        ),
        [],
    ),
    "a call that is led back to itself": (
        (TRANSFER | {"unanswered": "desk"}, bye()),
        [("nodes[1]", "flow.unreachable"), ("nodes[0]", "flow.spin")],
    ),
    "a ring of calls in which nothing is played": (
        (TRANSFER | {"unanswered": "q"}, QUEUE | {"timeout": "bye", "nobody": "desk"}, bye()),
        [("nodes[0]", "flow.spin")],
    ),
    "a queue that is waited for again after its longest time": ((QUEUE | {"timeout": "q"}, bye()), []),
    "a queue without agents that leads back to itself": (
        (QUEUE | {"nobody": "q"}, bye()),
        [("nodes[0]", "flow.spin")],
    ),
    "a flow that is too deep": (
        (
            *({"id": f"p{n}", "do": "play", "prompts": ["closed"], "next": f"p{n + 1}"} for n in range(60)),
            bye("p60"),
        ),
        [("nodes[60]", "flow.deep")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_fault_is_found_at_its_place_and_nothing_else(case: str) -> None:
    nodes, expected = CASES[case]
    assert faults(*nodes, queues=[{"id": "sales", "agents": ["201"]}]) == expected


def test_all_faults_are_told_at_once_each_with_a_hint() -> None:
    found = site.validate(flow_document(menu(prompts=["hello"], timeout="x"), bye(prompts=["auf"])))
    assert [one.key for one in found] == ["flow.target_unknown", "flow.prompt_missing", "flow.prompt_missing"]
    assert all(one.hint for one in found)


def test_a_fault_of_a_node_hides_none_of_the_ways_between_nodes() -> None:
    lost = {"id": "lost", "do": "branch", "variable": "who", "otherwise": "lost"}
    assert faults(menu(prompts=["hello"], timeout="main"), lost, bye()) == [
        ("nodes[0].prompts[0]", "flow.prompt_missing"),
        ("nodes[1]", "flow.unreachable"),
        ("nodes[1].variable", "flow.variable_unset"),
        ("nodes[0]", "flow.loop"),
        ("nodes[1]", "flow.loop"),
        ("nodes[1]", "flow.no_end"),
    ]
    assert faults(menu(invalid="", timeout="main")) == [
        ("nodes[0].keys[0].then", "flow.target_unknown"),
        ("nodes[0].invalid", "flow.dead_end"),
        ("nodes[0]", "flow.loop"),
    ]


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


def test_a_queue_s_agents_are_extensions_and_its_id_its_own() -> None:
    queues = [{"id": "sales", "agents": ["201", "999"]}, {"id": "sales", "agents": []}]
    found = site.validate(flow_document(bye(), queues=queues))
    assert {(one.path, one.key) for one in found} == {
        ("$.queues[0].agents[1]", "site.member_unknown"),
        ("$.queues[1].agents", "field.few"),
        ("$.queues[1].id", "media.id_taken"),
    }


def test_a_flow_of_too_many_nodes_is_refused() -> None:
    found = faults(*(bye(f"n{index}") for index in range(201)))
    assert ("nodes", "field.many") in found


@pytest.mark.parametrize("until", ["00:00", "08:00", "09:00"])
def test_hours_that_end_before_they_begin_are_told_and_not_a_minute(until: str) -> None:
    schedules = [OFFICE | {"hours": [{"from": "09:00", "to": until}]}]
    found = site.validate(flow_document(bye(), schedules=schedules))
    assert [(one.path, one.key) for one in found] == [("$.schedules[0].hours[0].to", "media.hours")]
