"""Box and layout become what Kamailio reads: the top-level kamailio.cfg, tls.cfg, the KEMI script's copy.

The texts are pure functions; `write` is the only one that touches the disk. What is the same on every box is in the folder
`etc`, which the rendered file includes. Every path is absolute. Values are checked before they are
written into a configuration language, whose strings know no escape for a quotation mark.
"""

import json
import os
from pathlib import Path
from typing import Any

from appliance.addresses import bracketed
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.kamailio import kept
from appliance.layout import Layout

PACKAGE_DIR = Path(__file__).resolve().parent
STATIC_CFG = PACKAGE_DIR / "etc" / "kamailio.cfg"
ROUTES_CFG = PACKAGE_DIR / "etc" / "routes.cfg"
ENTRY_TEMPLATE = PACKAGE_DIR / "script" / "kemi_entry.py"
INSTALL_ROOT = PACKAGE_DIR.parents[1]
"""The folder that holds the package `appliance`: a checkout, or a site-packages."""

LAN, WAN, MEDIA = "lan", "wan", "media"
"""Names of the box's sockets, as `Peer.network` and the handler use them."""

PRIVATE_MODE = 0o600
FOLDER_MODE = 0o700


def wan_shares_lan(box: Box) -> bool:
    """Whether one socket serves both sides: a box with one address and one port."""
    return (box.sip.wan, box.sip.wan_port) == (box.sip.lan, box.sip.lan_port)


def load_file(layout: Layout) -> Path:
    """The copy of the registrations that Kamailio loads at start; made anew each time."""
    return layout.run_dir / "kamailio_bindings.sqlite"


def settings(box: Box, layout: Layout) -> dict[str, Any]:
    """What the handler has to know of the box; written into the KEMI script as JSON. Keys of `here`: fields of `Here`."""
    sip, fs = box.sip, box.freeswitch
    return {
        "box": box.id,
        "snapshot": str(layout.current_route_snapshot),
        "journal": str(layout.journal),
        "bindings": str(layout.bindings),
        "bindings_load": str(load_file(layout)),
        "lamps": str(layout.lamps),
        "prompts": str(layout.prompts_dir),
        "voicemail": str(layout.freeswitch_db_dir) if fs.address else "",
        "kept": str(layout.state_dir / kept.FILE),
        "ng": box.rtp.ng,
        "freeswitch_pid": str(layout.freeswitch_pid),
        "here": {
            "lan": bracketed(sip.lan),
            "lan_port": sip.lan_port,
            "wan": bracketed(sip.wan),
            "wan_port": sip.wan_port,
            "wan_advertise": sip.wan_advertise,
            "lan_tls_port": sip.lan_tls_port,
            "lan_ws_port": sip.lan_ws_port,
            "media": f"{bracketed(fs.address)}:{fs.sip_port}" if fs.address else "",
            "media_port": fs.kamailio_port,
        },
    }


def listen_lines(box: Box) -> list[str]:
    """The sockets. Phones use "lan" (UDP and TCP), "lan_tls", "lan_ws"; upstreams use "wan", FreeSWITCH "media"."""
    sip = box.sip
    lan, wan = bracketed(sip.lan), bracketed(sip.wan)
    advertise = f" advertise {sip.wan_advertise}" if sip.wan_advertise else ""
    both = advertise if wan_shares_lan(box) else ""
    lines = [
        f'listen=udp:{lan}:{sip.lan_port}{both} name "{LAN}"',
        f'listen=tcp:{lan}:{sip.lan_port}{both} name "{LAN}_tcp"',
    ]
    if sip.lan_tls_port:
        lines.append(f'listen=tls:{lan}:{sip.lan_tls_port} name "{LAN}_tls"')
    if sip.lan_ws_port:
        lines.append(f'listen=tcp:{lan}:{sip.lan_ws_port} name "{LAN}_ws"')
    if not wan_shares_lan(box):
        lines.append(f'listen=udp:{wan}:{sip.wan_port}{advertise} name "{WAN}"')
        lines.append(f'listen=tcp:{wan}:{sip.wan_port}{advertise} name "{WAN}_tcp"')
    if box.freeswitch.address:
        lines.append(
            f'listen=udp:{bracketed(box.freeswitch.address)}:{box.freeswitch.kamailio_port} name "{MEDIA}"'
        )
    return lines


