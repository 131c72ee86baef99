"""Statements on records that name recordings, and on the recordings of a name. Nothing here is on the way of a batch or an
upload: a person asks, and waits.

Names are looked up in the primary key of `recording`, one range each. Records are found by site, kind and time; which of them
name recordings is seen in their bodies, so what is read grows with the time that is asked for, and with nothing else.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, exists, func, select, text, tuple_

from cloudsync.held import Held, Known
from cloudsync.store.recording_times import NAME_END
from cloudsync.store.recordings import DELETED
from cloudsync.store.tables import ledger, record, record_time, recording
from cloudsync.wire import RecordingState

LOOKED_UP = 500
"""Names, or ids, of one statement."""
OF_A_NAME_MAX = 100
"""Recordings of one name: pieces of one call."""
_HELD = {
    str(RecordingState.STORED): Held.STORED,
    str(RecordingState.RECEIVING): Held.COMING,
    DELETED: Held.DELETED,
}
_BY_NAME = {
    "sqlite": text(
        "SELECT wanted.value, r.id, r.state FROM json_each(:names) AS wanted CROSS JOIN recording AS r"
        " WHERE r.site_id = :site_id AND r.id >= wanted.value AND r.id < wanted.value || :name_end"
        " LIMIT :most * json_array_length(:names)"
    ),
    "postgresql": text(
        "SELECT wanted.value, r.id, r.state FROM json_array_elements_text(CAST(:names AS json)) AS wanted(value)"
        " CROSS JOIN LATERAL (SELECT id, state FROM recording WHERE site_id = :site_id"
        ' AND id >= wanted.value COLLATE "C" AND id < (wanted.value || :name_end) COLLATE "C"'
        " ORDER BY id LIMIT :most) AS r"
    ),
}
"""What follows a name begins with a dash, which alone of what an id may hold sorts before `NAME_END`. The databases are told in
which order to join: by their guesses PostgreSQL would read the whole table."""


def held(connection: Connection, site_id: str, names: Collection[str]) -> dict[str, list[Known]]:
    """Name -> the recordings of that name that the centre knows of; names without any are left out."""
    found: dict[str, list[Known]] = {}
    for some in _some(sorted(set(names))):
        values = {"names": json.dumps(some), "site_id": site_id, "name_end": NAME_END, "most": OF_A_NAME_MAX}
        for name, recording_id, state in connection.execute(_BY_NAME[connection.dialect.name], values):
            found.setdefault(name, []).append(Known(recording_id, _HELD.get(state, Held.COMING)))
    return found


def unknown(connection: Connection, site_id: str, ids: Collection[str]) -> list[str]:
    """Those of some ids that no recording of the site has."""
    missing: list[str] = []
    for some in _some(ids):
        query = select(recording.c.id).where(recording.c.site_id == site_id, recording.c.id.in_(some))
        known = set(connection.execute(query).scalars())
        missing += [one for one in some if one not in known]
    return missing


def _some(values: Iterable[str]) -> Iterator[list[str]]:
    left = iter(values)
    while some := list(islice(left, LOOKED_UP)):
        yield some


def bodies(connection: Connection, site_id: str, kind: str, mark: str, since_utc: str) -> Iterator[str]:
    """Bodies of a site's records of a kind that hold `mark`, made at that time or later by their own clock or as it was
    corrected; some may come twice."""
    query = select(record.c.body).where(
        record.c.site_id == site_id, record.c.kind == kind, _holds(connection, mark)
    )
    yield from connection.execute(query.where(record.c.created_utc >= since_utc)).scalars()
    yield from connection.execute(_corrected(query, since_utc)).scalars()


def page(
    connection: Connection,
    site_id: str,
    kind: str,
    mark: str,
    since_utc: str,
    before: tuple[str, int] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Records of a kind that hold `mark`, newest first, those of which the times are their own clock's. before: time and number
    of the last one of the page before."""
    query = (
        _whole()
        .where(
            record.c.site_id == site_id,
            record.c.kind == kind,
            record.c.created_utc >= since_utc,
            _holds(connection, mark),
            ~exists().where(_same_time()),
        )
        .order_by(record.c.created_utc.desc(), record.c.seq.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(
            record.c.created_utc <= before[0], tuple_(record.c.created_utc, record.c.seq) < tuple_(*before)
        )
    return [_row(row._mapping) for row in connection.execute(query)]


def corrected(
    connection: Connection, site_id: str, kind: str, mark: str, since_utc: str, limit: int
) -> list[dict[str, Any]]:
    """The same of records whose times were corrected, which are few: newest first."""
    times = (record_time.c.at_utc, record_time.c.source.label("time_source"), record_time.c.times)
    query = _whole(*times).where(record.c.site_id == site_id, record.c.kind == kind, _holds(connection, mark))
    newest = _corrected(query, since_utc).order_by(record_time.c.at_utc.desc(), record.c.seq.desc())
    return [_row(row._mapping) for row in connection.execute(newest.limit(limit))]


def _corrected(query: Select[Any], since_utc: str) -> Select[Any]:
    return query.join(record_time, _same_time()).where(record_time.c.at_utc >= since_utc)


def _holds(connection: Connection, mark: str) -> ColumnElement[bool]:
    find = func.instr if connection.dialect.name == "sqlite" else func.strpos
    return find(record.c.body, mark) > 0


def _same_time() -> ColumnElement[bool]:
    return (record_time.c.site_id == record.c.site_id) & (record_time.c.seq == record.c.seq)


def _whole(*more: ColumnElement[Any]) -> Select[Any]:
    columns = [column for column in record.c if column.name != "month"]
    same = (ledger.c.site_id == record.c.site_id) & (ledger.c.seq == record.c.seq)
    return select(*columns, ledger.c.id, ledger.c.prev_hash, ledger.c.hash, *more).join(ledger, same)


def _row(found: RowMapping) -> dict[str, Any]:
    own = {"at_utc": found["created_utc"], "time_source": None, "times": None}
    row: dict[str, Any] = {**own, **found}
    row["body"] = json.loads(row["body"])
    row["times"] = json.loads(row["times"]) if row["times"] else None
    return row
