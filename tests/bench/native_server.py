"""The yardstick: a plain kamailio.cfg doing what the box does for a registration and a call."""

import contextlib
import sqlite3
from pathlib import Path

from appliance.digest import digest_ha1
from tests.bench.sipp import SCENARIOS
from tests.bench.users import REALM, User
from tests.lab.kamailio import Kamailio

SCHEMAS = Path("/usr/share/kamailio/db_sqlite")


class NativeServer:
    """A native Kamailio. variant: "memory" (HA1 in a hash table) or "sqlite" (HA1 looked up in SQLite)."""

    def __init__(
        self,
        folder: Path,
        lab_folder: Path,
        address: str,
        users: list[User],
        variant: str,
        *,
        children: int = 2,
    ) -> None:
        """Writes its configuration and its databases. ``lab_folder``: of the claim that owns ``address``."""
        folder.mkdir(parents=True)
        self.listen = f"{address}:5060"
        _tables(folder, users)
        text = (SCENARIOS / "kamailio.cfg").read_text()
        text = (
            text.replace("LISTEN", f"udp:{self.listen}")
            .replace("CHILDREN", str(children))
            .replace("FOLDER", str(folder))
        )
        config = folder / "kamailio.cfg"
        config.write_text(text.replace("#!KAMAILIO", f"#!KAMAILIO\n#!define AUTH_{variant.upper()}", 1))
        command: list[str | Path] = [
            "kamailio",
            "-DD",
            "-E",
            "-f",
            config,
            "-m",
            "256",
            "-Y",
            folder,
            "-w",
            folder,
        ]
        self.kamailio = Kamailio(folder.name, command, lab_folder, folder / "rpc.sock")

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


def _tables(folder: Path, users: list[User]) -> None:
    schemas = [path.read_text() for path in (SCHEMAS / "standard-create.sql", SCHEMAS / "usrloc-create.sql")]
    with contextlib.closing(sqlite3.connect(folder / "bindings.sqlite")) as database:
        for schema in schemas:
            database.executescript(schema)
        database.execute("PRAGMA journal_mode=WAL")
    ha1 = {user.number: digest_ha1(user.number, REALM, user.password)[0] for user in users}
    with contextlib.closing(sqlite3.connect(folder / "users.sqlite")) as database, database:
        for path in ("standard", "auth_db", "htable"):
            database.executescript((SCHEMAS / f"{path}-create.sql").read_text())
        database.executemany(
            "INSERT INTO subscriber(username, domain, password, ha1) VALUES (?, ?, '', ?)",
            [(number, REALM, value) for number, value in ha1.items()],
        )
        database.executemany(
            "INSERT INTO htable(key_name, key_type, value_type, key_value, expires) VALUES (?, 0, 0, ?, 0)",
            ha1.items(),
        )
