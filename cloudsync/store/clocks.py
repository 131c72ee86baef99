"""Statements on wrong clocks: by how much they were set, and when records were made for all that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from cloudsync.clocks import Step
from cloudsync.store.tables import clock_step, ledger, record, record_time, sequence
from cloudsync.store.upsert import insert_for

BATCH_ROWS = 2000
"""Rows in one transaction: boxes wait for some ten milliseconds."""
BEFORE_ROWS = 500
"""Records that a box makes in six seconds at the very most."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a record says of its time. month: of its arrival. body: JSON text."""

    seq: int
    month: str
    kind: str
    created_utc: str
    received_utc: str
    body: str = "{}"


@dataclass(frozen=True, slots=True)
class Corrected:
    """When a record was made, and how that is known (`cloudsync.clocks.Source`). times: of its call, JSON, or None."""

    told: Told
    at_utc: str
    source: str
    times: str | None = None


def add_step(connection: Connection, site_id: str, box_id: str, boot_id: str, step: Step) -> None:
    """Keep a step; the same one again changes nothing."""
    connection.execute(
        insert_for(connection, clock_step)
        .values(
            site_id=site_id,
            box_id=box_id,
            boot_id=boot_id,
            seq=step.seq,
            wall_ms=step.wall_ms,
            by_ms=step.by_ms,
            uptime_ms=step.uptime_ms,
        )
        .on_conflict_do_nothing()
    )


def steps(connection: Connection, site_id: str, box_id: str, boot_id: str) -> list[Step]:
    """The steps of one boot."""
    query = select(clock_step.c.seq, clock_step.c.wall_ms, clock_step.c.by_ms, clock_step.c.uptime_ms).where(
        clock_step.c.site_id == site_id, clock_step.c.box_id == box_id, clock_step.c.boot_id == boot_id
    )
    return [Step(*row) for row in connection.execute(query)]


def of_boot(
    connection: Connection, site_id: str, box_id: str, boot_id: str, after: int
) -> tuple[list[Told], int]:
    """The records of a boot among the next `BATCH_ROWS` numbers of its site behind `after`, and the number to go on behind; 0 if
    there were no more."""
    query = select(func.min(ledger.c.seq)).where(ledger.c.site_id == site_id, ledger.c.seq > after)
    first = connection.execute(query).scalar()
    if first is None:
        return [], 0
    last = first + BATCH_ROWS - 1
    return _told(connection, first, last, site_id, box_id, boot_id), last


def before(
    connection: Connection, site_id: str, box_id: str, boot_id: str, seq: int
) -> list[tuple[int, str]]:
    """Number and time of a boot's records among the last `BEFORE_ROWS` numbers of its site before `seq`, the latest first."""
    told = _told(connection, seq - BEFORE_ROWS, seq - 1, site_id, box_id, boot_id)
    return [(one.seq, one.created_utc) for one in reversed(told)]


def _told(
    connection: Connection, first: int, last: int, site_id: str, box_id: str, boot_id: str
) -> list[Told]:
    """Of records with these numbers those of a boot, in order. By numbers and months, which are keys: asked for so many in order,
    or for a join, PostgreSQL may read all of a site for each slice."""
    query = select(ledger.c.seq, ledger.c.month)
    query = query.where(ledger.c.site_id == site_id, ledger.c.seq.between(first, last))
    places = [(row.seq, row.month) for row in connection.execute(query)]
    found: list[Told] = []
    for month in {month for _, month in places}:
        numbers = [seq for seq, its_month in places if its_month == month]
        query = select(
            record.c.seq,
            record.c.month,
            record.c.kind,
            record.c.created_utc,
            record.c.received_utc,
            record.c.body,
        ).where(
            record.c.month == month,
            record.c.site_id == site_id,
            record.c.seq.between(min(numbers), max(numbers)),
            record.c.box_id == box_id,
            record.c.boot_id == boot_id,
        )
        found += [Told(*row) for row in connection.execute(query)]
    return sorted(found, key=lambda one: one.seq)


def put(connection: Connection, site_id: str, looked_at: Sequence[Told], found: Sequence[Corrected]) -> None:
    """Keep the times of the records that were looked at: of those not found, their own holds."""
    wrong = {one.told.seq for one in found}
    for some in _slices([one.seq for one in looked_at if one.seq not in wrong]):
        connection.execute(
            delete(record_time).where(record_time.c.site_id == site_id, record_time.c.seq.in_(some))
        )
    rows = [
        {
            "site_id": site_id,
            "seq": one.told.seq,
            "month": one.told.month,
            "kind": one.told.kind,
            "at_utc": one.at_utc,
            "source": one.source,
            "times": one.times,
        }
        for one in found
    ]
    if rows:
        statement = insert_for(connection, record_time)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["site_id", "seq"],
                set_={name: statement.excluded[name] for name in ("at_utc", "source", "times")},
            ),
            rows,
        )


def is_complete(connection: Connection, site_id: str) -> bool:
    """Whether no record of the site is still on its way behind later ones."""
    known = sequence.c.received + sequence.c.given_up
    query = select(known.label("known"), sequence.c.last_seq).where(sequence.c.site_id == site_id)
    row = connection.execute(query).one_or_none()
    return row is None or row.known >= row.last_seq


def forget_month(connection: Connection, month: str) -> None:
    """Let go of the times of records that were dropped."""
    connection.execute(delete(record_time).where(record_time.c.month == month))


def _slices(numbers: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    for begin in range(0, len(numbers), size):
        yield numbers[begin : begin + size]
