"""Records: a batch is judged item by item, and answered after the commit."""

from collections import Counter
from collections.abc import Iterator

from cloudsync import merge
from cloudsync.refusals import Refused
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import audit, records
from cloudsync.wire import Batch, ErrorKey, ItemStatus, Record, RecordResult

RACES_MAX = 5
"""Tries when another writer stored some of the same records in between (PostgreSQL only: SQLite has one writer)."""


def take(centre: Centre, who: BoxIdentity, batch: Batch) -> tuple[RecordResult, ...]:
    """Store what is new; results in the order of the batch, on disk when this returns.

    Raises Refused `site.other` when the batch speaks for another site or box than its credential.
    """
    require_own(who, batch.site_id, batch.box_id)
    items = merge.parse_records(batch.records)
    for _ in range(RACES_MAX):
        results = _try(centre, who, items, batch)
        if results is not None:
            return results
    raise Refused(
        503, ErrorKey.UNAVAILABLE, "another writer stores the same records", headers={"Retry-After": "2"}
    )


def _try(
    centre: Centre, who: BoxIdentity, items: list[Record | RecordResult], batch: Batch
) -> tuple[RecordResult, ...] | None:
    """One transaction; None when a row came in between, so that everything has to be judged again."""
    now_utc = centre.now_utc()
    sound = [item for item in items if isinstance(item, Record)]
    with centre.database.write() as connection:
        merged = merge.merge(items, records.held(connection, who.site_id, sound))
        added = records.add(connection, who.site_id, who.box_id, merged.to_store, now_utc)
        if added != len(merged.to_store):
            connection.rollback()
            return None
        refused = list(_refused(items, merged.results))
        records.note_refused(connection, who.site_id, who.box_id, refused, now_utc)
        if refused:
            reasons = dict(Counter(str(reason) for _, _, reason in refused))
            audit.add(
                connection, now_utc, f"box:{who.box_id}", "records.refused", who.site_id, reasons=reasons
            )
    return merged.results


def _refused(
    items: list[Record | RecordResult], results: tuple[RecordResult, ...]
) -> Iterator[tuple[str, str, str]]:
    """(id, hash, reason) of each refused item; one that could not be read has no hash."""
    for item, result in zip(items, results, strict=True):
        if result.status == ItemStatus.REFUSED:
            yield result.id, item.hash if isinstance(item, Record) else "", result.reason


def require_own(who: BoxIdentity, site_id: str, box_id: str) -> None:
    """Raise Refused `site.other` unless both are the credential's own."""
    if (site_id, box_id) != (who.site_id, who.box_id):
        raise Refused(
            403,
            ErrorKey.OTHER_SITE,
            f"this credential belongs to box {who.box_id!r} of site {who.site_id!r}",
            "A box speaks for itself only.",
            box=who.box_id,
            site=who.site_id,
        )
