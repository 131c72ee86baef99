"""The box's own settings, `box.toml`: what this machine is and which addresses it uses.

`parse` is pure; `load` reads the file. What the site is (numbers, gateways, rules) is the site document's
business (`appliance.site`).
"""

import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from appliance import addresses
from appliance.box_model import AGENT_LISTEN, NG_LISTEN, Agent, Audio, Box, Centre, FreeSwitch, Rtp, Sip
from appliance.box_rules import BOX_TEMPLATES
from appliance.errors import KyusaiError
from appliance.problems import DocumentError, Problem, Problems, shown
from appliance.reader import REQUIRED, Document, Table
from appliance.words import ABSOLUTE_PATH, ID, ID_MAX_CHARS

__all__ = [
    "Agent",
    "Audio",
    "Box",
    "BoxInvalid",
    "Centre",
    "FreeSwitch",
    "Rtp",
    "Sip",
    "box_path",
    "load",
    "parse",
]

BOX_PATH = Path("/etc/kyusai/box.toml")
"""Where the settings lie unless `BOX_VARIABLE` says otherwise."""

BOX_VARIABLE = "KYUSAI_BOX"

PATH_MAX_CHARS = 4096
"""PATH_MAX of Linux."""

RUN_DIR_MAX_BYTES = 64
"""A Unix socket's whole path has at most 107 bytes (sun_path); the longest socket name needs the rest."""

CHILDREN_MAX = 64
"""Kamailio processes per socket. More than cores buys nothing (measured); this only stops a typing error."""

SHARED_MEMORY_MIN_MB = 16
SHARED_MEMORY_MAX_MB = 65536
"""Kamailio refuses to start with much less than the minimum; the maximum only stops a typing error."""

PORTS_MIN = 100
"""Fewest media ports: a relayed call takes four (RTP and RTCP, both sides), so this is 25 calls."""


class BoxInvalid(DocumentError):
    """`box.toml` has faults; `problems` lists all of them."""

    def __init__(self, problems: tuple[Problem, ...], where: str = "box.toml") -> None:
        super().__init__("box.invalid", where, problems)


def parse(text: str, where: str = "box.toml") -> Box:
    """The settings in a TOML text. Raises `BoxInvalid` with every problem. where: named in the error."""
    problems = Problems(BOX_TEMPLATES)
    try:
        document: Mapping[str, object] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.add("", "box.toml", detail=str(error))
        raise BoxInvalid(problems.listed(), where) from None
    box = _read(Table(document, "", Document(problems)))
    if problems.found:
        raise BoxInvalid(problems.listed(), where)
    return box


def box_path(env: Mapping[str, str]) -> Path:
    """Where the settings lie: `KYUSAI_BOX`, or `BOX_PATH`."""
    return Path(env.get(BOX_VARIABLE) or BOX_PATH)