def kamailio_cfg(box: Box, layout: Layout) -> str:
    """The top-level kamailio.cfg. Raises `KyusaiError` "render.quote" for a path that cannot be written in it."""
    run = layout.run_dir
    defines = {
        "CHILDREN": str(box.sip.children),
        "KEMI_ENTRY": _quoted(layout.kemi_entry),
        "RPC_SOCKET": _quoted(layout.kamailio_rpc),
        "RPC_FIFO": _quoted(run / "kamailio_rpc.fifo"),
        "RPC_FIFO_REPLY_DIR": _quoted(f"{run}/"),
        "BINDINGS_URL": _quoted(f"sqlite:///{load_file(layout)}"),
        "KEEPALIVE_FROM": _quoted(f"sip:keepalive@{bracketed(box.sip.lan)}"),
        "RTPENGINE_SOCKET": _quoted(f"udp:{box.rtp.ng}"),
    }
    if box.sip.lan_tls_port:
        defines["TLS_CONFIG"] = _quoted(layout.kamailio_tls_cfg)
    flags = [
        *(["WITH_TLS"] if box.sip.lan_tls_port else []),
        *(["WITH_WEBSOCKET"] if box.sip.lan_ws_port else []),
    ]
    lines = [
        "#!KAMAILIO",
        f"# Kamailio on the site box {box.id}. Rendered from its settings: changes made here are lost.",
        *(f"#!define {flag}" for flag in flags),
        *(f"#!define {name} {value}" for name, value in defines.items()),
        *listen_lines(box),
        f"include_file {_quoted(STATIC_CFG)}",
        f"include_file {_quoted(ROUTES_CFG)}",
    ]
    return "\n".join(lines) + "\n"


def tls_cfg(box: Box, layout: Layout) -> str:
    """tls.cfg: one server domain; phones are known by digest, not by certificate."""
    certificate, key = tls_files(box, layout)
    return (
        "# Rendered from the box's settings: changes made here are lost.\n"
        "[server:default]\n"
        "method = TLSv1.2+\n"
        "verify_certificate = no\n"
        "require_certificate = no\n"
        f"certificate = {certificate}\n"
        f"private_key = {key}\n"
        "\n"
        "[client:default]\n"
        "method = TLSv1.2+\n"
        "verify_certificate = no\n"
        "require_certificate = no\n"
    )


def tls_files(box: Box, layout: Layout) -> tuple[Path, Path]:
    """Certificate and key of the box's SIP sockets: the operator's, or the ones that the box makes itself."""
    if box.sip.tls_certificate:
        return Path(box.sip.tls_certificate), Path(box.sip.tls_key)
    return layout.tls_dir / "certificate.pem", layout.tls_dir / "key.pem"


def kemi_entry(template: str, box: Box, layout: Layout, install_root: Path = INSTALL_ROOT) -> str:
    """The KEMI script's copy for this box. template: text of `script/kemi_entry.py`."""
    text = json.dumps(settings(box, layout), ensure_ascii=True, sort_keys=True)
    return template.replace('"@INSTALL_ROOT@"', repr(str(install_root))).replace('"@SETTINGS@"', repr(text))


def write(box: Box, layout: Layout) -> None:
    """Write all files, each replaced in one step, and make the folders. The files of `tls_files` are the caller's affair.
    Blocks on disk. Raises OSError, KyusaiError. Never called inside Kamailio."""
    for folder in (layout.state_dir, layout.run_dir, layout.kamailio_dir, layout.tls_dir):
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _replace(layout.kamailio_cfg, kamailio_cfg(box, layout))
    _replace(layout.kemi_entry, kemi_entry(ENTRY_TEMPLATE.read_text("utf-8"), box, layout))
    if box.sip.lan_tls_port:
        _replace(layout.kamailio_tls_cfg, tls_cfg(box, layout))


def command(box: Box, layout: Layout) -> list[str]:
    """How Kamailio is started in the foreground; its log goes to standard error."""
    return [
        *("kamailio", "-DD", "-E"),
        *("-f", str(layout.kamailio_cfg)),
        *("-P", str(layout.kamailio_pid)),
        *("-m", str(box.sip.shared_memory_mb)),
        *("-M", str(PACKAGE_MEMORY_MB)),
        *("-x", MEMORY_MANAGER, "-X", MEMORY_MANAGER),
        *("-Y", str(layout.run_dir)),
    ]


PACKAGE_MEMORY_MB = 16
"""Memory of one Kamailio process of its own (-M): reading 5,000 saved registrations at start needs more than 8."""

MEMORY_MANAGER = "fm"
"""Of shared and of own memory. Kamailio's default ("qm") walks long lists of free pieces: a call costs 1.6 times as much CPU with
it, a registration 1.4 times (measured on both in turn)."""


def _quoted(value: object) -> str:
    text = str(value)
    if any(mark in text for mark in ('"', "\\", "\n", "\r")):
        raise KyusaiError(
            "render.quote",
            f"{text!r}: a path in Kamailio's configuration may hold no quotation mark, backslash or line end",
            "Choose another state_dir or run_dir.",
            value=text,
        )
    return f'"{text}"'


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
