"""Which retention class call records gave to recordings, kept in the spool beside them: the recording is often made later.

Written in the transaction of the call's record, as one small value for each name; a recording's id is that name, or goes on
after a dash.
"""

from collections.abc import Iterable, Sequence

from agent.records import NewRecord
from agent.spool import Spool
from cloudsync.wire import RecordKind

CLASS_PREFIX = "class "
_BEHIND = "class!"
"""The first text that sorts behind all that begin with CLASS_PREFIX."""


def told(records: Iterable[NewRecord]) -> dict[str, str]:
    """Cursors to write with these records."""
    return {
        f"{CLASS_PREFIX}{name}": record.body["retention"]
        for record in records
        if record.kind == RecordKind.CDR and record.body.get("retention")
        for name in record.body.get("recordings", ())
    }


def read(spool: Spool) -> dict[str, str]:
    """Name -> class. Blocks. Raises SpoolError."""
    query = "SELECT name, value FROM cursor WHERE name > ? AND name < ?"
    with spool.reading() as db:
        rows = db.execute(query, (CLASS_PREFIX, _BEHIND)).fetchall()
    return {str(name).removeprefix(CLASS_PREFIX): str(value) for name, value in rows}


def named(spool: Spool, names: Sequence[str]) -> dict[str, str]:
    """The classes of these names, in their order, without those that have none. Blocks. Raises SpoolError."""
    found = {name: spool.cursor(f"{CLASS_PREFIX}{name}") for name in names}
    return {name: value for name, value in found.items() if value}


def forget(spool: Spool, names: Sequence[str]) -> None:
    """Remove these, named with CLASS_PREFIX. Blocks. Raises SpoolError."""
    if names:
        with spool.transaction() as db:
            db.executemany("DELETE FROM cursor WHERE name = ?", [(name,) for name in names])
