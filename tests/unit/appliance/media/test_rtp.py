"""Packets in sending order: without this a recording stutters where the network reordered."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.rtp import REORDER_DEPTH, RtpPacket, in_order, parse


def packet(sequence: int, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(0.0, ssrc, 0, sequence % 0x10000, sequence * 160, b"")


def test_packet_with_csrc_extension_and_padding_gives_its_payload_alone() -> None:
    header = (
        struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 1, 8, 7, 160, 99) + bytes(4) + struct.pack("!HHI", 0, 1, 0)
    )
    assert parse(1.5, header + b"voice" + b"\0\0\3") == RtpPacket(1.5, 99, 8, 7, 160, b"voice")


def test_rtcp_stun_and_noise_are_not_audio() -> None:
    rtcp = struct.pack("!BBH", 0x80, 200, 6) + bytes(24)
    assert [parse(0, data) for data in (rtcp, b"\0\1" + bytes(18), b"", b"\x80" * 5)] == [None] * 4


@given(st.binary(max_size=64))
def test_any_bytes_never_raise(data: bytes) -> None:
    parse(0.0, data)


@given(st.integers(0, 0xFFFF), st.lists(st.integers(0, REORDER_DEPTH - 2), min_size=1, max_size=200))
def test_bounded_reordering_is_undone_across_the_wrap(start: int, delays: list[int]) -> None:
    sent = [packet(start + index) for index in range(len(delays))]
    arrived = [sent[index] for index in sorted(range(len(sent)), key=lambda i: (i + delays[i], i))]
    first = arrived.index(sent[0])
    if first == 0:
        assert list(in_order(arrived)) == sent


def test_doubled_packets_come_once_and_a_new_source_follows_the_old() -> None:
    arrived = [packet(1), packet(2), packet(2), packet(500, ssrc=2), packet(501, ssrc=2), packet(500, ssrc=2)]
    assert list(in_order(arrived)) == [packet(1), packet(2), packet(500, ssrc=2), packet(501, ssrc=2)]
