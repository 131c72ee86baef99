"""Statements on records. What is duplicate and what is refused is decided in `cloudsync.merge`, not here.

A batch goes in as one block (PostgreSQL: COPY; SQLite: statements of hundreds of rows), without SQLAlchemy's work for each
row: it is most of what a centre does.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import psycopg
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, not_, select, text, update
from sqlalchemy.exc import OperationalError

from cloudsync.merge import Held, Link, Sound
from cloudsync.store.tables import ledger as ledger_table
from cloudsync.store.tables import record, record_time, refused_record, sequence
from cloudsync.store.upsert import insert_for
from cloudsync.wire import GENESIS_HASH, Refusal

REFUSED_ID_CHARACTERS = 128
"""Longest id of a refused record that is kept: it may be anything, it was refused."""
STATEMENT_ROWS = (250, 25, 1)
"""Rows in one statement of SQLite, as long as so many are left. Python lets go of its lock once for each statement: with one
for each row, two batches at a time would spend themselves on handing it to and fro. Each size is compiled once."""
NEAR_ROWS_MAX = 4
"""A batch whose numbers span more than so many times its length is looked up number by number."""

_LEDGER_COLUMNS = "site_id, month, seq, id, hash, prev_hash"
_RECORD_COLUMNS = "month, site_id, box_id, received_utc, seq, kind, priority, created_utc, boot_id, body"
"""What all records of a batch have in common stands first."""
_LEDGER_FIELDS = itemgetter(*map(Sound._fields.index, ("seq", "id", "hash", "prev_hash")))
_RECORD_FIELDS = itemgetter(
    *map(Sound._fields.index, ("seq", "kind", "priority", "created_utc", "boot_id", "body"))
)
"""The rest of the columns, of a record."""
_GO_ON = text(
    "UPDATE sequence SET received = received + :count, last_seq = :last_seq, last_hash = :last_hash"
    " WHERE site_id = :site_id AND last_seq = :seq_before AND last_hash = :hash_before"
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """How complete a site's sequence is: `missing` of 1..`last_seq` have not come (yet); `given_up` never will, as the box has
    said."""

    received: int
    last_seq: int
    last_hash: str
    given_up: int = 0

    @property
    def missing(self) -> int:
        """Records below `last_seq` of which the centre does not know."""
        return self.last_seq - self.received - self.given_up


LEDGER = (sequence.c.received, sequence.c.last_seq, sequence.c.last_hash, sequence.c.given_up)
"""The columns of a `Ledger`."""


def locked_ledger(connection: Connection, site_id: str) -> Ledger:
    """How far the site is; nobody else adds to its records until the transaction ends."""
    query = select(*LEDGER).where(sequence.c.site_id == site_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        connection.execute(
            insert_for(connection, sequence)
            .values(site_id=site_id, received=0, last_seq=0, last_hash=GENESIS_HASH, given_up=0)
            .on_conflict_do_nothing()
        )
        row = connection.execute(query).one()
    return Ledger(*row)


def go_on(connection: Connection, site_id: str, records: Sequence[Link]) -> bool:
    """Count records in a row as added to the ledger, when they begin where it ends; False when they do not, and then nothing was
    done. After True nobody else adds to the site's records until the transaction ends."""
    first, last = records[0], records[-1]
    values = {
        "count": len(records),
        "last_seq": last.seq,
        "last_hash": last.hash,
        "site_id": site_id,
        "seq_before": first.seq - 1,
        "hash_before": first.prev_hash,
    }
    return connection.execute(_GO_ON, values).rowcount == 1


def near(connection: Connection, site_id: str, records: Sequence[Link]) -> list[Held] | None:
    """What the store holds from the number before the first to the one after the last of `records`.

    It does not show an id that is held under a number elsewhere; None when the numbers lie far apart.
    """
    if not records:
        return []
    first, last = min(item.seq for item in records) - 1, max(item.seq for item in records) + 1
    if last - first > NEAR_ROWS_MAX * len(records) + 2:
        return None
    return _held(connection, "seq BETWEEN :first AND :last", site_id=site_id, first=first, last=last)


