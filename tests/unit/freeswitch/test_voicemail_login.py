"""Voicemail's PINs and limits, as far as they can be told without FreeSWITCH."""

import re

import pytest

from agent import disk, voicemail_limits
from appliance.freeswitch import voicemail_login_xml as login
from appliance.freeswitch import voicemail_xml
from appliance.freeswitch.applications import Mailbox
from appliance.freeswitch.xml import text


@pytest.mark.parametrize(
    ("pin", "taken"),
    [
        ("8351", True),
        ("1112", True),
        ("9876543210", True),
        ("111", False),
        ("1111", False),
        ("0000000000", False),
        ("1234", False),
        ("123456", False),
        ("12345678901", False),
        ("83a1", False),
        ("8351 ", False),
    ],
)
def test_a_new_pin_is_of_four_to_ten_digits_and_no_thief_s_first_guess(pin: str, taken: bool) -> None:
    assert bool(re.search(login.PIN_PATTERN, pin)) is taken


def test_the_context_is_as_large_for_a_thousand_boxes_as_for_one_but_for_a_line_of_each() -> None:
    boxes = tuple(Mailbox(str(1000 + index), "0" * 32) for index in range(1000))
    one, many = (text(login.context(some)).count("<extension") for some in (boxes[:1], boxes))
    assert many - one == 999


def test_messages_that_begin_while_there_is_room_find_room_to_their_end() -> None:
    wideband_bytes = 2 * 16_000 * voicemail_xml.MESSAGE_MAX_S
    assert login.LEFT_AT_ONCE_MAX * wideband_bytes < disk.FULL_BYTES


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("sizes", "room", "told"),
    [
        ([("201", 1)] * 99, True, {}),
        ([("201", 1)] * 100 + [("202", 1)], True, {"ky_vm_full_201": "true"}),
        ([("201", 60 * MIB)] * 2, True, {"ky_vm_full_201": "true"}),
        ([("201", 1)], False, {"ky_vm_no_room": "true"}),
    ],
    ids=["some", "messages", "bytes", "disk"],
)
def test_what_freeswitch_is_told_of_boxes(
    sizes: list[tuple[str, int]], room: bool, told: dict[str, str]
) -> None:
    assert voicemail_limits.wanted(sizes, room) == told


def test_freeswitch_is_told_of_what_changed_and_now_and_then_of_everything() -> None:
    before, now = {"ky_vm_full_201": "true"}, {"ky_vm_full_202": "true"}
    assert voicemail_limits.orders(now, before, False) == ["ky_vm_full_201=", "ky_vm_full_202=true"]
    assert voicemail_limits.orders(now, now, False) == []
    assert voicemail_limits.orders(now, now, True) == ["ky_vm_full_202=true"]
