"""Which messages lie in the voicemail boxes: FreeSWITCH's own database, read and never written. Adapter: SQLite, disk."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from appliance.site_retention import MESSAGE_PREFIX

FILE = "voicemail_default.db"
"""mod_voicemail's, after its profile."""

BUSY_S = 1.0
ROWS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Message:
    """One message. created_s: seconds since 1970. seconds: how long it is. caller: number as FreeSWITCH was told. uuid, domain:
    by which FreeSWITCH knows it."""

    box: str
    caller: str
    caller_name: str
    path: Path
    created_s: int
    seconds: int
    uuid: str = ""
    domain: str = ""

    @property
    def id(self) -> str:
        """Of its recording: the same on every look."""
        return MESSAGE_PREFIX + self.path.stem.removeprefix("msg_")


def messages(folder: Path) -> list[Message]:
    """All messages, oldest first; none where FreeSWITCH has no voicemail yet. folder: of FreeSWITCH's databases.

    Blocks on disk. Raises sqlite3.Error.
    """
    path = folder / FILE
    if not path.exists():
        return []
    query = """SELECT username, cid_number, cid_name, file_path, created_epoch, message_len, uuid,
        domain FROM voicemail_msgs ORDER BY created_epoch, uuid LIMIT ?"""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S)) as db:
        try:
            rows = db.execute(query, (ROWS_MAX,)).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
    return [
        Message(
            *(str(box), str(caller or ""), str(name or ""), Path(file), int(created or 0), int(seconds or 0)),
            *(str(uuid), str(domain)),
        )
        for box, caller, name, file, created, seconds, uuid, domain in rows
    ]
