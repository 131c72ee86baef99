"""What calls are made of: keys, route sets, caller headers, farewells, who gives way, how a call ended."""

import pytest

from appliance.kamailio.actions import CallerId
from appliance.kamailio.call_key import Hop, branch_of, call_key, host_port, passes_in, route_set, second_pass
from appliance.kamailio.caller_id import ANONYMOUS_URI, Presented, present
from appliance.kamailio.causes import cause_of
from appliance.kamailio.channels import LIFE_MAX_MS, Channels, Line, give_way, read_line
from appliance.kamailio.here import Here, network_of, transport_of, with_user
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.stray import Answer, Farewell, farewell, uri_in
from tests.helpers.ksr_double import KsrDouble
from tests.helpers.site_view import policy

OWN = frozenset({"192.0.2.10:5060", "198.51.100.2:5060"})
LAN = "<sip:192.0.2.10;lr;r2=on>"
WAN = "<sip:198.51.100.2;lr;r2=on>"
CLOUD = "<sip:198.51.100.7;lr>"


def test_key_of_a_call_holds_its_call_id_and_a_digest_of_the_callers_tag() -> None:
    assert call_key("a@b", "t1") == call_key("a@b", "t1")
    assert call_key("a@b", "t1") != call_key("a@b", "t2")
    assert call_key("a@b", "t1").startswith("a@b#")
    assert len(call_key("a@b", "").split("#")[1]) == 8


@pytest.mark.parametrize(
    ("via", "branch"),
    [
        ("SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK0485.d7edc84ec856fc8a.0", "0"),
        ("SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK0485.d7edc84ec856fc8a.b;i=1", "11"),
        ("SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK0485.d7edc84ec856fc8a.01", "16"),
        ("SIP/2.0/UDP 192.0.2.101;branch=z9hG4bKabcdef", ""),
        ("", ""),
    ],
)
def test_branch_of_a_reply_is_read_from_the_boxs_own_via(via: str, branch: str) -> None:
    assert branch_of(via) == branch


@pytest.mark.parametrize(
    ("vias", "passes"),
    [
        (["SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa.b.0", "SIP/2.0/UDP 192.0.2.101:5060"], 1),
        (["SIP/2.0/UDP 192.0.2.10:5060;x", "SIP/2.0/UDP 198.51.100.7", "SIP / 2.0 / TCP 198.51.100.2;y"], 2),
        (["SIP/2.0/UDP 192.0.2.10;x,SIP/2.0/UDP 198.51.100.7 , SIP/2.0/UDP 198.51.100.2"], 2),
        ([], 0),
    ],
)
def test_passes_through_the_box_are_counted_in_the_vias(vias: list[str], passes: int) -> None:
    assert passes_in(vias, OWN) == passes


@pytest.mark.parametrize(
    ("uri", "where"),
    [
        ("sip:192.0.2.10;lr", "192.0.2.10:5060"),
        ("sip:201@192.0.2.10:5070", "192.0.2.10:5070"),
        ("sips:192.0.2.10", "192.0.2.10:5061"),
        ("sip:192.0.2.10;transport=tls", "192.0.2.10:5061"),
        ("sip:[2001:db8::1]:5080;lr", "[2001:db8::1]:5080"),
        ("tel:110", ""),
    ],
)
def test_host_and_port_of_a_uri(uri: str, where: str) -> None:
    assert host_port(uri) == where


@pytest.mark.parametrize(
    ("headers", "back"),
    [
        ([LAN, WAN, CLOUD, WAN, LAN], LAN),
        ([f"{LAN}, {WAN}", f"{CLOUD},{WAN}"], WAN),
        ([LAN, WAN, CLOUD], None),
        ([LAN, WAN], None),
        ([CLOUD, WAN, LAN], None),
        ([], None),
    ],
)
def test_way_back_to_the_box_is_seen_in_the_route_set(headers: list[str], back: str | None) -> None:
    found = second_pass(route_set(headers, OWN))
    assert found == (None if back is None else Hop(back.strip("<>"), own=True))


@pytest.mark.parametrize(
    ("caller", "identity", "shown"),
    [
        (CallerId("201", "Sato"), "", Presented('"Sato"', "sip:201@x.example")),
        (
            CallerId("+8131", "A"),
            "pai",
            Presented('"A"', "sip:+8131@x.example", ('P-Asserted-Identity: "A" <sip:+8131@x.example>',)),
        ),
        (
            CallerId("031"),
            "ppi",
            Presented("", "sip:031@x.example", ("P-Preferred-Identity: <sip:031@x.example>",)),
        ),
        (CallerId("031"), "from", Presented("", "sip:031@x.example")),
        (
            CallerId("031", "A", privacy=True),
            "pai",
            Presented(
                '"Anonymous"', ANONYMOUS_URI, ('P-Asserted-Identity: "A" <sip:031@x.example>', "Privacy: id")
            ),
        ),
        (CallerId("031", privacy=True), "from", Presented('"Anonymous"', ANONYMOUS_URI, ("Privacy: id",))),
        (CallerId("201", privacy=True), "", Presented('"Anonymous"', ANONYMOUS_URI)),
    ],
)
def test_caller_is_written_as_the_peer_wants_it(caller: CallerId, identity: str, shown: Presented) -> None:
    assert present(caller, "x.example", identity) == shown


def test_display_name_cannot_bring_a_header_of_its_own() -> None:
    shown = present(CallerId("201", 'A"\r\nVia: x\\'), "x.example", "")
    assert shown.display == '"A\\"Via: x\\\\"'


