"""The short way to write and read JSON says the same as the library."""

import json

import pytest

from appliance.kamailio.actions import StepKind
from appliance.kamailio.compact_json import read, write

VALUES = [
    {"cause": "normal_clearing", "code": 200, "by": "caller", "anchored": True, "codec": None},
    ["a", ["b", 1, -2.5], {"nested": {"deep": []}}],
    {"text": '\u65e5\u672c "quoted"\r\n\\ \x7f \ud800'},
    (1, "two", ()),
    {"kind": StepKind.CLOUD},
    "",
    {},
]


@pytest.mark.parametrize("value", VALUES)
def test_text_is_that_of_the_library_and_is_read_back(value: object) -> None:
    text = write(value)

    assert text == json.dumps(value, separators=(",", ":"))
    assert read(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", '{"a"', "{} {}", "nothing", '{"a":1}\n'])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


@pytest.mark.parametrize("value", [{1, 2}, object(), {"deep": [b"bytes"]}, float("nan")])
def test_value_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        write(value)
