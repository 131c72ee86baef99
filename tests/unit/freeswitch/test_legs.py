"""Legs and stays: what events and lists make of them, each change told once."""

from typing import Any

import pytest

from appliance.freeswitch import lists
from appliance.freeswitch.events import Event
from appliance.freeswitch.legs import Fact, Leg, LegBook, Stay, stay_of

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"


def event(name: str, uuid: str = A, /, **headers: str) -> Event:
    told = {
        key.replace("_", "-") if not key.startswith("variable") else key: value
        for key, value in headers.items()
    }
    return Event(name, {"Unique-ID": uuid, **told})


def created(uuid: str = A, call: str = "call-a", number: str = "800", direction: str = "inbound") -> Event:
    return event(
        "CHANNEL_CREATE",
        uuid,
        Call_Direction=direction,
        variable_sip_call_id=call,
        variable_sip_req_user=number if direction == "inbound" else "",
        Caller_Destination_Number=number,
        Caller_Caller_ID_Number="201",
    )


APPLICATION, ROOM = Stay(A, "application", "800"), Stay(A, "room", "800")
ENTERED = event("conference::maintenance", Action="add-member", Conference_Name="room-800")
LEFT = event("conference::maintenance", Action="del-member", Conference_Name="room-800")


def test_each_change_of_a_stay_is_told_once_however_often_it_is_heard() -> None:
    book = LegBook()
    told = [fact for one in (created(), created(), ENTERED, ENTERED, LEFT, LEFT) for fact in book.hear(one)]
    assert told == [
        Fact(True, APPLICATION, "call-a"),
        Fact(True, ROOM, "call-a"),
        Fact(False, ROOM, "call-a"),
    ]


def test_the_end_of_a_leg_ends_all_its_stays_and_its_talk() -> None:
    book = LegBook()
    for one in (created(), ENTERED, created(B, "call-b", "202", "outbound")):
        book.hear(one)
    book.hear(event("CHANNEL_BRIDGE", A, Other_Leg_Unique_ID=B))
    assert (book.legs[A].peer, book.legs[B].peer) == (B, A)
    assert sorted(fact.stay.what for fact in book.hear(event("CHANNEL_HANGUP_COMPLETE"))) == [
        "application",
        "room",
    ]
    assert (book.stays, book.legs[B].peer) == ({}, "")


def test_a_leg_that_an_application_places_belongs_to_its_caller_until_the_two_talk() -> None:
    book = LegBook()
    book.hear(created())
    rings = created(B, "", "202", "outbound")
    book.hear(Event(rings.name, {**rings.headers, "Other-Type": "originator", "Other-Leg-Unique-ID": A}))
    assert (book.legs[B].placed_for, book.legs[B].peer) == (A, "")
    row = {"uuid": B, "direction": "outbound", "dest": "202", "callstate": "RINGING", "call_uuid": A}
    anew = lists.legs([row], {}, lambda _uuid, _name: "")
    assert [(leg.placed_for, leg.peer) for leg in anew] == [(A, "")], "a controller that has just begun"
    book.compare([book.legs[A], *lists.legs([row], book.legs, lambda _uuid, _name: "")], [])
    assert book.legs[B].placed_for == A
    book.hear(event("CHANNEL_BRIDGE", A, Other_Leg_Unique_ID=B))
    assert (book.legs[B].placed_for, book.legs[B].peer) == ("", A)
    book.hear(event("CHANNEL_UNBRIDGE", A, Other_Leg_Unique_ID=B))
    assert (book.legs[B].placed_for, book.legs[B].peer) == ("", ""), "what it does next is a call of its own"


