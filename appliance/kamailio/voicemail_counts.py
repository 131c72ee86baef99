"""What lies in voicemail boxes, from FreeSWITCH's own list. Adapter: SQLite, read-only.

FreeSWITCH says nothing by itself (its SIP profile keeps no subscriptions), and a message that it forgot to tell of would leave
a lamp wrong for ever. Its list is the truth, before a restart and after: table `voicemail_msgs` of mod_voicemail. It is looked
at when the file has changed.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from appliance.kamailio.message_summary import Messages

FILE = "voicemail_default.db"
"""In FreeSWITCH's folder of databases: "voicemail_" and the profile's name."""

WAIT_S = 0.05
"""For FreeSWITCH to finish a write; then the next look finds what is new."""

_QUERY = """
SELECT username, sum(read_epoch = 0), sum(read_epoch != 0),
    sum(read_epoch = 0 AND read_flags = 'A_URGENT'), sum(read_epoch != 0 AND read_flags = 'A_URGENT')
FROM voicemail_msgs GROUP BY username
"""

Mark = tuple[tuple[int, int, int], ...]


class VoicemailCounts:
    """One FreeSWITCH's boxes."""

    def __init__(self, folder: str) -> None:
        """folder: of FreeSWITCH's databases, "" for a box without."""
        self._path = Path(folder) / FILE if folder else None
        self._mark: Mark = ()
        self._boxes: dict[str, Messages] = {}

    def look(self) -> dict[str, Messages]:
        """Extension to what lies in its box; boxes without a message are left out. Blocks on a local file. Never raises: what
        cannot be read now is what it was."""
        if self._path is None:
            return self._boxes
        mark = self._stat(self._path)
        if not mark:
            self._mark, self._boxes = mark, {}
        elif mark != self._mark:
            try:
                self._boxes = self._read(self._path)
                self._mark = mark
            except sqlite3.Error:
                pass
        return self._boxes

    @staticmethod
    def _stat(path: Path) -> Mark:
        """What changes with every write; the write-ahead log, if FreeSWITCH uses one, is part of it."""
        found = []
        for name in (path.name, f"{path.name}-wal"):
            try:
                stat = path.with_name(name).stat()
            except OSError:
                continue
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    @staticmethod
    def _read(path: Path) -> dict[str, Messages]:
        where = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(where, uri=True, timeout=WAIT_S)) as database:
            rows = database.execute(_QUERY).fetchall()
        return {str(number): Messages(*(int(count or 0) for count in counts)) for number, *counts in rows}
