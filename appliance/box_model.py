"""What box.toml says, as values. Owns no behaviour."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

NG_LISTEN = "127.0.0.1:2223"
"""rtpengine's control socket; loopback, because its protocol knows no authentication."""

AGENT_LISTEN = "127.0.0.1:9469"
"""The agent's metrics; loopback until the operator names an address that his Prometheus reaches."""


@dataclass(frozen=True, slots=True)
class Centre:
    """url: the centre's base URL without a trailing slash, or "" for a box that stands alone."""

    url: str = ""


@dataclass(frozen=True, slots=True)
class Sip:
    """Kamailio's sockets and size. lan, wan: literal addresses. A port of 0 turns that socket off.

    wan_advertise: "addr:port" as upstreams see the wan socket, or "". tls_certificate, tls_key: paths, or
    both "" for a certificate that the box makes itself.
    """

    lan: str
    wan: str
    lan_port: int = 5060
    lan_tls_port: int = 5061
    lan_ws_port: int = 5062
    wan_port: int = 5060
    wan_advertise: str = ""
    children: int = 4
    shared_memory_mb: int = 256
    tls_certificate: str = ""
    tls_key: str = ""


@dataclass(frozen=True, slots=True)
class Rtp:
    """rtpengine's addresses and ports. wan_advertise: address only, or "". ng: its control socket."""

    lan: str
    wan: str
    wan_advertise: str = ""
    port_min: int = 30000
    port_max: int = 39999
    ng: str = NG_LISTEN


@dataclass(frozen=True, slots=True)
class Agent:
    """listen: "addr:port" of the Prometheus endpoint."""

    listen: str = AGENT_LISTEN


@dataclass(frozen=True, slots=True)
class FreeSwitch:
    """FreeSWITCH's sockets, all at one loopback address; "" for a box without media applications.

    kamailio_port: Kamailio's own socket at that address, to which FreeSWITCH alone sends. clerk_port: the agent's, where
    FreeSWITCH asks what a dialplan cannot know.
    """

    address: str = ""
    sip_port: int = 5090
    kamailio_port: int = 5092
    esl_port: int = 8021
    clerk_port: int = 8022
    rtp_min: int = 20000
    rtp_max: int = 29999


class Audio(StrEnum):
    """Where a box keeps what people say, as it is heard. AUTO: on the disk if that is known to be encrypted, else in memory."""

    AUTO = "auto"
    MEMORY = "memory"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Box:
    """The settings of one box. id: unique in the site. state_dir, run_dir: absolute folders."""

    id: str
    state_dir: Path
    run_dir: Path
    centre: Centre
    sip: Sip
    rtp: Rtp
    agent: Agent
    freeswitch: FreeSwitch = FreeSwitch()
    audio: Audio = Audio.AUTO
