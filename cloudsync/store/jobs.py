"""Statements on work that waits. On PostgreSQL workers pass over what another is claiming (SKIP LOCKED)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Update,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    update,
)

from cloudsync.store.tables import job
from cloudsync.store.upsert import insert_for

ERROR_CHARACTERS = 300
FAR_S = 86_400.0
"""Nothing is put off, and nobody holds anything, for so long: what says so was written by a clock that was ahead then, and would
wait for years. The longest pause is half of it."""
S = TypeVar("S", Update, Delete)


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work, claimed by one worker until a moment. due_s: when it was due (seconds since 1970)."""

    serial: int
    kind: str
    site_id: str
    subject: str
    attempts: int
    worker: str
    due_s: float


def add(connection: Connection, kind: str, site_id: str, subjects: Iterable[str], now_s: float) -> int:
    """Let work wait; the same work waits once only. Gives how much is new."""
    rows = [
        {"kind": kind, "site_id": site_id, "subject": subject, "due_s": now_s, "attempts": 0}
        for subject in subjects
    ]
    before = connection.execute(select(func.count()).select_from(job)).scalar_one()
    if rows:
        connection.execute(insert_for(connection, job).on_conflict_do_nothing(), rows)
    return connection.execute(select(func.count()).select_from(job)).scalar_one() - before


def renew(
    connection: Connection, kind: str, site_id: str, subject: str, now_s: float, pause_s: float = 0.0
) -> None:
    """Let work wait, also where it waits or is being done: then it is done once more, from the beginning, `pause_s` later or when
    it is due anyhow, whichever is sooner."""
    soon = and_(job.c.claimed_by.is_(None), job.c.due_s < now_s + pause_s)
    again = {
        "due_s": case((soon, job.c.due_s), else_=now_s + pause_s),
        "attempts": 0,
        "claimed_by": None,
        "claimed_until_s": None,
        "error": None,
    }
    connection.execute(
        insert_for(connection, job)
        .values(kind=kind, site_id=site_id, subject=subject, due_s=now_s, attempts=0)
        .on_conflict_do_update(index_elements=["kind", "site_id", "subject"], set_=again)
    )


def put_off(connection: Connection, held: Job, due_s: float) -> None:
    """Do it once more at a later time, unless another holds it by now."""
    values = {"claimed_by": None, "claimed_until_s": None, "due_s": due_s}
    connection.execute(_mine(update(job), held).values(values))


def is_due(connection: Connection, now_s: float) -> bool:
    """Whether anything may be claimed; costs less than a claim."""
    return connection.execute(select(job.c.serial).where(*_free(now_s)).limit(1)).first() is not None


def claim(connection: Connection, worker: str, now_s: float, until_s: float) -> Job | None:
    """The longest due work that nobody holds, now held by `worker`; what a dead one held is free again in time."""
    row = connection.execute(
        select(job)
        .where(*_free(now_s))
        .order_by(job.c.due_s, job.c.serial)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    connection.execute(
        update(job)
        .where(job.c.serial == row.serial)
        .values(claimed_by=worker, claimed_until_s=until_s, attempts=row.attempts + 1)
    )
    return Job(row.serial, row.kind, row.site_id, row.subject, row.attempts + 1, worker, row.due_s)


def done(connection: Connection, finished: Job) -> None:
    """Forget the work, unless another holds it by now."""
    connection.execute(_mine(delete(job), finished))


def forget(connection: Connection, kind: str, site_id: str, subject: str) -> None:
    """Forget work that is not needed any more, whoever holds it."""
    connection.execute(
        delete(job).where(job.c.kind == kind, job.c.site_id == site_id, job.c.subject == subject)
    )


def failed(connection: Connection, tried: Job, error: str, due_s: float) -> None:
    """Let it wait for another try."""
    values = {"claimed_by": None, "claimed_until_s": None, "error": error[:ERROR_CHARACTERS], "due_s": due_s}
    connection.execute(_mine(update(job), tried).values(values))


def waiting(connection: Connection) -> dict[str, int]:
    """How much of each kind waits or is being done."""
    counted = select(job.c.kind, func.count()).group_by(job.c.kind)
    return {row[0]: int(row[1]) for row in connection.execute(counted)}


def _free(now_s: float) -> tuple[ColumnElement[bool], ...]:
    far_s = now_s + FAR_S
    until_s = job.c.claimed_until_s
    return (
        or_(job.c.due_s <= now_s, job.c.due_s > far_s),
        or_(until_s.is_(None), until_s <= now_s, until_s > far_s),
    )


def _mine(statement: S, held: Job) -> S:
    return statement.where(job.c.serial == held.serial, job.c.claimed_by == held.worker)