def test_farewell_acknowledges_and_ends_along_the_route_of_the_answer() -> None:
    late = Answer(
        "c@x",
        "<sip:1@x>;tag=a",
        "<sip:2@x>;tag=b",
        7,
        "sip:2@198.51.100.9",
        ("sip:p2;lr", "sip:p1;lr"),
        "v:1",
    )
    words = farewell(late)
    assert isinstance(words, Farewell)
    assert words.next_hop == "sip:p1;lr"
    assert words.ack.split("\r\n")[0] == "ACK sip:2@198.51.100.9 SIP/2.0"
    lines = words.bye.split("\r\n")
    assert lines[0] == "BYE sip:2@198.51.100.9 SIP/2.0"
    assert [line for line in lines if line.startswith("Route")] == [
        "Route: <sip:p1;lr>",
        "Route: <sip:p2;lr>",
    ]
    assert {"From: <sip:1@x>;tag=a", "To: <sip:2@x>;tag=b", "CSeq: 8 BYE"} <= set(lines)
    assert words.bye.endswith("\r\n\r\n")


def test_answer_without_a_contact_cannot_be_ended() -> None:
    assert farewell(Answer("c", "f", "t", 1, "", (), "v")) is None


@pytest.mark.parametrize(
    ("value", "uri"), [('"A" <sip:a@b;lr>;q=1', "sip:a@b;lr"), ("sip:a@b;expires=3", "sip:a@b")]
)
def test_uri_in_a_header(value: str, uri: str) -> None:
    assert uri_in(value) == uri


def test_ringing_call_gives_way_before_a_talking_one_and_the_youngest_first() -> None:
    old = Line(1, "old", "t", talking=True, started=10)
    young = Line(2, "young", "t", talking=True, started=20)
    ringing = Line(3, "ringing", "t", talking=False)
    assert give_way([old, young, ringing]) is ringing
    assert give_way([old, young]) is young
    assert give_way([]) is None


def test_dialog_that_is_over_is_no_line() -> None:
    row = {
        "h_entry": 1,
        "h_id": 2,
        "call-id": "c",
        "state": 4,
        "start_ts": 9,
        "caller": {"tag": "t", "cseq": "3"},
    }
    assert read_line(row) == Line(2, "c", "t", True, 9, "3")
    assert read_line(row | {"state": 5}) is None


HERE = Here("192.0.2.10", 5060, "198.51.100.2", 5060, "203.0.113.1:5060", lan_tls_port=5061)


def test_box_knows_its_own_names() -> None:
    assert HERE.own == {"192.0.2.10:5060", "192.0.2.10:5061", "198.51.100.2:5060", "203.0.113.1:5060"}
    assert HERE.sock("wan", "tcp") == "tcp:198.51.100.2:5060"
    assert HERE.sock("lan", "tls") == "tls:192.0.2.10:5061"


@pytest.mark.parametrize(
    ("uri", "transport"),
    [
        ("sip:a@b", "udp"),
        ("sip:a@b;transport=TCP", "tcp"),
        ("sips:a@b", "tls"),
        ("sip:a@b;transport=ws;ob", "ws"),
    ],
)
def test_transport_of_a_uri(uri: str, transport: str) -> None:
    assert transport_of(uri) == transport


def test_peers_uri_gets_the_number() -> None:
    assert with_user("sip:192.0.2.40:5060;transport=udp", "119") == "sip:119@192.0.2.40:5060;transport=udp"
    assert with_user("sip:trunk@192.0.2.40", "119") == "sip:119@192.0.2.40"


def test_every_final_code_has_a_cause() -> None:
    assert all(cause_of(code).isidentifier() for code in range(200, 700))


def test_common_codes_have_the_words_that_others_use() -> None:
    assert [cause_of(code) for code in (200, 404, 480, 486, 487, 503, 603)] == [
        "normal_clearing",
        "unallocated_number",
        "no_user_response",
        "user_busy",
        "originator_cancel",
        "service_unavailable",
        "call_rejected",
    ]


def test_strange_address_is_outside() -> None:
    site = policy(lan_networks=("192.0.2.0/24",))
    assert [network_of(a, site) for a in ("192.0.2.7", "198.51.100.7", "", "x")] == [
        "lan",
        "wan",
        "wan",
        "wan",
    ]


@pytest.mark.parametrize(
    ("said", "life_ms"), [(1_200, 1_200), ("900", 900), (60_000, LIFE_MAX_MS), (None, 0), ("soon", 0)]
)
def test_time_for_a_sign_of_life_is_what_the_agent_says_within_reason(
    said: int | str | None, life_ms: int
) -> None:
    ksr = KsrDouble()
    if said is not None:
        ksr.tables["link"] = {"cloud:life_ms": said}
    assert Channels(KsrCall(ksr)).life_ms("cloud") == life_ms


@pytest.mark.parametrize(
    ("caller", "known"),
    [
        ("201", {"202": "201"}),
        ("0312345678", {"201": "0312345678", "202": "0312345678"}),
        ("", {"201": "anonymous", "202": "anonymous"}),
        ("9" * 70, {"201": "9" * 64, "202": "9" * 64}),
    ],
    ids=["not of himself", "outside", "withheld", "no number is as long"],
)
def test_who_called_last_is_known_of_every_telephone_that_was_to_ring(
    caller: str, known: dict[str, str]
) -> None:
    ksr = KsrDouble()
    channels = Channels(KsrCall(ksr))
    channels.ring_for(("201", "202"), caller)
    assert ksr.tables["last"] == known
    assert channels.last_caller("202") == known["202"]
