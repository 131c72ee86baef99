"""Statements on records. What is duplicate and what is refused is decided in `cloudsync.merge`, not here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from cloudsync.merge import Held
from cloudsync.store.tables import record, refused_record
from cloudsync.store.upsert import insert_for
from cloudsync.wire import GENESIS_HASH, Record, canonical_json

REFUSED_ID_CHARACTERS = 128
"""Longest id of a refused record that is kept: it may be anything, it was refused."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """How complete a site's sequence is: `missing` of 1..`last_seq` have not come (yet)."""

    received: int
    last_seq: int
    last_hash: str

    @property
    def missing(self) -> int:
        """Records below `last_seq` that the centre does not hold."""
        return self.last_seq - self.received


def held(connection: Connection, site_id: str, records: Sequence[Record]) -> list[Held]:
    """What the store holds under the ids of `records`, their sequence numbers or the numbers beside those."""
    seqs = {seq for item in records for seq in (item.seq - 1, item.seq, item.seq + 1)}
    query = select(record.c.seq, record.c.id, record.c.prev_hash, record.c.hash).where(
        record.c.site_id == site_id,
        or_(record.c.seq.in_(sorted(seqs)), record.c.id.in_([item.id for item in records])),
    )
    return [Held(row.seq, row.id, row.prev_hash, row.hash) for row in connection.execute(query)]


def add(connection: Connection, site_id: str, box_id: str, records: Sequence[Record], now_utc: str) -> int:
    """Insert what is not there; the number of rows that went in tells whether another writer was faster."""
    if not records:
        return 0
    rows = [
        {
            "site_id": site_id,
            "box_id": box_id,
            "seq": item.seq,
            "id": item.id,
            "kind": item.kind,
            "priority": item.priority,
            "created_utc": item.created_utc,
            "boot_id": item.boot_id,
            "body": canonical_json(item.body),
            "prev_hash": item.prev_hash,
            "hash": item.hash,
            "received_utc": now_utc,
        }
        for item in records
    ]
    result = connection.execute(insert_for(connection, record).on_conflict_do_nothing(), rows)
    return result.rowcount


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
                set_={"times": refused_record.c.times + 1, "last_utc": now_utc},
            )
        )


def _storable(id_: str) -> str:
    """An id that was refused may hold anything, lone surrogates included, which no database takes."""
    return id_[:REFUSED_ID_CHARACTERS].encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def ledger(connection: Connection, site_id: str) -> Ledger:
    """How complete the site's sequence is."""
    query = select(func.count(), func.max(record.c.seq)).where(record.c.site_id == site_id)
    received, last_seq = connection.execute(query).one()
    if not received:
        return Ledger(0, 0, GENESIS_HASH)
    last_hash = connection.execute(
        select(record.c.hash).where(record.c.site_id == site_id, record.c.seq == last_seq)
    ).scalar_one()
    return Ledger(received, last_seq, last_hash)


def refused_count(connection: Connection, site_id: str) -> int:
    """How many different records of the site were refused."""
    query = select(func.count()).select_from(refused_record).where(refused_record.c.site_id == site_id)
    return connection.execute(query).scalar_one()


def newest(
    connection: Connection, *, site_id: str = "", kind: str = "", limit: int
) -> list[dict[str, object]]:
    """Rows as dictionaries, newest first by the source's clock."""
    query = select(record).order_by(record.c.created_utc.desc(), record.c.seq.desc()).limit(limit)
    if site_id:
        query = query.where(record.c.site_id == site_id)
    if kind:
        query = query.where(record.c.kind == kind)
    return [dict(row._mapping) for row in connection.execute(query)]


def refused(connection: Connection, *, site_id: str = "", limit: int) -> list[dict[str, object]]:
    """Refused records as dictionaries, newest first."""
    query = select(refused_record).order_by(refused_record.c.last_utc.desc()).limit(limit)
    if site_id:
        query = query.where(refused_record.c.site_id == site_id)
    return [dict(row._mapping) for row in connection.execute(query)]
