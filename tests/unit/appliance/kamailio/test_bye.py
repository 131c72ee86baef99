"""How both sides of a call hear that the box ends it."""

from typing import Any

from appliance.kamailio.bye import byes

CALLER = {
    "tag": "from-1",
    "contact": "sip:201@192.0.2.101:5060",
    "cseq": "62586",
    "route_set": "",
    "socket": "udp:192.0.2.10:5060",
}
CALLEE = {
    "tag": "to-1",
    "contact": "sip:gw1@192.0.2.40:5060;transport=udp",
    "cseq": "",
    "route_set": "",
    "socket": "udp:192.0.2.10:5060",
}


def row(**changes: Any) -> dict[str, Any]:
    told = {
        "call-id": "c@x",
        "from_uri": "sip:201@x",
        "to_uri": "sip:110@x",
        "caller": CALLER,
        "callee": CALLEE,
    }
    return {**told, **changes}


def test_each_side_gets_a_bye_from_the_other() -> None:
    to_caller, to_callee = byes(row(), 'preemption ;cause=4 ;text="Non-IP Preemption"')
    assert (to_caller.uri, to_caller.next_hop, to_caller.socket) == (CALLER["contact"], "", CALLER["socket"])
    assert to_caller.headers == (
        "From: <sip:110@x>;tag=to-1\r\n"
        "To: <sip:201@x>;tag=from-1\r\n"
        "Call-ID: c@x\r\n"
        "CSeq: 100 BYE\r\n"
        "Max-Forwards: 70\r\n"
        'Reason: preemption ;cause=4 ;text="Non-IP Preemption"\r\n'
    )
    assert to_callee.uri == CALLEE["contact"]
    assert "From: <sip:201@x>;tag=from-1\r\nTo: <sip:110@x>;tag=to-1\r\n" in to_callee.headers
    assert "CSeq: 62686 BYE\r\n" in to_callee.headers


def test_bye_follows_the_route_set() -> None:
    routes = "<sip:192.0.2.20;lr;ftag=a>,<sip:192.0.2.30:5070;lr>"
    _, to_callee = byes(row(callee={**CALLEE, "route_set": routes}), "")
    assert (to_callee.uri, to_callee.next_hop) == (CALLEE["contact"], "sip:192.0.2.20;lr;ftag=a")
    assert f"Route: {routes}\r\n" in to_callee.headers
    assert "Reason" not in to_callee.headers


def test_bye_to_a_telephone_behind_nat_goes_to_its_true_address() -> None:
    hidden = {**CALLER, "contact": "sip:201@10.0.0.5:5060;alias=203.0.113.9~40001~5"}
    to_caller, _ = byes(row(caller=hidden), "")
    assert (to_caller.uri, to_caller.next_hop) == (
        "sip:201@10.0.0.5:5060",
        "sip:203.0.113.9:40001;transport=ws",
    )


def test_side_of_which_too_little_is_known_gets_none() -> None:
    (to_caller,) = byes(row(callee={**CALLEE, "contact": ""}), "")
    assert to_caller.uri == CALLER["contact"]
    assert byes(row(callee={}), "") == ()
    assert byes({}, "") == ()
