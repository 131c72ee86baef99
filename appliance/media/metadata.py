"""CORE: what rtpengine's metadata file tells about a capture: which port hears which side, and the codecs.

The file holds the descriptions as rtpengine handed them out, in order. An endpoint in a description given to the callee
hears the callee, one given to the caller hears the caller. Both networks may use the same port number at a time, so an
endpoint is an address with a port; a description names the address as the other side sees it.

Format read off rtpengine 10.5.3 (`recording-method=pcap`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Side(StrEnum):
    """Whose voice: the caller's is the left channel, the callee's the right one."""

    CALLER = "caller"
    CALLEE = "callee"

    @property
    def other(self) -> "Side":
        """The far side."""
        return Side.CALLEE if self is Side.CALLER else Side.CALLER


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type. name in lower case as in RFC 3551; clock_hz: rate of the RTP time stamps."""

    name: str
    clock_hz: int


Endpoint = tuple[str, int]
"""Address and UDP port of rtpengine."""


@dataclass(frozen=True, slots=True)
class Description:
    """One SDP with audio. mode: "offer" or "answer"; endpoints: rtpengine's, as handed out; codecs: by payload type."""

    mode: str
    endpoints: tuple[Endpoint, ...]
    codecs: dict[int, Codec]


@dataclass(frozen=True, slots=True)
class CaptureMap:
    """Whom each endpoint hears, and the codecs it may get."""

    sides: dict[Endpoint, Side] = field(default_factory=dict)
    codecs: dict[Endpoint, dict[int, Codec]] = field(default_factory=dict)


STATIC_CODECS = {
    0: Codec("pcmu", 8000),
    8: Codec("pcma", 8000),
    9: Codec("g722", 8000),
    13: Codec("cn", 8000),
}
"""RFC 3551 table 4. G.722's clock is 8,000 Hz by an old mistake that the RFC keeps."""

_RTPMAP = re.compile(r"a=rtpmap:(\d{1,3}) ([A-Za-z0-9.+_-]+)/(\d{3,6})")
_AUDIO = re.compile(r"m=audio (\d{1,5})(?:/\d+)? ")
_ADDRESS = re.compile(r"c=IN IP[46] ([0-9A-Fa-f:.]+)")


def descriptions(text: str) -> list[Description]:
    """The descriptions in a metadata file, in the order in which they were handed out. Never raises: what does not
    read as a description is passed over, since a cut-off file must still be of use."""
    found = []
    for block in text.split("SDP mode: ")[1:]:
        mode = block.split("\n", 1)[0].strip()
        addresses = _ADDRESS.findall(block) or [""]
        ports = [int(port) for port in _AUDIO.findall(block) if 0 < int(port) < 65536]
        endpoints = tuple((address, port) for address in dict.fromkeys(addresses) for port in ports)
        codecs = dict(STATIC_CODECS)
        for payload_type, name, clock in _RTPMAP.findall(block):
            codecs[int(payload_type)] = Codec(name.lower(), int(clock))
        if mode in ("offer", "answer") and endpoints:
            found.append(Description(mode, endpoints, codecs))
    return found


def capture_map(found: list[Description], advertised: Mapping[str, str]) -> CaptureMap:
    """Sides and codecs by endpoint. advertised: address as others see it → the box's own, as it stands in a capture.

    The first offer goes to the callee; a later one (re-INVITE) may go either way and is told by an endpoint that is known
    already, its own or the one in its answer."""
    result = CaptureMap()
    offered: Side | None = None
    for description in found:
        endpoints = [(advertised.get(address, address), port) for address, port in description.endpoints]
        known = [result.sides[endpoint] for endpoint in endpoints if endpoint in result.sides]
        if known:
            side = known[0]
        elif description.mode == "answer" and offered is not None:
            side = offered.other
        else:
            side = Side.CALLEE
        for endpoint in endpoints:
            result.sides.setdefault(endpoint, side)
            result.codecs.setdefault(endpoint, {}).update(description.codecs)
        if description.mode == "offer":
            offered = side
    return result