def held(connection: Connection, site_id: str, records: Sequence[Link]) -> list[Held]:
    """What the store holds under the ids of `records`, their sequence numbers or the numbers beside those."""
    if not records:
        return []
    seqs = sorted({seq for item in records for seq in (item.seq - 1, item.seq, item.seq + 1)})
    ids = [item.id for item in records]
    if connection.dialect.name == "postgresql":
        by_seq = _held(connection, "seq = ANY(:seqs)", site_id=site_id, seqs=seqs)
        return by_seq + _held(connection, "id = ANY(:ids)", site_id=site_id, ids=ids)
    listed = "IN (SELECT value FROM json_each(:wanted))"
    by_seq = _held(connection, f"seq {listed}", site_id=site_id, wanted=json.dumps(seqs))
    return by_seq + _held(connection, f"id {listed}", site_id=site_id, wanted=json.dumps(ids))


def _held(connection: Connection, which: str, **values: object) -> list[Held]:
    query = f"SELECT seq, id, prev_hash, hash FROM ledger WHERE site_id = :site_id AND {which}"  # noqa: S608
    return [Held(*row) for row in connection.execute(text(query), values)]


def add(connection: Connection, site_id: str, box_id: str, records: Sequence[Sound], now_utc: str) -> bool:
    """Insert records, none of which may be there; False when one is, and the transaction is of no use then.

    The month of `now_utc` has to exist, see `cloudsync.store.months`.
    """
    if not records:
        return True
    month = now_utc[:7]
    if connection.dialect.name == "postgresql":
        return _copy(connection, site_id, box_id, records, now_utc, month)
    links = list(map(_LEDGER_FIELDS, records))
    into = f"OR IGNORE INTO ledger ({_LEDGER_COLUMNS})"
    if _insert(connection, into, (site_id, month), links) != len(records):
        return False
    rows = list(map(_RECORD_FIELDS, records))
    _insert(connection, f"OR FAIL INTO record ({_RECORD_COLUMNS})", (month, site_id, box_id, now_utc), rows)
    return True


def _insert(
    connection: Connection, into: str, common: tuple[object, ...], rows: Sequence[tuple[object, ...]]
) -> int:
    """Insert in statements of many rows; gives how many went in. `into` says what to do on a conflict: by default SQLite
    would keep a copy of every page that such a statement changes, to undo it alone. common: what each row begins with."""
    marks = [*(f"?{number}" for number in range(1, len(common) + 1)), *("?" * len(rows[0]))]
    one = f"({', '.join(marks)})"
    added = begin = 0
    for size in STATEMENT_ROWS:
        many = f"INSERT {into} VALUES {', '.join([one] * size)}"  # noqa: S608
        while len(rows) - begin >= size:
            piece = (*common, *chain.from_iterable(rows[begin : begin + size]))
            added += connection.exec_driver_sql(many, piece).rowcount
            begin += size
    return added


def _copy(
    connection: Connection, site_id: str, box_id: str, records: Sequence[Sound], now_utc: str, month: str
) -> bool:
    """`add` by COPY in text form, where only a backslash needs care: nothing here holds a tab or a newline."""
    common = f"{site_id}\t{month}"
    links = "".join(
        [
            f"{common}\t{seq}\t{id_}\t{own}\t{before}\n"
            for seq, id_, own, before in map(_LEDGER_FIELDS, records)
        ]
    )
    common = f"{month}\t{site_id}\t{box_id}\t{now_utc}"
    rows = "".join(
        [
            f"{common}\t{seq}\t{kind}\t{priority}\t{created_utc}\t{boot_id}\t{body}\n"
            for seq, kind, priority, created_utc, boot_id, body in map(_RECORD_FIELDS, records)
        ]
    ).replace("\\", "\\\\")
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 - the driver of this dialect
    try:
        with raw.cursor() as cursor:
            for columns, block in (
                (f"ledger ({_LEDGER_COLUMNS})", links),
                (f"record ({_RECORD_COLUMNS})", rows),
            ):
                with cursor.copy(f"COPY {columns} FROM STDIN") as copy:
                    copy.write(block)
    except psycopg.errors.UniqueViolation:
        return False
    except psycopg.Error as error:
        if raw.closed:
            connection.invalidate(error)
        raise OperationalError("COPY", {}, error) from error
    return True


