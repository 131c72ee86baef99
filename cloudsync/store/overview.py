"""Statements on all sites at once: a statement for each figure, not one for each site. Sites without any are left out."""

from sqlalchemy import Connection, func, select

from cloudsync.store import boxes
from cloudsync.store.boxes import Box
from cloudsync.store.records import LEDGER, Ledger, waits
from cloudsync.store.tables import config_version, recording, refused_record, sequence
from cloudsync.wire import RecordingState


def newest_versions(connection: Connection) -> dict[str, tuple[int, str]]:
    """The number of each site's newest version, and when it was published."""
    newest = (
        select(config_version.c.site_id, func.max(config_version.c.version).label("version"))
        .group_by(config_version.c.site_id)
        .subquery()
    )
    query = select(config_version.c.site_id, config_version.c.version, config_version.c.published_utc).join(
        newest,
        (newest.c.site_id == config_version.c.site_id) & (newest.c.version == config_version.c.version),
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def ledgers(connection: Connection) -> dict[str, Ledger]:
    """How complete each site's sequence is."""
    query = select(sequence.c.site_id, *LEDGER)
    return {site_id: Ledger(*rest) for site_id, *rest in connection.execute(query)}


def recordings(connection: Connection) -> dict[str, tuple[int, int]]:
    """Stored recordings of each site: number and bytes."""
    query = (
        select(recording.c.site_id, func.count(), func.coalesce(func.sum(recording.c.bytes), 0))
        .where(recording.c.state == RecordingState.STORED)
        .group_by(recording.c.site_id)
    )
    return {row[0]: (row[1], int(row[2])) for row in connection.execute(query)}


def refused_counts(connection: Connection) -> dict[str, int]:
    """How many different records of each site were refused, have not come since and were not given up."""
    query = select(refused_record.c.site_id, func.count()).where(waits())
    query = query.group_by(refused_record.c.site_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def boxes_by_site(connection: Connection) -> dict[str, list[Box]]:
    """Every box, those of a site by id."""
    found: dict[str, list[Box]] = {}
    for box in boxes.every(connection):
        found.setdefault(box.site_id, []).append(box)
    return found
