"""The audit trail: who did what to whom, in the transaction that did it. Rows are only ever added."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from cloudsync.store.tables import audit
from cloudsync.wire import Json, canonical_json


def add(connection: Connection, now_utc: str, actor: str, action: str, subject: str, **detail: Json) -> None:
    """Add one line. `actor`: "admin:<user>" or "box:<id>" or an address; `action`: dotted, stable."""
    connection.execute(
        insert(audit).values(
            at_utc=now_utc, actor=actor, action=action, subject=subject, detail=canonical_json(detail)
        )
    )


def add_all(connection: Connection, now_utc: str, lines: Sequence[tuple[str, str, str, Json]]) -> None:
    """Add several: actor, action, subject and detail of each."""
    connection.execute(
        insert(audit),
        [
            {
                "at_utc": now_utc,
                "actor": actor,
                "action": action,
                "subject": subject,
                "detail": canonical_json(detail),
            }
            for actor, action, subject, detail in lines
        ],
    )


def newest(connection: Connection, limit: int) -> list[dict[str, object]]:
    """The last lines, newest first."""
    rows = connection.execute(select(audit).order_by(audit.c.serial.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]
