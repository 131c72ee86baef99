"""The yardstick: a plain kamailio.cfg doing what the box does for a registration and a call."""

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from appliance.digest import digest_ha1
from tests.bench.sipp import SCENARIOS, User

SCHEMAS = Path("/usr/share/kamailio/db_sqlite")
REALM = "bench.example"


class NativeServer:
    """A running native Kamailio. variant: "memory" (HA1 in a hash table) or "sqlite" (HA1 looked up in SQLite)."""

    def __init__(self, folder: Path, listen: str, users: list[User], variant: str, children: int = 2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.listen = listen
        _tables(folder, users)
        text = (SCENARIOS / "kamailio.cfg").read_text()
        text = (
            text.replace("LISTEN", f"udp:{listen}")
            .replace("CHILDREN", str(children))
            .replace("FOLDER", str(folder))
        )
        config = folder / "kamailio.cfg"
        config.write_text(text.replace("#!KAMAILIO", f"#!KAMAILIO\n#!define AUTH_{variant.upper()}", 1))
        self._log = (folder / "kamailio.log").open("wb")
        arguments = ["kamailio", "-DD", "-f", str(config), "-m", "256", "-Y", str(folder), "-w", str(folder)]
        self.process = subprocess.Popen(arguments, stdout=self._log, stderr=self._log)
        time.sleep(1.0)
        if self.process.poll() is not None:
            raise RuntimeError((folder / "kamailio.log").read_text()[-2000:])

    @property
    def pid(self) -> int:
        """Main process."""
        return self.process.pid

    def stop(self) -> None:
        """Ends it and waits."""
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=20)
        self._log.close()


def _tables(folder: Path, users: list[User]) -> None:
    schemas = [path.read_text() for path in (SCHEMAS / "standard-create.sql", SCHEMAS / "usrloc-create.sql")]
    for name in ("bindings", "users"):
        (folder / f"{name}.sqlite").unlink(missing_ok=True)
    with sqlite3.connect(folder / "bindings.sqlite") as database:
        for schema in schemas:
            database.executescript(schema)
        database.execute("PRAGMA journal_mode=WAL")
    database.close()
    ha1 = {user.number: digest_ha1(user.number, REALM, user.password)[0] for user in users}
    with sqlite3.connect(folder / "users.sqlite") as database:
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
    database.close()
