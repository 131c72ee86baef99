"""Names of recordings: a crash may repeat a conversion, never rename it."""

import pytest

from appliance.media.naming import parse_capture_name, recording_stem
from appliance.media.ng import decode, encode


def test_capture_name_gives_the_call_and_a_name_that_starts_with_its_stem() -> None:
    call_id, name = parse_capture_name("call%201%2f@x-32bf388a7339e1b5.pcap")
    assert call_id == "call 1/@x"
    assert name == recording_stem("call 1/@x") + "-32bf388a7339e1b5"


@pytest.mark.parametrize(
    "name", ["", "a.pcap", "x-123.pcap", "x-32bf388a7339e1b5.txt", "-32bf388a7339e1b5.pcap"]
)
def test_other_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a capture"):
        parse_capture_name(name)


def test_bencoding_survives_the_way_there_and_back() -> None:
    value = {"call-id": "æ", "list": ["a", "b"], "n": -3}
    assert decode(encode(value)) == (value, len(encode(value)))


def test_cut_off_bencoding_is_an_error_not_a_short_answer() -> None:
    with pytest.raises(ValueError, match="cut off"):
        decode(b"5:abc")
