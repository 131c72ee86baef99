"""The servers that the box is compared with: plain kamailio.cfg files, without any Python."""

import contextlib
import sqlite3
from pathlib import Path

from appliance.digest import digest_ha1
from appliance.kamailio import journal
from appliance.kamailio.render import MEMORY_MANAGER, PACKAGE_MEMORY_MB
from tests.bench.sipp import SCENARIOS
from tests.bench.users import REALM, User
from tests.lab.kamailio import Kamailio

SCHEMAS = Path("/usr/share/kamailio/db_sqlite")

SAME, BARE = "same", "bare"
"""The variants: names of the configurations in the folder native."""

EXTENSION = """CREATE TABLE extension (
    number TEXT PRIMARY KEY, display TEXT, allow TEXT, record TEXT, max_calls INTEGER, forward_always TEXT, forward_busy TEXT,
    forward_no_answer TEXT, no_answer_s INTEGER, dnd INTEGER
) WITHOUT ROWID"""
"""What a call asks of its two extensions, as in the box's route snapshot."""

SHARED_MEMORY_MB = 768
"""Of each server in the comparison. A call is kept for 32 s after its end (RFC 6026) and takes some 55 kB; an idle machine
places hundreds of calls a second, round after round."""


class NativeServer:
    """A native Kamailio of one variant."""

    def __init__(
        self,
        folder: Path,
        lab_folder: Path,
        address: str,
        users: list[User],
        variant: str,
        *,
        gateway: str,
        lan: str,
        children: int = 2,
    ) -> None:
        """Writes its configuration and its databases. ``lab_folder``: of the claim that owns ``address``. gateway: address
        of a trunk that is never used; lan: the network of the telephones."""
        folder.mkdir(parents=True)
        self.listen = f"{address}:5060"
        _tables(folder, users)
        text = (SCENARIOS / f"{variant}.cfg").read_text()
        words = {
            "LISTEN": f"udp:{self.listen}",
            "CHILDREN": str(children),
            "FOLDER": str(folder),
            "GATEWAY": gateway,
            "LAN": lan,
            "BOOT_ID": journal.boot_id(),
        }
        head, *lines = text.splitlines()
        for word, value in words.items():
            lines = [line if line.startswith("#") else line.replace(word, value) for line in lines]
        config = folder / "kamailio.cfg"
        config.write_text("\n".join([head, *lines, ""]))
        command: list[str | Path] = [
            "kamailio",
            "-DD",
            "-E",
            "-f",
            config,
            "-m",
            str(SHARED_MEMORY_MB),
            "-M",
            str(PACKAGE_MEMORY_MB),
            "-x",
            MEMORY_MANAGER,
            "-X",
            MEMORY_MANAGER,
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
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(journal.SCHEMA)
    ha1 = {user.number: digest_ha1(user.number, REALM, user.password)[0] for user in users}
    with contextlib.closing(sqlite3.connect(folder / "site.sqlite")) as database, database:
        for path in ("standard", "auth_db", "htable"):
            database.executescript((SCHEMAS / f"{path}-create.sql").read_text())
        database.execute(EXTENSION)
        database.executemany(
            "INSERT INTO extension VALUES (?, '', 'local', 'none', 4, '', '', '', 20, 0)",
            [(number,) for number in ha1],
        )
        database.executemany(
            "INSERT INTO subscriber(username, domain, password, ha1) VALUES (?, ?, '', ?)",
            [(number, REALM, value) for number, value in ha1.items()],
        )
        database.executemany(
            "INSERT INTO htable(key_name, key_type, value_type, key_value, expires) VALUES (?, 0, 0, ?, 0)",
            ha1.items(),
        )
