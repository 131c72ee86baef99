"""The controller's journal: what it reports of calls in applications, on disk before anybody is told. Adapter: SQLite.

A file of its own beside Kamailio's journal, with the same table and the same rules (one writer, WAL, `synchronous=FULL`, pruned
below the reader's mark). A second table holds the stays that are open; both change in one transaction, so a controller that was
killed begins with exactly what it had told.
"""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.freeswitch.cut_short import Cut
from appliance.freeswitch.legs import Fact, Stay
from appliance.kamailio import journal
from appliance.kamailio.journal import Clock, boot_id
from appliance.kamailio.journal_mark import prune

STAYS = """
CREATE TABLE IF NOT EXISTS stay (
    leg TEXT NOT NULL,
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    call TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    PRIMARY KEY (leg, what, name)
) WITHOUT ROWID
"""

BEGIN, END, CUT = "stay", "stay_end", "cut"
"""Events of this journal; see docs/cdr.md."""

_INSERT = "INSERT INTO event (call, event, mono_ms, wall_ms, boot_id, data) VALUES (?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Told:
    """A fact and when it was heard of, by both clocks."""

    fact: Fact | Cut
    mono_ms: int
    wall_ms: int


class MediaJournal:
    """The one writer. All methods block on disk."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Opens nothing yet."""
        self._path = path
        self._clock = clock
        self._boot = boot_id()
        self._database: sqlite3.Connection | None = None

    def open_stays(self) -> dict[Stay, str]:
        """Stays that were open when the last controller ended, with their Call-IDs; none of an earlier boot. A file that cannot
        be used is set aside. Raises sqlite3.Error, OSError when no new one can be made either."""
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        journal.prepare_database(self._path, (journal.SCHEMA, STAYS), "stay")
        database = self._connected()
        database.execute("DELETE FROM stay WHERE boot_id != ?", (self._boot,))
        rows = database.execute("SELECT leg, what, name, call FROM stay").fetchall()
        return {Stay(leg, what, name): call for leg, what, name, call in rows}

    def write(self, told: Sequence[Told]) -> None:
        """Write facts in their order, in one transaction. Raises sqlite3.Error with none written."""
        database = self._connected()
        try:
            database.execute("BEGIN IMMEDIATE")
            for one in told:
                if isinstance(one.fact, Cut):
                    self._insert(database, one, CUT, asdict(one.fact))
                else:
                    self._stay(database, one, one.fact)
            database.execute("COMMIT")
        except sqlite3.Error:
            self.close()
            raise

    def _stay(self, database: sqlite3.Connection, told: Told, fact: Fact) -> None:
        stay = fact.stay
        self._insert(database, told, BEGIN if fact.begins else END, asdict(stay))
        key = (stay.leg, stay.what, stay.name)
        if fact.begins:
            values = (*key, fact.call, self._boot)
            database.execute("INSERT OR REPLACE INTO stay VALUES (?, ?, ?, ?, ?)", values)
        else:
            database.execute("DELETE FROM stay WHERE leg = ? AND what = ? AND name = ?", key)

    def _insert(self, database: sqlite3.Connection, told: Told, what: str, data: dict[str, Any]) -> None:
        text = json.dumps(data, ensure_ascii=False)
        database.execute(_INSERT, (told.fact.call, what, told.mono_ms, told.wall_ms, self._boot, text))

    def prune(self) -> None:
        """Delete what the reader no longer needs. Raises sqlite3.Error."""
        prune(self._connected(), self._path)

    def close(self) -> None:
        """Give the file back; the next write opens it again."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = journal.connect(self._path)
        return self._database