def test_after_a_gap_the_lists_tell_what_has_changed() -> None:
    book = LegBook({APPLICATION: "call-a", ROOM: "call-a", Stay(B, "queue", "sales"): "call-b"})
    legs = [Leg(A, "call-a", True, "800"), Leg(B, "call-b", True, "790")]
    told = book.compare(legs, [Stay(B, "parking", "790")])
    assert told == [
        Fact(False, ROOM, "call-a"),
        Fact(True, Stay(B, "application", "790"), "call-b"),
        Fact(True, Stay(B, "parking", "790"), "call-b"),
    ]
    assert Stay(B, "queue", "sales") in book.stays, "no list tells of queues: it lasts as long as the leg"
    assert book.compare(legs, [Stay(B, "parking", "790")]) == []
    assert {fact.begins for fact in book.compare([], [])} == {False}
    assert book.stays == {}


def test_an_event_of_a_leg_that_nobody_knows_changes_nothing() -> None:
    book = LegBook()
    assert [
        book.hear(one) for one in (ENTERED, event("CHANNEL_HANGUP_COMPLETE"), event("CHANNEL_BRIDGE"))
    ] == [[], [], []]
    assert (book.legs, book.stays) == ({}, {})


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Action": "hold", "Valet-Extension": "790"}, (Stay(A, "parking", "790"), True)),
        ({"Action": "exit", "Valet-Extension": "790"}, (Stay(A, "parking", "790"), False)),
        ({"Action": "bridge", "Valet-Extension": "790"}, (Stay(A, "parking", "790"), False)),
        ({"Action": "other"}, None),
    ],
)
def test_parking_is_told_by_its_own_event(headers: dict[str, str], told: object) -> None:
    assert stay_of(Event("valet_parking::info", {"Unique-ID": A, **headers})) == told


def test_a_dialplan_reports_a_stay_by_the_box_s_own_event() -> None:
    headers = {"Unique-ID": A, "Kyusai-What": "queue", "Kyusai-Name": "sales", "Kyusai-Change": "begin"}
    assert stay_of(Event("kyusai::stay", headers)) == (Stay(A, "queue", "sales"), True)
    assert stay_of(Event("kyusai::stay", {**headers, "Kyusai-Change": "perhaps"})) is None
    assert stay_of(Event("sofia::register", headers)) is None


def test_lists_of_freeswitch_are_read_as_legs_rooms_and_places() -> None:
    rows = lists.channels(
        f'{{"row_count":1,"rows":[{{"uuid":"{A}","direction":"inbound","cid_num":"201","callstate":"ACTIVE","call_uuid":"{A}"}}]}}'
    )
    asked: list[str] = []

    def variable(uuid: str, name: str) -> str:
        asked.append(name)
        return {"sip_call_id": "call-a", "sip_req_user": "800"}[name]

    (leg,) = lists.legs(rows, {}, variable)
    assert leg == Leg(A, "call-a", True, "800", "201", True)
    assert lists.legs(rows, {A: leg}, variable) == [leg]
    assert asked == ["sip_call_id", "sip_req_user"], "what is known is not asked again"
    room = f'[{{"conference_name":"room-800","members":[{{"uuid":"{A}"}},{{"type":"recording_node"}}]}}]'
    assert lists.rooms(room) == [ROOM]
    assert lists.rooms("-ERR No active conferences.\n") == []
    assert lists.parked(f'<lots><lot name="site"><extension uuid="{A}">790</extension></lot></lots>') == [
        Stay(A, "parking", "790")
    ]


def test_a_channel_that_is_listed_although_it_has_hung_up_is_no_leg_again() -> None:
    """FreeSWITCH told of its end before it took it off its list: nobody would tell of that end again."""
    row = {"uuid": A, "direction": "inbound", "callstate": "ACTIVE"}
    assert lists.legs([row], {}, lambda _uuid, _name: None) == []
    assert lists.legs([row], {A: Leg(A, "call-a", True, "800")}, lambda _uuid, _name: None) != []


@pytest.mark.parametrize("text", ["", "-ERR", '"x"', '{"rows": 5}'])
def test_a_list_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        lists.channels(text)


def test_no_channels_are_no_rows(given: Any = '{"row_count":0}') -> None:
    assert lists.channels(given) == []
