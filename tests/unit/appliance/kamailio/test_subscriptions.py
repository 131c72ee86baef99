"""What a SUBSCRIBE may ask for, and what the NOTIFY says that answers it."""

from dataclasses import replace

import pytest

from appliance.kamailio.subscriptions import (
    Refused,
    Subscription,
    check_accept,
    check_size,
    contact_of,
    event_of,
    granted_s,
    notify_headers,
)

ONE = Subscription(
    call_id="c@phone",
    remote_tag="r",
    local_tag="l",
    user="206",
    event="dialog",
    number="202",
    target="sip:206@192.0.2.109:5060",
    hop="sip:192.0.2.109:5060;transport=udp",
    sock="udp:192.0.2.10:5060",
    contact="sip:202@192.0.2.10:5060",
    remote="sip:206@tokyo.example",
    local="sip:202@tokyo.example",
    expires_s=1_000,
    event_id="7",
)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("dialog", ("dialog", "")),
        ("Dialog;id=7", ("dialog", "7")),
        ("message-summary", ("message-summary", "")),
        ('dialog;id="x\r\nEvil: 1"', ("dialog", "")),
    ],
)
def test_event_is_read_with_its_id(header: str, found: tuple[str, str]) -> None:
    assert event_of(header) == found


@pytest.mark.parametrize("header", ["", "conference", "dialog.winfo", "refer"])
def test_unknown_event_is_refused_with_those_that_are_known(header: str) -> None:
    with pytest.raises(Refused) as refused:
        event_of(header)
    assert (refused.value.code, refused.value.headers) == (
        489,
        "Allow-Events: dialog, presence, message-summary\r\n",
    )


@pytest.mark.parametrize(
    ("expires", "granted"),
    [("", 3_600), ("0", 0), ("60", 60), ("600", 600), ("99999", 3_600), ("9" * 40, 3_600)],
)
def test_time_is_granted_up_to_an_hour(expires: str, granted: int) -> None:
    assert granted_s(expires) == granted


@pytest.mark.parametrize(("expires", "code"), [("1", 423), ("59", 423), ("-1", 400), ("soon", 400)])
def test_time_that_is_too_short_or_none_is_refused(expires: str, code: int) -> None:
    with pytest.raises(Refused) as refused:
        granted_s(expires)
    assert refused.value.code == code


def test_telephone_that_reads_something_else_is_refused() -> None:
    check_accept([], "dialog")
    check_accept(["application/dialog-info+xml, text/plain"], "dialog")
    check_accept(["*/*"], "dialog")
    with pytest.raises(Refused):
        check_accept(["application/pidf+xml"], "dialog")


@pytest.mark.parametrize(
    ("header", "uri"),
    [
        ('"A" <sip:206@192.0.2.109:5060;transport=tcp>;x=1', "sip:206@192.0.2.109:5060;transport=tcp"),
        ("sip:206@192.0.2.109", "sip:206@192.0.2.109"),
    ],
)
def test_contact_is_read(header: str, uri: str) -> None:
    assert contact_of(header) == uri


@pytest.mark.parametrize("header", ["", "*", "<tel:1>", "<sip:a b>", f"<sip:{'x' * 600}@h>"])
def test_contact_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(Refused):
        contact_of(header)


def test_telephone_with_endless_names_is_refused() -> None:
    check_size(ONE)
    with pytest.raises(Refused):
        check_size(replace(ONE, route="x" * 600))


def test_notify_belongs_to_the_dialog_of_its_subscription() -> None:
    lines = notify_headers(ONE.next(), 400).split("\r\n")
    assert lines[:5] == [
        "From: <sip:202@tokyo.example>;tag=l",
        "To: <sip:206@tokyo.example>;tag=r",
        "Call-ID: c@phone",
        "CSeq: 1 NOTIFY",
        "Max-Forwards: 70",
    ]
    assert "Event: dialog;id=7" in lines
    assert "Subscription-State: active;expires=600" in lines
    assert "Subscription-State: terminated;reason=timeout" in notify_headers(ONE, 400, "timeout").split(
        "\r\n"
    )


def test_subscription_goes_through_a_queue_and_over_a_restart() -> None:
    assert Subscription.of(ONE.text()) == ONE
    assert ONE.restored().next().cseq > ONE.next().next().cseq
    for text in ("", "7", "{}", "[]", '{"call_id":1}'):
        with pytest.raises(ValueError):
            Subscription.of(text)
