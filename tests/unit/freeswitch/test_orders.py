"""Orders: what is read, what is refused with which key, and which call and side are meant."""

import pytest

from appliance.errors import KyusaiError
from appliance.freeswitch import orders
from appliance.freeswitch.legs import Leg
from appliance.freeswitch.orders import Do, Order, Recording

A, B, C = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abc")
LEGS = [
    Leg(A, "call-a", True, "700", "201", True, peer=B),
    Leg(B, "call-b", False, "202", "201", True, peer=A),
    Leg(C, "call-c", True, "700", "203", True),
]


def test_an_order_is_read_with_all_its_fields() -> None:
    assert orders.read(
        {"do": "transfer", "by": "root", "call": "201", "number": "203", "keep": "202"}
    ) == Order(Do.TRANSFER, "root", "201", "203", keep="202")
    record = orders.read({"do": "record", "by": "desk", "call": "201", "recording": "pause"})
    assert record.recording is Recording.PAUSE


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"do": "shutdown", "by": "x", "call": "1"},
        {"do": "hold", "call": "201"},
        {"do": "hold", "by": "a\nb", "call": "201"},
        {"do": "hold", "by": "x" * 65, "call": "201"},
        {"do": "hold", "by": "x"},
        {"do": "hold", "by": "x", "call": 201},
        {"do": "hold", "by": "x", "call": "201", "speed": "1"},
        {"do": "transfer", "by": "x", "call": "201"},
        {"do": "transfer", "by": "x", "call": "201", "number": "203 & hupall"},
        {"do": "listen", "by": "x", "call": "201", "number": "${system(id)}"},
        {"do": "originate", "by": "x", "number": "201", "then": "2\n03"},
        {"do": "originate", "by": "x", "number": "201", "then": "203", "key": "a b"},
        {"do": "record", "by": "x", "call": "201", "recording": "delete"},
    ],
    ids=str,
)
def test_what_is_no_order_is_refused_before_anything_is_done(value: object) -> None:
    with pytest.raises(KyusaiError) as refused:
        orders.read(value)
    assert refused.value.key == "control.order"


@pytest.mark.parametrize("name", [A, A[:4], "call-a", "202"])
def test_a_call_is_found_by_leg_call_id_and_number(name: str) -> None:
    assert {leg.uuid for leg in orders.find(name, LEGS)} == {A, B}


RINGS, RINGS_TOO = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "de")
RINGING = [
    Leg(A, "call-a", True, "700", "201", True),
    Leg(RINGS, "call-d", False, "202", "201", placed_for=A),
    Leg(RINGS_TOO, "call-e", False, "204", "201", placed_for=A),
]
PASSED_ON = [*LEGS[:2], Leg(C, "call-b", True, "*97202", "201", True)]


@pytest.mark.parametrize("name", ["201", "202", "204", "700", RINGS[:4]])
def test_a_caller_and_the_telephones_that_ring_for_him_are_one_call(name: str) -> None:
    assert {leg.uuid for leg in orders.find(name, RINGING)} == {A, RINGS, RINGS_TOO}


@pytest.mark.parametrize("name", ["201", "202", "*97202", "call-b"])
def test_a_call_that_went_on_to_another_application_is_still_one(name: str) -> None:
    assert {leg.uuid for leg in orders.find(name, PASSED_ON)} == {A, B, C}


def test_a_number_in_two_calls_is_refused_with_both_named() -> None:
    other = Leg(C, "call-c", True, "700", "202", True)
    with pytest.raises(KyusaiError) as refused:
        orders.find("202", [*RINGING, other])
    assert refused.value.key == "control.which_call"
    assert (
        refused.value.message == "'202' may be 2 calls: aaaaaaaa ('201' to '700'), cccccccc ('202' to '700')"
    )


def test_a_telephone_that_rings_is_neither_held_nor_sent_on() -> None:
    assert orders.answered(RINGING[0]) is RINGING[0]
    assert orders.answered(LEGS[1]) is LEGS[1]
    with pytest.raises(KyusaiError) as refused:
        orders.answered(RINGING[1])
    assert refused.value.key == "control.rings"


def test_the_leg_that_was_named_comes_first() -> None:
    assert [leg.uuid for leg in orders.find("call-b", LEGS)] == [B, A]


@pytest.mark.parametrize(
    ("name", "key"), [("999", "control.no_call"), ("aaa", "control.no_call"), ("700", "control.which_call")]
)
def test_a_name_that_means_no_call_or_several_is_refused(name: str, key: str) -> None:
    with pytest.raises(KyusaiError) as refused:
        orders.find(name, LEGS)
    assert refused.value.key == key


def test_the_side_is_the_one_that_is_named_or_the_usual_one() -> None:
    legs = LEGS[:2]
    assert orders.side(legs, "", called=False).uuid == A
    assert orders.side(legs, "", called=True).uuid == B
    assert orders.side(legs, "201", called=True).uuid == A
    with pytest.raises(KyusaiError, match="no side"):
        orders.side(legs, "555", called=True)
