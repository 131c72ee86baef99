"""A box's configuration keeper on a real disk, with vitals that a test decides."""

import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import ConfigKeeper
from agent.config_check import Trust
from agent.config_store import ConfigStore
from agent.health import Vitals
from agent.logs import set_up
from appliance.layout import Layout
from appliance.site import Site
from cloudsync.wire import ConfigKey, Envelope, envelope_signing_bytes, key_id, to_base64
from tests.helpers.site_documents import document

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
RAW = KEY.public_key().public_bytes_raw()
TRUST = Trust("tokyo-1", (ConfigKey(key_id(RAW), to_base64(RAW)),))
WELL = Vitals(kamailio=True, registered=40, server_errors=0)
ILL = Vitals(kamailio=True, registered=40, server_errors=999)


def sealed(version: int, **changes: Any) -> Envelope:
    text = json.dumps(document(version=version, **changes))
    return Envelope(text, version, key_id(RAW), to_base64(KEY.sign(envelope_signing_bytes(text))))


class Box:
    """A keeper with its store; `vitals` is what each look finds (given the version in use)."""

    def __init__(self, folder: Path, vitals: Callable[[int], Vitals] = lambda _: WELL) -> None:
        self.layout = Layout(folder / "state", folder / "run")
        self.layout.config_dir.mkdir(parents=True, exist_ok=True)
        self.activated: list[int] = []
        self.log = io.StringIO()
        self.store = ConfigStore(self.layout)
        self.vitals = vitals
        self.now_s = 0.0
        self.keeper = ConfigKeeper(
            self.store,
            look=self.look,
            activate=self.activate,
            clock=self.clock,
            log=set_up(self.log),
        )

    async def look(self, _extensions: int) -> Vitals:
        return self.vitals(self.store.current_version())

    async def activate(self, site: Site) -> None:
        self.activated.append(site.version)

    def clock(self) -> float:
        self.now_s += 1.0
        return self.now_s

    async def begin(self) -> "Box":
        await self.keeper.resume()
        return self

    def extension(self, number: str = "201") -> dict[str, Any]:
        """An extension as Kamailio's workers read it."""
        with closing(sqlite3.connect(self.layout.current_route_snapshot)) as database:
            (row,) = database.execute("SELECT doc FROM extension WHERE number = ?", (number,))
        found: dict[str, Any] = json.loads(row[0])
        return found

    def numbers(self) -> list[str]:
        """Extensions in the snapshot that Kamailio's workers read."""
        with closing(sqlite3.connect(self.layout.current_route_snapshot)) as database:
            return [row[0] for row in database.execute("SELECT number FROM extension ORDER BY number")]