def take_back(connection: Connection, site_id: str, seqs: Collection[int]) -> None:
    """Free the places of records that were given up and come after all."""
    if seqs:
        same = ledger_table.c.site_id == site_id, ledger_table.c.seq.in_(seqs), ledger_table.c.month == ""
        connection.execute(delete(ledger_table).where(*same))


def advance(
    connection: Connection, site_id: str, before: Ledger, records: Sequence[Link], back: int = 0
) -> None:
    """Count what was added to the ledger as it was `before`. back: how many of them had been given up."""
    if not records:
        return
    last = max(records, key=lambda item: item.seq)
    values: dict[str, object] = {"received": before.received + len(records)}
    if back:
        values["given_up"] = before.given_up - back
    if last.seq > before.last_seq:
        values |= {"last_seq": last.seq, "last_hash": last.hash}
    connection.execute(update(sequence).where(sequence.c.site_id == site_id).values(values))


def add_given_up(connection: Connection, site_id: str, links: Sequence[Link]) -> None:
    """Take into the ledger what a box has said that it gave up, none of which may be there. They belong to no month."""
    if not links:
        return
    rows = [(site_id, "", item.seq, item.id, item.hash, item.prev_hash) for item in links]
    names = _LEDGER_COLUMNS.split(", ")
    values = [dict(zip(names, row, strict=True)) for row in rows]
    connection.execute(insert_for(connection, ledger_table), values)
    more = sequence.c.given_up + len(links)
    connection.execute(update(sequence).where(sequence.c.site_id == site_id).values(given_up=more))


def note_refused(
    connection: Connection,
    site_id: str,
    box_id: str,
    refused: Iterable[tuple[str, str, str]],
    now_utc: str,
) -> None:
    """Keep (id, hash, reason) of refused records; one that comes again is counted, not kept twice."""
    for id_, digest, reason in refused:
        statement = insert_for(connection, refused_record).values(
            site_id=site_id,
            id=_storable(id_),
            hash=digest[:64],
            reason=reason,
            box_id=box_id,
            times=1,
            last_utc=now_utc,
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["site_id", "id", "hash", "reason"],
                set_={"times": refused_record.c.times + 1, "last_utc": now_utc, "given_up_utc": None},
            )
        )


def note_given_up(connection: Connection, site_id: str, ids: Sequence[str], now_utc: str) -> None:
    """A person at the box has given these up; what comes again all the same waits again."""
    if ids:
        named = refused_record.c.id.in_({_storable(id_) for id_ in ids})
        same = refused_record.c.site_id == site_id, named
        connection.execute(update(refused_record).where(*same).values(given_up_utc=now_utc))


def _storable(id_: str) -> str:
    """An id that was refused may hold anything, lone surrogates included, which no database takes."""
    return id_[:REFUSED_ID_CHARACTERS].encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def ledger(connection: Connection, site_id: str) -> Ledger:
    """How complete the site's sequence is."""
    row = connection.execute(select(*LEDGER).where(sequence.c.site_id == site_id)).one_or_none()
    return Ledger(0, 0, GENESIS_HASH) if row is None else Ledger(*row)


_MISSING = text("""SELECT before + 1 AS first, seq - 1 AS last
    FROM (SELECT seq, lag(seq, 1, :after) OVER (ORDER BY seq) AS before
        FROM ledger WHERE site_id = :site_id AND seq > :after) AS next
    WHERE seq > before + 1 ORDER BY seq LIMIT :most""")


