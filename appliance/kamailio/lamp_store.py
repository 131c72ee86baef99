"""Subscriptions on disk, so that lamps go on after a restart of Kamailio without the telephones' doing. Adapter: SQLite.

One process writes, without waiting for the disk (`synchronous=NORMAL`): what a power cut takes back a telephone asks for
again, as it was without power itself or notices at its next refresh (481).
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from appliance.kamailio.subscriptions import Subscription

RETRY_S = 30
"""Pause after a failed write; lamps work from memory meanwhile."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS subscription (key TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID"


class LampStore:
    """The file; opened on first use."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._database: sqlite3.Connection | None = None
        self._retry_s = 0

    def load(self, now_s: int) -> list[Subscription]:
        """Subscriptions whose time is not over. Blocks. Empty when the file cannot be read: it is begun anew."""
        try:
            rows = self._open().execute("SELECT doc FROM subscription").fetchall()
        except (sqlite3.Error, OSError) as error:
            self._fail(now_s, error)
            self._set_aside()
            return []
        found = []
        for (doc,) in rows:
            with suppress(ValueError):
                found.append(Subscription.of(doc))
        return [one for one in found if one.expires_s > now_s]

    def write(self, kept: Mapping[str, Subscription], changed: Iterable[str], now_s: int) -> bool:
        """Bring the file to what `kept` says of the keys in `changed`. Blocks. False: not now, ask again later."""
        if now_s < self._retry_s:
            return False
        keys = list(changed)
        try:
            database = self._open()
            database.execute("BEGIN IMMEDIATE")
            try:
                database.executemany(
                    "DELETE FROM subscription WHERE key = ?", [(key,) for key in keys if key not in kept]
                )
                database.executemany(
                    "INSERT OR REPLACE INTO subscription (key, doc) VALUES (?, ?)",
                    [(key, kept[key].text()) for key in keys if key in kept],
                )
                database.execute("COMMIT")
            except sqlite3.Error:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            self._fail(now_s, error)
            return False
        return True

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            database = sqlite3.connect(self._path, timeout=0.2, isolation_level=None)
            try:
                self._path.chmod(0o600)
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=NORMAL")
                database.execute(_SCHEMA)
            except (sqlite3.Error, OSError):
                database.close()
                raise
            self._database = database
        return self._database

    def _set_aside(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink()
        self._retry_s = 0

    def _fail(self, now_s: int, error: Exception) -> None:
        self._retry_s = now_s + RETRY_S
        self._warn(f"lamps: {self._path} cannot be used ({error}); subscriptions are kept in memory alone")
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
