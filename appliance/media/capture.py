"""ADAPTER of the pcap file format: the UDP datagrams in a capture, one after the other, with bounded memory.

Written for what rtpengine writes (`recording-format=eth`): microsecond time stamps, Ethernet, IPv4 or IPv6 without options
that matter. A file that ends in the middle of a packet, as after a crash, gives what is there.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import BinaryIO

SNAP_MAX_BYTES = 65535
"""A longer packet length means that the file is damaged: nothing after it can be trusted."""

_ETHERNET = 1
_UDP = 17


class CaptureDamaged(Exception):
    """The file is no capture, or not one that this reader knows. What was read before stays good."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram. at_s: seconds since 1970; target: address and port that it was sent to."""

    at_s: float
    target: tuple[str, int]
    payload: bytes


def datagrams(stream: BinaryIO) -> Iterator[Datagram]:
    """Every UDP datagram of a capture, in file order. Raises CaptureDamaged."""
    header = stream.read(24)
    if len(header) < 24:
        return
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}.get(header[:4])
    if order is None or struct.unpack(order + "I", header[20:24])[0] != _ETHERNET:
        raise CaptureDamaged("not an Ethernet capture with microsecond time stamps")
    record = struct.Struct(order + "IIII")
    while len(head := stream.read(record.size)) == record.size:
        seconds, micros, length, _ = record.unpack(head)
        if length > SNAP_MAX_BYTES:
            raise CaptureDamaged(f"a packet of {length} bytes, more than {SNAP_MAX_BYTES}")
        frame = stream.read(length)
        if len(frame) < length:
            return
        found = _udp(frame)
        if found is not None:
            yield Datagram(seconds + micros / 1e6, *found)


def _udp(frame: bytes) -> tuple[tuple[str, int], bytes] | None:
    ether_type = frame[12:14]
    if ether_type == b"\x08\x00" and len(frame) >= 34:
        start, protocol = 14 + (frame[14] & 0x0F) * 4, frame[23]
        address = str(IPv4Address(frame[30:34]))
    elif ether_type == b"\x86\xdd" and len(frame) >= 54:
        start, protocol = 54, frame[20]
        address = str(IPv6Address(frame[38:54]))
    else:
        return None
    if protocol != _UDP or len(frame) < start + 8:
        return None
    port, length = struct.unpack("!HH", frame[start + 2 : start + 6])
    return (address, port), frame[start + 8 : start + max(length, 8)]