def load(path: Path) -> Box:
    """Read and parse the settings; blocks on disk. Raises `KyusaiError` "box.unreadable" or `BoxInvalid`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise KyusaiError(
            "box.unreadable",
            f"{path}: the box's settings cannot be read: {detail}",
            f"It must exist and be readable to this user; {BOX_VARIABLE} names another one.",
            path=str(path),
            detail=detail,
            variable=BOX_VARIABLE,
        ) from error
    return parse(text, str(path))


def _read(root: Table) -> Box:
    own = root.table("box")
    box_id = own.text("id", most=ID_MAX_CHARS, form=ID)
    state_dir = own.text("state_dir", "/var/lib/kyusai", most=PATH_MAX_CHARS, form=ABSOLUTE_PATH)
    run_dir = own.text("run_dir", "/run/kyusai", most=PATH_MAX_CHARS, form=ABSOLUTE_PATH)
    if len(run_dir.encode()) > RUN_DIR_MAX_BYTES:
        own.problem("run_dir", "box.run_dir_long", length=len(run_dir.encode()), most=RUN_DIR_MAX_BYTES)
    audio = Audio(own.choice("audio", Audio.AUTO.value, [one.value for one in Audio]))
    own.finish()
    centre = _centre(root.table("centre", required=False))
    sip = _sip(root.table("sip"))
    rtp = _rtp(root.table("rtp", required=False), sip)
    agent_table = root.table("agent", required=False)
    agent = Agent(_endpoint(agent_table, "listen", AGENT_LISTEN))
    agent_table.finish()
    freeswitch = _freeswitch(root.table("freeswitch", required=False), rtp)
    root.finish()
    return Box(box_id, Path(state_dir), Path(run_dir), centre, sip, rtp, agent, freeswitch, audio)


def _centre(table: Table) -> Centre:
    url = table.text("url", "").rstrip("/")
    if url and not _is_url(url):
        table.problem("url", "box.url", value=shown(url))
    table.finish()
    return Centre(url)


def _sip(table: Table) -> Sip:
    lan = _literal(table, "lan", REQUIRED)
    sip = Sip(
        lan=lan,
        wan=_literal(table, "wan", lan),
        lan_port=_port(table, "lan_port", 5060, low=1),
        lan_tls_port=_port(table, "lan_tls_port", 5061),
        lan_ws_port=_port(table, "lan_ws_port", 5062),
        wan_port=_port(table, "wan_port", 5060, low=1),
        wan_advertise=_endpoint(table, "wan_advertise", ""),
        children=table.integer("children", 4, low=1, high=CHILDREN_MAX),
        shared_memory_mb=table.integer(
            "shared_memory_mb", 256, low=SHARED_MEMORY_MIN_MB, high=SHARED_MEMORY_MAX_MB
        ),
        tls_certificate=table.text("tls_certificate", "", most=PATH_MAX_CHARS, form=ABSOLUTE_PATH),
        tls_key=table.text("tls_key", "", most=PATH_MAX_CHARS, form=ABSOLUTE_PATH),
    )
    _different_ports(table, sip)
    if bool(sip.tls_certificate) != bool(sip.tls_key):
        table.problem("tls_key" if sip.tls_certificate else "tls_certificate", "box.tls_half")
    table.finish()
    return sip


def _different_ports(table: Table, sip: Sip) -> None:
    """TCP sockets of one address need ports of their own; plain SIP listens on UDP and TCP."""
    taken: dict[int, str] = {}
    for name, port in (
        ("lan_port", sip.lan_port),
        ("lan_tls_port", sip.lan_tls_port),
        ("lan_ws_port", sip.lan_ws_port),
    ):
        if port and port in taken:
            table.problem(name, "box.port_clash", value=port, other=taken[port])
        taken.setdefault(port, name)
    other = taken.get(sip.wan_port)
    if sip.wan == sip.lan and other not in (None, "lan_port"):
        table.problem("wan_port", "box.port_clash", value=sip.wan_port, other=other)


def _rtp(table: Table, sip: Sip) -> Rtp:
    rtp = Rtp(
        lan=_literal(table, "lan", sip.lan),
        wan=_literal(table, "wan", sip.wan),
        wan_advertise=_literal(table, "wan_advertise", ""),
        port_min=_port(table, "port_min", 30000, low=1024),
        port_max=_port(table, "port_max", 39999, low=1024),
        ng=_endpoint(table, "ng", NG_LISTEN),
    )
    count = rtp.port_max - rtp.port_min + 1
    if count < PORTS_MIN:
        table.problem(
            "port_max",
            "box.ports_few",
            low=rtp.port_min,
            high=rtp.port_max,
            count=max(count, 0),
            least=PORTS_MIN,
        )
    table.finish()
    return rtp


def _freeswitch(table: Table, rtp: Rtp) -> FreeSwitch:
    found = FreeSwitch(
        address=_loopback(table, "address"),
        sip_port=_port(table, "sip_port", 5090, low=1024),
        kamailio_port=_port(table, "kamailio_port", 5092, low=1024),
        esl_port=_port(table, "esl_port", 8021, low=1024),
        clerk_port=_port(table, "clerk_port", 8022, low=1024),
        rtp_min=_port(table, "rtp_min", 20000, low=1024),
        rtp_max=_port(table, "rtp_max", 29999, low=1024),
    )
    ports = (
        ("sip_port", found.sip_port),
        ("kamailio_port", found.kamailio_port),
        ("esl_port", found.esl_port),
        ("clerk_port", found.clerk_port),
    )
    taken: dict[int, str] = {}
    for name, port in ports:
        if port in taken:
            table.problem(name, "box.port_clash", value=port, other=taken[port])
        taken.setdefault(port, name)
    count = found.rtp_max - found.rtp_min + 1
    if count < PORTS_MIN:
        values = {"low": found.rtp_min, "high": found.rtp_max, "count": max(count, 0), "least": PORTS_MIN}
        table.problem("rtp_max", "box.ports_few", **values)
    elif found.address and found.rtp_min <= rtp.port_max and rtp.port_min <= found.rtp_max:
        table.problem("rtp_min", "box.ports_shared", low=found.rtp_min, high=found.rtp_max)
    table.finish()
    return found


def _loopback(table: Table, name: str) -> str:
    address = _literal(table, name, "")
    if address and not ip_address(address.strip("[]")).is_loopback:
        table.problem(name, "box.not_loopback", value=shown(address))
    return address


def _port(table: Table, name: str, default: int, *, low: int = 0) -> int:
    return table.integer(name, default, low=low, high=addresses.PORT_MAX)


def _literal(table: Table, name: str, default: str) -> str:
    return table.address(
        name, addresses.literal, default, expected="a literal IPv4 or IPv6 address", example="'192.0.2.10'"
    )


def _endpoint(table: Table, name: str, default: str) -> str:
    return table.address(
        name,
        _with_port,
        default,
        expected="a literal address with a port",
        example="'127.0.0.1:9469'",
    )


def _with_port(value: str) -> addresses.Endpoint:
    where = addresses.endpoint(value)
    if not where.port:
        raise addresses.AddressError("syntax", value)
    return where


def _is_url(url: str) -> bool:
    scheme, _, rest = url.partition("://")
    try:
        return scheme == "https" and bool(addresses.endpoint(rest))
    except addresses.AddressError:
        return False