def missing_runs(connection: Connection, site_id: str, after: int, most: int) -> list[tuple[int, int]]:
    """The first runs (first, last) of numbers behind `after` that are not in a site's ledger though higher ones are."""
    rows = connection.execute(_MISSING, {"site_id": site_id, "after": after, "most": most})
    return [(row.first, row.last) for row in rows]


def newest(
    connection: Connection, *, site_id: str = "", kinds: Collection[str] = (), limit: int
) -> list[dict[str, object]]:
    """Rows as dictionaries, newest first by when they were made: `at_utc`, with `time_source` where times are not what the
    source's clock said (None where they are), and `times`, those of the call by field, where they were wrong.

    kinds: none for all. Of one site each is asked for by itself, in the order of an index; else all would be sorted.
    """
    apart = [(kind,) for kind in kinds] if site_id and kinds else [tuple(kinds)]
    found = [row for some in apart for row in _newest(connection, site_id, some, limit)]
    found.sort(key=lambda row: (str(row["at_utc"]), row["seq"]), reverse=True)
    return found[:limit]


def _newest(
    connection: Connection, site_id: str, kinds: tuple[str, ...], limit: int
) -> list[dict[str, object]]:
    by_own_clock = (
        _whole()
        .where(~exists().where(_same_time()))
        .order_by(record.c.created_utc.desc(), record.c.seq.desc())
    )
    corrected = (
        _whole(record_time.c.at_utc, record_time.c.source.label("time_source"), record_time.c.times)
        .join(record_time, _same_time())
        .order_by(record_time.c.at_utc.desc(), record.c.seq.desc())
    )
    found: list[dict[str, object]] = []
    for query in (by_own_clock, corrected):
        if site_id:
            query = query.where(record.c.site_id == site_id)
        if kinds:
            query = query.where(record.c.kind.in_(kinds))
        rows = (dict(row._mapping) for row in connection.execute(query.limit(limit)))
        found += [{"at_utc": row["created_utc"], "time_source": None, "times": None} | row for row in rows]
    for row in found:
        row["times"] = json.loads(str(row["times"])) if row["times"] else None
    return found


def _same_time() -> ColumnElement[bool]:
    return and_(record_time.c.site_id == record.c.site_id, record_time.c.seq == record.c.seq)


def _whole(*more: ColumnElement[Any]) -> Select[Any]:
    """Records with what the ledger knows of them."""
    columns = [column for column in record.c if column.name != "month"]
    same = (ledger_table.c.site_id == record.c.site_id) & (ledger_table.c.seq == record.c.seq)
    query = select(*columns, ledger_table.c.id, ledger_table.c.prev_hash, ledger_table.c.hash, *more)
    return query.join(ledger_table, same)


def refused(connection: Connection, *, site_id: str = "", limit: int) -> list[dict[str, object]]:
    """Refused records as dictionaries, newest first; `here`: whether it was taken since, under another number or
    sent again; `given_up_utc`: since when its box waits for it no more, None where it does."""
    query = select(refused_record, taken_since().label("here"))
    query = query.order_by(refused_record.c.last_utc.desc()).limit(limit)
    if site_id:
        query = query.where(refused_record.c.site_id == site_id)
    return [dict(row._mapping) for row in connection.execute(query)]


def taken_since() -> ColumnElement[bool]:
    """Whether a refused record has come all the same. In a conflict the one that is here is another."""
    there = exists().where(
        ledger_table.c.site_id == refused_record.c.site_id, ledger_table.c.id == refused_record.c.id
    )
    return and_(refused_record.c.reason != Refusal.CONFLICT.value, there)


def waits() -> ColumnElement[bool]:
    """Whether a refused record has neither come since nor been given up."""
    return and_(not_(taken_since()), refused_record.c.given_up_utc.is_(None))
