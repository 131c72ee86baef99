"""The centre of a lab: ``kyusai centre`` on SQLite and a folder, administered through its own commands."""

import json
import sys
from pathlib import Path
from typing import Any

from cloudsync.wire import cdr_with_empty
from tests.lab.addresses import CENTRE_PORT, Addresses
from tests.lab.box import ROOT, kyusai
from tests.lab.processes import Process
from tests.lab.site_document import SITE, TENANT, as_text


class Centre:
    """The centre's process and its administrator."""

    def __init__(self, addresses: Addresses, folder: Path) -> None:
        """``folder`` is the lab's; the data lie in ``folder/centre``."""
        self.data = folder / "centre"
        self._folder = folder
        listen = f"{addresses.centre}:{CENTRE_PORT}"
        # The box reaches it by the link's stand-in: the certificate has to name that address too.
        words = ["--data", self.data, "--listen", listen, "--address", addresses.centre_seen_by_box]
        self.process = Process(
            "centre",
            [sys.executable, "-m", "kyusai_cli", "centre", *map(str, words)],
            folder,
            env={"PYTHONPATH": str(ROOT)},
        )
        self._at = (addresses.centre, CENTRE_PORT)

    async def start(self) -> None:
        """Start serving and wait until connections are taken."""
        await self.process.start()
        await self.process.wait_port(*self._at, 20)

    async def stop(self) -> None:
        """End in order."""
        await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL."""
        await self.process.kill()

    async def add_site(self, site: str = SITE) -> None:
        """Make the site known."""
        await kyusai(
            "centre", "site", "add", site, "--tenant", TENANT, "--key-at-centre", "--data", self.data
        )

    async def publish(self, document: dict[str, Any]) -> None:
        """Sign a site document and offer it to the site's box."""
        file = self._folder / "publish.json"
        file.write_text(as_text(document))
        await kyusai("centre", "site", "publish", file, "--data", self.data)

    async def code(self, site: str = SITE) -> str:
        """A one-time enrolment text."""
        answer = json.loads(await kyusai("centre", "site", "code", site, "--json", "--data", self.data))
        return str(answer["code"])

    async def records(self, kind: str = "", limit: int = 1000) -> list[dict[str, Any]]:
        """What has arrived, newest first; call records with all their fields."""
        words = ["--kind", kind] if kind else []
        answer = json.loads(
            await kyusai("records", "--json", "--limit", str(limit), *words, "--data", self.data)
        )
        return [
            {**row, "body": cdr_with_empty(row["body"])} if row["kind"] == "cdr" else row for row in answer
        ]

    async def recordings(self, limit: int = 1000) -> list[dict[str, Any]]:
        """The recordings that have arrived, newest first."""
        answer = json.loads(await kyusai("recordings", "--json", "--limit", str(limit), "--data", self.data))
        return list(answer)
