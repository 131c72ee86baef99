"""Statements on changes that people made at boxes."""

import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select, update

from appliance.local_change import OPEN, Change, State
from appliance.site_fields import SETTLED_CHANGES_MAX
from cloudsync.store.tables import local_change
from cloudsync.store.upsert import insert_for
from cloudsync.wire import canonical_json

_OPEN = tuple(state.value for state in OPEN)


@dataclass(frozen=True, slots=True)
class Kept:
    """A change as its box told it, and what was decided here. decision: None, merged or refused."""

    site_id: str
    box_id: str
    change: Change
    seq: int
    told_utc: str
    decision: str | None
    decided_by: str | None
    decided_utc: str | None
    decided_why: str | None
    decided_version: int | None

    @property
    def is_undecided(self) -> bool:
        """Whether somebody here has to decide."""
        return self.change.is_open and self.decision is None


def note(connection: Connection, site_id: str, box_id: str, change: Change, seq: int, now_utc: str) -> bool:
    """Keep what event number `seq` told; an older event that comes later changes nothing. False when that state was known."""
    known = connection.execute(
        select(local_change.c.state, local_change.c.seq).where(
            local_change.c.site_id == site_id, local_change.c.box_id == box_id, local_change.c.id == change.id
        )
    ).one_or_none()
    statement = insert_for(connection, local_change).values(
        site_id=site_id,
        box_id=box_id,
        id=change.id,
        path=change.path,
        value=canonical_json(change.value),
        base=canonical_json(change.base),
        made_by=change.by,
        why=change.why,
        made_utc=change.made_utc,
        version=change.version,
        made=change.made,
        state=change.state.value,
        reason=change.reason,
        seq=seq,
        told_utc=now_utc,
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["site_id", "box_id", "id"],
            set_={"state": change.state.value, "reason": change.reason, "seq": seq, "told_utc": now_utc},
            where=local_change.c.seq < seq,
        )
    )
    return known is None or (known.seq < seq and known.state != change.state)


def every(connection: Connection, site_id: str = "", *, still_open: bool) -> list[Kept]:
    """Changes by site and time. still_open: those alone that are in use or set aside at their box."""
    query = select(local_change).order_by(
        local_change.c.site_id,
        local_change.c.made_utc,
        local_change.c.box_id,
        local_change.c.made,
        local_change.c.id,
    )
    if site_id:
        query = query.where(local_change.c.site_id == site_id)
    if still_open:
        query = query.where(local_change.c.state.in_(_OPEN))
    return [_kept(row) for row in connection.execute(query)]


def undecided_counts(connection: Connection) -> dict[str, int]:
    """How many changes of each site wait for a decision; sites without any are left out."""
    query = (
        select(local_change.c.site_id, func.count())
        .where(local_change.c.state.in_(_OPEN), local_change.c.decision.is_(None))
        .group_by(local_change.c.site_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def undelivered(connection: Connection, site_id: str, decision: str) -> list[str]:
    """Ids of changes on which that was decided, and which their box has not ended yet: the last ones,
    where boxes that are gone for good will never end theirs."""
    query = (
        select(local_change.c.id)
        .where(
            local_change.c.site_id == site_id,
            local_change.c.state.in_(_OPEN),
            local_change.c.decision == decision,
        )
        .order_by(local_change.c.decided_utc.desc())
        .limit(SETTLED_CHANGES_MAX)
    )
    return sorted(set(connection.execute(query).scalars()))


def decide(connection: Connection, kept: Kept, decision: str, actor: str, why: str, now_utc: str) -> None:
    """Write a decision down."""
    values = {"decision": decision, "decided_by": actor, "decided_utc": now_utc, "decided_why": why}
    connection.execute(update(local_change).where(*_key(kept)).values(values))


def decided_in(connection: Connection, kept: Kept, version: int) -> None:
    """Note the version that tells the box."""
    connection.execute(update(local_change).where(*_key(kept)).values(decided_version=version))


def _key(kept: Kept) -> tuple[ColumnElement[bool], ...]:
    return (
        local_change.c.site_id == kept.site_id,
        local_change.c.box_id == kept.box_id,
        local_change.c.id == kept.change.id,
    )


def _kept(row: object) -> Kept:
    known = row._mapping  # type: ignore[attr-defined]
    change = Change(
        id=known["id"],
        path=known["path"],
        value=json.loads(known["value"]),
        base=json.loads(known["base"]),
        by=known["made_by"],
        why=known["why"],
        made_utc=known["made_utc"],
        version=known["version"],
        made=known["made"],
        state=State(known["state"]),
        reason=known["reason"],
    )
    names = ("seq", "told_utc", "decision", "decided_by", "decided_utc", "decided_why", "decided_version")
    return Kept(known["site_id"], known["box_id"], change, **{name: known[name] for name in names})
