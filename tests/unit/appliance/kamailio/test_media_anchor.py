"""Whose audio goes through the box, and that the decision survives a restart of Kamailio in the route set."""

import itertools

import pytest

from appliance.kamailio.media_anchor import (
    Anchor,
    Rtp,
    Side,
    anchor,
    answer_flags,
    mark,
    media_address,
    offer_flags,
    read_mark,
    rtp_of,
)

LAN, WAN = Side("lan"), Side("wan")
SIDES = [Side(n, r, b) for n, r, b in itertools.product(("lan", "wan"), Rtp, (False, True))]


@pytest.mark.parametrize(
    ("caller", "callee", "record", "anchored"),
    [
        (LAN, LAN, False, False),
        (LAN, LAN, True, True),
        (LAN, WAN, False, True),
        (WAN, WAN, False, False),
        (Side("lan", Rtp.SDES), LAN, False, True),
        (Side("lan", Rtp.SDES), Side("lan", Rtp.SDES), False, False),
        (Side("lan", Rtp.WEBRTC), LAN, False, True),
        (LAN, Side("lan", nat=True), False, True),
    ],
)
def test_call_is_anchored_only_where_it_must_be(
    caller: Side, callee: Side, record: bool, anchored: bool
) -> None:
    assert (anchor(caller, callee, record) is not None) is anchored


@pytest.mark.parametrize(
    ("through", "needed"),
    [
        (Anchor(LAN, LAN, record=True), False),
        (Anchor(LAN, WAN), False),
        (Anchor(LAN, Side("lan", Rtp.WEBRTC)), True),
        (Anchor(Side("wan", nat=True), LAN), True),
    ],
)
def test_call_that_could_talk_directly_does_not_need_rtpengine(through: Anchor, needed: bool) -> None:
    assert through.needed is needed


@pytest.mark.parametrize("caller", SIDES)
@pytest.mark.parametrize("callee", SIDES)
def test_mark_in_the_route_is_read_back(caller: Side, callee: Side) -> None:
    for record in (False, True):
        through = Anchor(caller, callee, record)
        uri = f"sip:192.0.2.10;r2=on;lr=on;ftag=x{mark(through)};vsf=AAA"
        assert read_mark(uri) == through


def test_direct_call_has_a_mark_that_anchors_nothing() -> None:
    assert mark(None) == ";ky=d"
    assert read_mark("sip:192.0.2.10;lr=on;ky=d") is None
    assert read_mark("sip:192.0.2.10;lr=on") is None


def test_offer_to_a_web_phone_and_its_answer() -> None:
    through = Anchor(LAN, Side("lan", Rtp.WEBRTC), record=True)
    assert offer_flags(through) == (
        "replace-origin direction=lan direction=lan UDP/TLS/RTP/SAVPF ICE=force rtcp-mux-offer SDES-off generate-mid "
        "TOS=184 trust-address DTLS=passive record-call=on via-branch=auto-next"
    )
    assert answer_flags(through) == (
        "replace-origin TOS=184 trust-address DTLS=passive record-call=on via-branch=auto-next"
    )


def test_later_offer_from_the_callee_is_written_for_the_caller() -> None:
    through = Anchor(Side("lan", Rtp.SDES, nat=True), WAN)
    flags = offer_flags(through, upstream=True, first=False)
    assert flags == (
        "replace-origin direction=wan direction=lan RTP/SAVP ICE=remove rtcp-mux-demux TOS=184 trust-address"
    )
    back = answer_flags(through, upstream=True, first=False)
    assert back == "replace-origin TOS=184 SIP-source-address"


@pytest.mark.parametrize(
    ("sdp", "websocket", "rtp"),
    [
        ("m=audio 4 RTP/AVP 0", False, Rtp.PLAIN),
        ("m=audio 4 RTP/SAVP 0", False, Rtp.SDES),
        ("m=audio 4 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 AA", False, Rtp.WEBRTC),
        ("m=audio 4 RTP/AVP 0", True, Rtp.PLAIN),
        ("", True, Rtp.WEBRTC),
        ("", False, Rtp.PLAIN),
    ],
)
def test_kind_of_rtp_is_read_from_the_sdp(sdp: str, websocket: bool, rtp: Rtp) -> None:
    assert rtp_of(sdp, websocket) is rtp


@pytest.mark.parametrize(
    ("sdp", "address"),
    [
        ("v=0\r\nc=IN IP4 192.0.2.7\r\n", "192.0.2.7"),
        ("v=0\r\nc=IN IP6 2001:db8::1\r\n", "2001:db8::1"),
        ("v=0\r\nc=IN IP4 0.0.0.0\r\n", ""),
        ("v=0\r\n", ""),
    ],
)
def test_media_address_of_an_sdp(sdp: str, address: str) -> None:
    assert media_address(sdp) == address
