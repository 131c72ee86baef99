"""How calls end in the journal, and whom a transfer reaches."""

import pytest

from appliance.kamailio.causes import Cause
from appliance.kamailio.ending import Last, end_of
from appliance.kamailio.transfer import Replaces, owner, read_refer, read_replaces, unwrapped


@pytest.mark.parametrize(
    ("last", "cause", "code", "by"),
    [
        (Last(True, bye=True, from_caller=True), "normal_clearing", 200, "caller"),
        (Last(True, bye=True), "normal_clearing", 200, "callee"),
        (Last(True), "peer_vanished", 0, "box"),
        (Last(True, forced=Cause.PREEMPTED), "preempted", 0, "box"),
        (Last(True, forced=Cause.MEDIA_TIMEOUT, bye=True), "media_timeout", 0, "box"),
        (Last(True, forced=Cause.ORIGINATOR_CANCEL, bye=True), "normal_clearing", 200, "callee"),
        (Last(False, forced=Cause.ORIGINATOR_CANCEL), "originator_cancel", 487, "caller"),
        (Last(False, forced=Cause.ORIGINATOR_CANCEL, code=486), "user_busy", 486, "callee"),
        (Last(False, code=487), "originator_cancel", 487, "caller"),
        (Last(False, code=486), "user_busy", 486, "callee"),
        (Last(False, code=503, by_box=True), "service_unavailable", 503, "box"),
        (Last(False), "recovery_on_timer_expire", 408, "box"),
    ],
)
def test_end_of_a_call_says_why_and_by_whom(last: Last, cause: str, code: int, by: str) -> None:
    assert end_of(last) == {"cause": cause, "code": code, "by": by}


def test_replaces_names_the_telephone_by_its_own_tag() -> None:
    header = "abc@x ; to-tag=them;from-tag=us;early-only"
    replaces = read_replaces(header)
    assert replaces == Replaces("abc@x", "them")
    assert owner(replaces, '{"them": "202", "us": "201"}') == "202"
    assert owner(replaces, '{"us": "201"}') == ""
    assert owner(replaces, "") == ""
    assert owner(replaces, "spoilt") == ""


@pytest.mark.parametrize("header", ["", "abc@x", "abc@x;from-tag=1", ";to-tag=1"])
def test_broken_replaces_is_none(header: str) -> None:
    assert read_replaces(header) is None


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("<sip:203@x>", {"to": "203", "kind": "blind"}),
        ("<sip:%2B8131@x?Replaces=a%40b%3Bto-tag%3D1>", {"to": "+8131", "kind": "attended"}),
        ("nonsense", {"to": "", "kind": "blind"}),
    ],
)
def test_refer_says_where_to_and_how(header: str, read: dict[str, str]) -> None:
    assert read_refer(header) == read


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (
            "<sip:<sip:204@site.example?Replaces=a%3Bto-tag%3Db>@127.0.0.1>;transport=udp",
            "<sip:204@site.example?Replaces=a%3Bto-tag%3Db>",
        ),
        ("<sip:204@site.example>", ""),
        ("sip:204@site.example", ""),
        ("<sip:<sip:204@site.example>\r\nX: y@127.0.0.1>", ""),
    ],
    ids=["wrapped", "whole", "bare", "with a line of its own"],
)
def test_a_target_that_freeswitch_wrapped_is_what_was_meant(header: str, meant: str) -> None:
    assert unwrapped(header) == meant
