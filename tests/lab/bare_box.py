"""A box's Kamailio alone: rendered by the product, with a site's snapshot, without agent and rtpengine unless asked for.

For tests of single calls. Its peers are played by `sipua.Ua` at the addresses that the site document names.
"""

import contextlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from appliance import box as box_settings
from appliance import site, snapshot
from appliance.kamailio import render
from appliance.layout import Layout
from tests.helpers.site_documents import REALM, document, extension, gateway, group, upstream
from tests.lab.addresses import Addresses
from tests.lab.kamailio import Kamailio, RtpEngine
from tests.lab.sipua import Ua

SETTINGS = """\
[box]
id = "bare"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
audio = "disk"
[centre]
url = "https://127.0.0.1:8443"
[sip]
lan = "{a.box_lan}"
lan_tls_port = 0
lan_ws_port = 0
wan = "{a.box_wan}"
children = 2
shared_memory_mb = 64
[rtp]
lan = "{a.box_lan}"
wan = "{a.box_wan}"
port_min = 30000
port_max = 30999
ng = "{a.box_lan}:2223"
"""


def site_document(addresses: Addresses, **changes: Any) -> dict[str, Any]:
    """A site with extensions 201 to 206, group 600, a gateway of two channels and a cloud; a change replaces a field."""
    a = addresses
    kinds = ["emergency", "local", "national", "mobile"]
    fields: dict[str, Any] = {
        "upstreams": [upstream(uri=f"sip:{a.cloud_seen_by_box}:5060", number_format="extension")],
        "gateways": [
            gateway(
                uri=f"sip:{a.gateway}:5060", network="lan", kinds=kinds, max_calls=2, number_format="national"
            )
        ],
        "extensions": [
            extension(str(n), public_number=f"+81312340{n}", allow=["local", "national", "mobile"])
            for n in range(201, 207)
        ],
        "groups": [group(members=["202", "203", "204"], strategy="all")],
        "lan_networks": [f"{a.network}.0/24"],
        "link": {"life_ms": 600},
    }
    return document(**(fields | changes))


class BareBox:
    """One Kamailio with one site. ``async with`` starts and stops it."""

    def __init__(self, addresses: Addresses, folder: Path, doc: dict[str, Any]) -> None:
        """Nothing is written yet."""
        self.addresses = addresses
        self.box = box_settings.parse(SETTINGS.format(a=addresses, folder=folder))
        self.layout = Layout.of(self.box)
        self.folder = folder
        self._doc = doc
        command = render.command(self.box, self.layout)
        self.kamailio = Kamailio("kamailio", command, folder, self.layout.kamailio_rpc)

    async def __aenter__(self) -> "BareBox":
        """Render, write the snapshot, start."""
        for folder in (*self.layout.folders(), self.layout.version_dir(1)):
            folder.mkdir(parents=True, exist_ok=True)
        snapshot.write(site.parse(self._doc), self.layout.route_snapshot(1))
        self.layout.current.symlink_to(self.layout.version_dir(1))
        render.write(self.box, self.layout)
        await self.kamailio.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.kamailio.stop()

    def rtpengine(self, *more: str) -> RtpEngine:
        """An rtpengine that this Kamailio uses, with further arguments; not started."""
        a, capture = self.addresses, self.layout.capture_dir
        words = [
            "--table=-1",
            f"--interface=lan/{a.box_lan}",
            f"--interface=wan/{a.box_wan}",
            f"--listen-ng={self.box.rtp.ng}",
            f"--listen-cli={a.box_lan}:2224",
            f"--port-min={self.box.rtp.port_min}",
            f"--port-max={self.box.rtp.port_max}",
            f"--recording-dir={capture}",
            "--recording-method=pcap",
            "--recording-format=eth",
            "--config-file=none",
            "--delete-delay=0",
            *more,
        ]
        return RtpEngine("rtpengine", self.folder, self.box.rtp.ng, words)

    async def link(self, state: str) -> None:
        """Say of the cloud what the agent would say; holds for 5 s."""
        await self.kamailio.rpc.call("htable.sets", "link", "cloud", state)

    def phone(self, number: str, index: int, **keywords: Any) -> Ua:
        """A telephone of the site; opened by ``async with``."""
        server = (self.addresses.box_lan, 5060)
        password = f"only-for-tests-{number}"
        return Ua(number, self.addresses.phone(index), server, password=password, domain=REALM, **keywords)

    def cloud(self, **keywords: Any) -> Ua:
        """The upstream."""
        return Ua("cloud", self.addresses.cloud_seen_by_box, (self.addresses.box_wan, 5060), **keywords)

    def gateway(self, **keywords: Any) -> Ua:
        """The gateway."""
        return Ua("gateway", self.addresses.gateway, (self.addresses.box_lan, 5060), **keywords)

    def journal(self) -> list[tuple[str, str, dict[str, Any]]]:
        """The calls' rows of the journal: event, call, data."""
        if not self.layout.journal.exists():
            return []
        with contextlib.closing(sqlite3.connect(self.layout.journal)) as database:
            rows = database.execute("SELECT event, call, data FROM event WHERE call != '' ORDER BY seq")
            return [(event, call, json.loads(data)) for event, call, data in rows]

    def faults(self) -> list[str]:
        """Lines of Kamailio's log that speak of a bug of ours; that its processes lose each other when it ends is none."""
        text = self.kamailio.process.log.read_text(errors="replace")
        lines = [line for line in text.splitlines() if re.search(r"Traceback|KsrMisuse|BUG|receive_fd", line)]
        return [line for line in lines if "receive_fd(): EOF" not in line]
