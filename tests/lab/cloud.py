"""The cloud's SIP node: a second Kamailio with rtpengine behind the link, its own phones, and faults on order.

It trusts the box's address, keeps bindings with their Path, answers 100 at once, routes its own phones and the site's
extensions by their bindings and everything that looks like an outside number to the carrier. Media between the cloud
and the site goes through its rtpengine, advertised at the link's stand-in, so that a cut silences it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.addresses import SIP_PORT, Addresses
from tests.lab.kamailio import Kamailio, RpcFailed, RtpEngine
from tests.lab.link import Ports

TEMPLATE = Path(__file__).with_name("cloud_kamailio.cfg")
NG_PORT = 2223


@dataclass(frozen=True)
class Binding:
    """One registered contact: ``path`` is empty for a phone of the cloud itself."""

    aor: str
    contact: str
    path: str
    expires_s: int


def render(addresses: Addresses, rpc: Path, realm: str) -> str:
    """The configuration of one lab's cloud. Pure."""
    text = TEMPLATE.read_text()
    values = {
        "CLOUD": addresses.cloud,
        "CLOUD_SEEN": addresses.cloud_seen_by_box,
        "INSIDE": addresses.cloud_inside,
        "BOX_SEEN": addresses.box_seen_by_cloud,
        "INSIDERS": addresses.network.replace(".", "[.]") + "[.](2[0-9][0-9]|60)$",
        "CARRIER": addresses.carrier,
        "NG": f"{addresses.cloud_inside}:{NG_PORT}",
        "RPC": str(rpc),
        "REALM": realm,
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


class Cloud:
    """The cloud of one lab."""

    def __init__(
        self, addresses: Addresses, folder: Path, ports: Ports | None = None, realm: str = "cloud.lab"
    ) -> None:
        """``realm`` is used when it challenges the site's phones (``passthrough``)."""
        a, ports = addresses, ports or Ports()
        self.addresses = a
        self.realm = realm
        config, rpc = folder / "cloud_kamailio.cfg", folder / "cloud_rpc.sock"
        config.write_text(render(a, rpc, realm))
        command: list[str | Path] = ["kamailio", "-DD", "-E", "-m", "64", "-f", config]
        self.kamailio = Kamailio("cloud", [*command, "-P", folder / "cloud.pid", "-Y", folder], folder, rpc)
        ng = f"{a.cloud_inside}:{NG_PORT}"
        self.rtpengine = RtpEngine(
            "cloud-rtpengine",
            folder,
            ng,
            [
                "--config-file=none",
                "--table=-1",
                f"--interface=lan/{a.cloud_inside}",
                f"--interface=wan/{a.cloud}!{a.cloud_seen_by_box}",
                f"--listen-ng={ng}",
                f"--port-min={ports.cloud_rtp.start}",
                f"--port-max={ports.cloud_rtp.stop - 1}",
                "--log-level=5",
                "--num-threads=1",
                "--timeout=60",
                "--delete-delay=0",
            ],
        )

    @property
    def phones_server(self) -> str:
        """``host:port`` that the cloud's own phones register at."""
        return f"{self.addresses.cloud_inside}:{SIP_PORT}"

    async def start(self) -> None:
        """Start both of its programs."""
        await self.rtpengine.start()
        await self.kamailio.start()

    async def stop(self) -> None:
        """End both."""
        await self.kamailio.stop()
        await self.rtpengine.stop()

    async def kill(self) -> None:
        """The cloud's server dies; the line stays."""
        await self.kamailio.kill()

    async def silent(self, on: bool = True) -> None:
        """Take everything and say nothing, like a process that hangs."""
        await self._set("silent", int(on))

    async def answer(self, code: int, method: str = "ALL") -> None:
        """Answer every request (or those of one method) with ``code``."""
        await self._set(f"answer:{method}", code)

    async def slow(self, wait_ms: int) -> None:
        """Think ``wait_ms`` over every request before the first word of an answer."""
        await self._set("slow_ms", wait_ms)

    async def anchor_site_media(self, on: bool = True) -> None:
        """Pull the media of calls within the site through the cloud too, as some cloud PBXs do."""
        await self._set("anchor_all", int(on))

    async def passthrough(self, passwords: dict[str, str]) -> None:
        """Challenge the site's phones itself: user name → password. An empty dict goes back to trusting the box."""
        for user, password in passwords.items():
            ha1 = hashlib.md5(f"{user}:{self.realm}:{password}".encode(), usedforsecurity=False).hexdigest()
            await self.kamailio.rpc.call("htable.sets", "ha1", user, ha1)
        await self._set("passthrough", int(bool(passwords)))

    async def well(self) -> None:
        """Undo every fault ordered above."""
        await self.kamailio.rpc.call("htable.flush", "ctl")

    async def public_number(self, e164: str, extension: str) -> None:
        """Calls to the public number go to the extension's bindings."""
        await self.kamailio.rpc.call("htable.sets", "did", e164, extension)

    async def requests(self, method: str) -> int:
        """How many requests of ``method`` have come in, from everybody."""
        try:
            answer = await self.kamailio.rpc.call("htable.get", "count", method)
        except RpcFailed:
            return 0
        return int(answer["item"]["value"])

    async def bindings(self) -> list[Binding]:
        """Everything that is registered, with the Path it came by."""
        dump = await self.kamailio.rpc.call("ul.dump")
        found = []
        for domain in dump["Domains"]:
            for entry in domain["Domain"]["AoRs"]:
                info = entry["Info"]
                found += [_binding(info["AoR"], item["Contact"]) for item in info["Contacts"]]
        return sorted(found, key=lambda binding: (binding.aor, binding.contact))

    async def _set(self, key: str, value: int) -> None:
        await self.kamailio.rpc.call("htable.seti", "ctl", key, value)


def _binding(aor: str, contact: dict[str, Any]) -> Binding:
    path = contact.get("Path", "")
    return Binding(
        aor, contact["Address"], "" if path in ("[not set]", "") else path, int(contact.get("Expires") or 0)
    )
