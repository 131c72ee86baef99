"""The box's own Kamailio, from box.toml and a site document to a running server, without the rest of a box."""

import json
from pathlib import Path
from typing import Any

from appliance import box as box_settings
from appliance import site, snapshot
from appliance.kamailio import render
from appliance.layout import Layout
from tests.lab.kamailio import Kamailio

SETTINGS = """\
[box]
id = "bench"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
audio = "disk"
[sip]
lan = "{address}"
lan_tls_port = 0
lan_ws_port = 0
wan = "{address}"
children = {children}
shared_memory_mb = {shared_memory_mb}
[rtp]
lan = "{address}"
wan = "{address}"
ng = "{address}:2223"
"""
"""Telephones speak UDP here, as the yardstick's do. No call of a benchmark needs the media relay."""


class BoxServer:
    """One box's Kamailio. ``start`` it, ``kill`` it as a power cut does, ``start`` it again, ``stop`` it."""

    def __init__(
        self,
        folder: Path,
        lab_folder: Path,
        address: str,
        document: dict[str, Any],
        *,
        children: int = 2,
        shared_memory_mb: int = 256,
    ) -> None:
        """Writes and renders everything. ``lab_folder``: of the claim that owns ``address``."""
        folder.mkdir(parents=True)
        toml = folder / "box.toml"
        toml.write_text(
            SETTINGS.format(
                folder=folder, address=address, children=children, shared_memory_mb=shared_memory_mb
            )
        )
        settings = box_settings.load(toml)
        self.layout = Layout.of(settings)
        render.write(settings, self.layout)
        self._publish(document)
        self.listen = f"{address}:{settings.sip.lan_port}"
        command = render.command(settings, self.layout)
        self.kamailio = Kamailio(folder.name, command, lab_folder, self.layout.kamailio_rpc)

    @property
    def pid(self) -> int:
        """Main process."""
        return self.kamailio.process.pid

    async def start(self) -> None:
        """Start it and wait until it answers."""
        await self.kamailio.start()

    async def stop(self) -> None:
        """End it in order."""
        await self.kamailio.stop()

    async def kill(self) -> None:
        """SIGKILL to all of its processes: nothing in memory is saved."""
        await self.kamailio.kill()

    def _publish(self, document: dict[str, Any]) -> None:
        text = json.dumps(document)
        version = int(document["version"])
        self.layout.version_dir(version).mkdir(parents=True)
        self.layout.document(version).write_text(text)
        snapshot.write(site.loads(text), self.layout.route_snapshot(version))
        self.layout.current.symlink_to(Path("versions") / str(version))
