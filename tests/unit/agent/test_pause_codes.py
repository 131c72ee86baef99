"""Keys that pause a recording: which are a code, and whose."""

import pytest

from agent.pause_codes import BETWEEN_S, CALLERS_MAX, CodeReader, Key, key_of
from appliance.site_recording import PauseCodes

CODES = PauseCodes("*70", "*71")


def pressed(
    reader: CodeReader, keys: str, *, tag: str = "a", call: str = "c", pause_s: float = 0.5
) -> list[str]:
    told = (
        reader.press(Key(call, tag, "192.0.2.1", key), CODES, at * pause_s) for at, key in enumerate(keys)
    )
    return [order for order in told if order]


def test_a_code_is_heard_among_other_keys_and_once() -> None:
    assert pressed(CodeReader(), "123*70456*71*7") == ["pause", "resume"]


def test_keys_of_two_people_or_far_apart_are_no_code() -> None:
    reader = CodeReader()
    assert pressed(reader, "*7") + pressed(reader, "0", tag="b") + pressed(reader, "0", call="d") == []
    assert pressed(CodeReader(), "*70", pause_s=BETWEEN_S + 1) == []


def test_no_code_is_set_and_nothing_is_one() -> None:
    reader = CodeReader()
    assert [reader.press(Key("c", "a", "", key), PauseCodes(), 0) for key in "*70"] == ["", "", ""]


def test_memory_of_keys_is_bounded() -> None:
    reader = CodeReader()
    for number in range(CALLERS_MAX + 10):
        reader.press(Key(str(number), "a", "", "1"), CODES, 0)
    assert len(reader._pressed) == CALLERS_MAX


RECORDED = (
    b'{"callid":"c1","source_tag":"a","tags":["a","b"],"type":"DTMF","timestamp":1795297073,'
    b'"source_ip":"127.8.9.101","event":10,"duration":80,"volume":10}'
)
"""From rtpengine 10.5.3."""


def test_a_key_is_read_as_rtpengine_tells_it() -> None:
    assert key_of(RECORDED) == Key("c1", "a", "127.8.9.101", "*")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"5", b"{}", b"\xff", RECORDED.replace(b"10,", b"16,"), RECORDED.replace(b"DTMF", b"X")],
)
def test_anything_else_is_no_key(data: bytes) -> None:
    assert key_of(data) is None
