"""Who is heard on which port: a mistake here puts the customer's words into the agent's mouth."""

from appliance.media.metadata import Codec, Side, capture_map, descriptions

LAN = "192.0.2.10"


def block(mode: str, port: int, *maps: str, address: str = LAN) -> str:
    lines = [f"SDP mode: {mode}", "SDP before RTP packet: 1", "", "v=0", f"c=IN IP4 {address}"]
    lines.append(f"m=audio {port} RTP/AVP 0 96")
    return "\n".join(
        ["Timestamp started ms: 1795260747418.960", *lines, *(f"a=rtpmap:{text}" for text in maps), ""]
    )


def test_first_offer_goes_to_the_callee_and_its_answer_to_the_caller() -> None:
    ports = capture_map(descriptions(block("offer", 41000) + block("answer", 41012)), {})
    assert ports.sides == {(LAN, 41000): Side.CALLEE, (LAN, 41012): Side.CALLER}


def test_reinvite_by_the_callee_swaps_nothing() -> None:
    text = block("offer", 1000) + block("answer", 2000) + block("offer", 2000) + block("answer", 1000)
    assert capture_map(descriptions(text), {}).sides == {(LAN, 1000): Side.CALLEE, (LAN, 2000): Side.CALLER}


def test_new_port_in_an_answer_is_opposite_to_the_offer() -> None:
    text = block("offer", 1000) + block("answer", 2000) + block("offer", 2000) + block("answer", 3000)
    assert capture_map(descriptions(text), {}).sides == {
        (LAN, 1000): Side.CALLEE,
        (LAN, 2000): Side.CALLER,
        (LAN, 3000): Side.CALLEE,
    }


def test_dynamic_payload_types_are_read_and_static_ones_known() -> None:
    (found,) = descriptions(block("offer", 1000, "96 opus/48000/2", "101 telephone-event/8000"))
    assert found.codecs[96] == Codec("opus", 48000)
    assert found.codecs[9] == Codec("g722", 8000)


def test_cut_off_and_foreign_text_gives_what_is_there() -> None:
    assert descriptions("garbage SDP mode: offer\nm=audio 99999 RTP/AVP 0") == []
    assert descriptions("") == []


def test_same_port_on_both_networks_is_told_by_the_address() -> None:
    text = block("offer", 31000, address="198.51.100.9") + block("answer", 31000)
    ports = capture_map(descriptions(text), {"198.51.100.9": "203.0.113.2"})
    assert ports.sides == {("203.0.113.2", 31000): Side.CALLEE, (LAN, 31000): Side.CALLER}
