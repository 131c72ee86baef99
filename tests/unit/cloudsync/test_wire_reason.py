"""Reasons between releases: if this fails, one side of another release tells nothing, or a hostile box writes on a terminal."""

import json

import pytest

from cloudsync import wire
from cloudsync.wire.reason import DETAILS_BYTES_MAX, TEXT_CHARACTERS_MAX, VALUE_CHARACTERS_MAX, VALUES_MAX

ONE = wire.reason_of(
    "$.version: must be a number", "field.type", {"expected": "number", "count": 3}, "$.version"
)
PLAIN = wire.reason_of("the disk is full", "", {})


def travelled(value: object) -> object:
    return json.loads(json.dumps(value))


def test_what_an_older_centre_reads_is_lines_alone() -> None:
    problems, _ = wire.reasons_json([ONE, PLAIN])
    assert problems == ["$.version: must be a number", "the disk is full"]


def test_both_lists_give_the_reasons_again() -> None:
    problems, details = wire.reasons_json([PLAIN, ONE])
    assert wire.reasons_from(travelled(problems), travelled(details)) == (PLAIN, ONE)
    assert ONE.values == {"expected": "number", "count": "3"}


def test_what_is_stored_gives_the_reasons_again_and_lines_alone_as_they_always_were() -> None:
    kept = wire.reasons_kept([PLAIN, ONE])
    assert wire.reasons_from(travelled(kept)) == (PLAIN, ONE)
    assert wire.reasons_kept([PLAIN]) == ["the disk is full"]


def test_an_older_box_sends_lines_alone() -> None:
    assert wire.reasons_from(["a: b", "c"]) == (wire.Reason("a: b"), wire.Reason("c"))


@pytest.mark.parametrize(
    "detail",
    [
        None,
        7,
        [],
        {},
        {"key": 7},
        {"key": "no key at all"},
        {"key": "x" * 10_000},
        {"key": "../texts.toml"},
    ],
    ids=repr,
)
def test_details_that_cannot_be_read_leave_the_line(detail: object) -> None:
    assert wire.reasons_from(["a line"], [detail]) == (wire.Reason("a line"),)


def test_values_that_are_no_text_or_have_no_name_are_left_out() -> None:
    values = {"good": "1", "number": 7, "list": ["x"], "a b": "x", "x" * 99: "x", "": "x", "__class__.x": "x"}
    (found,) = wire.reasons_from(["t"], [{"key": "field.type", "values": values, "path": 5}])
    assert found == wire.Reason("t", "field.type", {"good": "1"})


def test_all_of_it_is_bounded() -> None:
    values = {f"v{number}": "あ" * 10_000 for number in range(500)}
    detail = {"key": "field.type", "values": values, "path": "$" * 10_000}
    found = wire.reasons_from(["x" * 10_000] * 10_000, [detail] * 10_000)
    assert len(found) == wire.PROBLEMS_MAX
    assert len(found[0].text) == TEXT_CHARACTERS_MAX and len(found[0].values) == VALUES_MAX
    assert {len(value) for value in found[0].values.values()} == {VALUE_CHARACTERS_MAX}
    problems, details = wire.reasons_json(found)
    assert len(problems) == len(details) == wire.PROBLEMS_MAX
    assert sum(len(json.dumps(one)) for one in details if one) <= DETAILS_BYTES_MAX
    assert details[0] and not details[-1]
    assert len(json.dumps([problems, details])) < wire.JSON_BYTES_MAX


def test_nothing_steers_a_terminal_or_a_database() -> None:
    evil = "\x1b[2J\x00\r\nroot#\u202e\ud800\u3000東京"
    (found,) = wire.reasons_from([evil], [{"key": "field.type", "values": {"a": evil}, "path": evil}])
    for text in (found.text, found.values["a"], found.path):
        assert text == "\\x1b[2J\\x00  root#\\u202e\\ud800 東京"
    assert wire.reasons_from(wire.reasons_kept([found])) == (found,), "the same when read again"


def test_a_problem_that_is_no_text_is_told_and_takes_nothing_down() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    found = wire.reasons_from([{"path": "$", "message": "test"}, None, deep])
    assert [one.text for one in found] == ["{'path': '$', 'message': 'test'}", "None", "?"]
    assert wire.reasons_from({"no": "list"}, 7) == ()
