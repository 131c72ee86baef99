"""Records: a batch is judged item by item, and answered after the commit."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from cloudsync import ingest, merge
from cloudsync.merge import Held, Merged, Sound
from cloudsync.refusals import Refused
from cloudsync.service import noticed
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.store import audit, months, records
from cloudsync.wire import Batch, ErrorKey, ItemStatus, RecordResult

RACES_MAX = 3
"""Tries with every id looked up. One is enough while all writers lock the site's ledger first."""

Items = Sequence[Sound | RecordResult]
Look = Callable[[Connection, str, Sequence[Sound]], list[Held] | None]


def take_body(centre: Centre, who: BoxIdentity, body: bytes, *, coding: str) -> Merged[Sound]:
    """Store what is new of a batch as it came; it is on disk when this returns.

    coding: its Content-Encoding, see `cloudsync.coding`. Raises wire.WireError when the body is no batch, Refused
    `site.other` when it speaks for another site or box than its credential.
    """
    site_id, box_id, items = ingest.read_batch(body, coding=coding)
    require_own(who, site_id, box_id)
    return _store(centre, who, items)


def take(centre: Centre, who: BoxIdentity, batch: Batch) -> tuple[RecordResult, ...]:
    """The same for a batch that is decoded already; the words on its records, in order."""
    require_own(who, batch.site_id, batch.box_id)
    return _store(centre, who, merge.parse_records(batch.records)).results


def _store(centre: Centre, who: BoxIdentity, items: Items) -> Merged[Sound]:
    now_utc = centre.now_utc()
    months.ensure(centre.database, now_utc[:7])
    for look in (records.near, *[records.held] * RACES_MAX):
        merged = _try(centre, who, items, look, now_utc)
        if merged is not None:
            return merged
    raise Refused(
        503, ErrorKey.UNAVAILABLE, "another writer stores the same records", headers={"Retry-After": "2"}
    )


def _try(centre: Centre, who: BoxIdentity, items: Items, look: Look, now_utc: str) -> Merged[Sound] | None:
    """One transaction on what `look` shows of the ledger; None when that was not enough to judge by.

    A look at the numbers is enough for a batch that is new or a plain repetition: nearly all are. An id that is
    held under a number elsewhere makes the insertion fail, and then every id is looked up.
    """
    with centre.database.write() as connection:
        merged = _counted(connection, who.site_id, items, look)
        if merged is None or not records.add(connection, who.site_id, who.box_id, merged.to_store, now_utc):
            connection.rollback()
            return None
        noticed.notice(connection, centre, who, merged.to_store, now_utc)
        if not merged.all_new:
            _note_refused(connection, who, items, merged.results, now_utc)
    return merged


def _counted(connection: Connection, site_id: str, items: Items, look: Look) -> Merged[Sound] | None:
    """The words on the items, and the ledger moved on by what is to be stored. None: see `_try`.

    A batch that begins where the ledger ends needs no look at all: nothing is known above its end.
    """
    if look is records.near:
        links = merge.in_a_row(items)
        if links and records.go_on(connection, site_id, links):
            return Merged((), links, all_new=True)
    before = records.locked_ledger(connection, site_id)
    known = look(connection, site_id, [item for item in items if isinstance(item, Sound)])
    merged = None if known is None else merge.merge(items, known)
    if merged is None or (look is records.near and merged.refused):
        return None
    places = {item.seq for item in known or () if merge.is_given_up(item)}
    back = [item.seq for item in merged.to_store if item.seq in places]
    records.take_back(connection, site_id, back)
    records.advance(connection, site_id, before, merged.to_store, len(back))
    return merged


def _note_refused(
    connection: Connection, who: BoxIdentity, items: Items, results: tuple[RecordResult, ...], now_utc: str
) -> None:
    refused = list(_refused(items, results))
    if refused:
        records.note_refused(connection, who.site_id, who.box_id, refused, now_utc)
        reasons = dict(Counter(str(reason) for _, _, reason in refused))
        audit.add(connection, now_utc, f"box:{who.box_id}", "records.refused", who.site_id, reasons=reasons)


def _refused(items: Items, results: tuple[RecordResult, ...]) -> Iterator[tuple[str, str, str]]:
    """(id, hash, reason) of each refused item; one that could not be read has no hash."""
    for item, result in zip(items, results, strict=True):
        if result.status == ItemStatus.REFUSED:
            yield result.id, item.hash if isinstance(item, Sound) else "", result.reason


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
