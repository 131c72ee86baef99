"""Looks up the records that somebody asked for at the terminal, with their corrections and the sites' time zones.

Adapter over the store: `record_rows` says which rows are wanted.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from appliance.errors import KyusaiError
from cloudsync import record_rows
from cloudsync.held import Held
from cloudsync.record_rows import Shown, Wanted
from cloudsync.service import recording_holes
from cloudsync.service.centre import Centre
from cloudsync.service.recording_holes import with_held
from cloudsync.service.sites import require_site
from cloudsync.store import configs, sites
from cloudsync.store import records as store
from cloudsync.wire import RecordKind

SEARCHED_MAX = 20_000
"""Newest records that a search looks through: some 40 MB, a second or two."""
CALLS_AND_EVENTS = (str(RecordKind.CDR), str(RecordKind.EVENT))


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed; "" for what was not. zone: an IANA name. limit: rows at most. figures: whether the minute's figures
    are among them though no kind was asked for: there are so many that nobody would see a call."""

    site: str = ""
    kind: str = ""
    since: str = ""
    call: str = ""
    number: str = ""
    zone: str = ""
    limit: int = 50
    figures: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """What to look through, none for all."""
        if self.kind:
            return (self.kind,)
        return () if self.figures and not (self.call or self.number) else CALLS_AND_EVENTS


@dataclass(frozen=True, slots=True)
class Found:
    """rows: newest first, as the store has them, bodies decoded. shown: the same for people. bounded: there were more than
    `searched` records to look through."""

    rows: list[dict[str, Any]]
    shown: list[Shown]
    zone_of: Mapping[str, tzinfo | None]
    searched: int
    bounded: bool

    def zones(self, site: str) -> tzinfo | None:
        """Time zone of a site, None for this machine's."""
        return self.zone_of.get(site)


def find(centre: Centre, asked: Asked, now: datetime) -> Found:
    """The newest records that were asked for. Raises KyusaiError for a site, kind, time or zone that there is not. Blocks."""
    if asked.kind and asked.kind not in list(RecordKind):
        raise KyusaiError(
            "centre.bad_kind",
            f"{asked.kind!r} is no kind of record",
            "Give cdr, event or stat.",
            value=asked.kind,
        )
    given = _zone(asked.zone) if asked.zone else None
    with centre.database.read() as connection:
        _require(connection, asked.site)
        begin = given or (_site_zone(connection, asked.site) if asked.site else None)
        wanted = Wanted(record_rows.since_utc(asked.since, now, begin), asked.call, asked.number)
        everything = wanted == Wanted()
        most = asked.limit if everything else SEARCHED_MAX
        kept = _read(connection, asked.site, asked.kinds, most)
        rows = [row for row in kept if wanted.takes(row)][: asked.limit]
        oldest = min((record_rows.made_utc(row) for row in rows), default="")
        rows = with_held(connection, rows)
        events = _read(connection, asked.site, (RecordKind.EVENT,), SEARCHED_MAX) if rows else []
        corrected = record_rows.corrections(row for row in events if record_rows.made_utc(row) >= oldest)
        zones = _zones(connection, rows, given)
    reached = record_rows.made_utc(kept[-1]) >= wanted.since_utc if kept else False
    bounded = not everything and len(kept) == SEARCHED_MAX and len(rows) < asked.limit and reached
    return Found(rows, record_rows.shown(rows, corrected), zones, most, bounded)


def without_recordings(centre: Centre, asked: Asked, states: Collection[Held], now: datetime) -> Found:
    """The newest records that name a recording in one of these states; of what was asked, site, since, zone and limit count.

    Raises as `find`, and NotFound `site.unknown`. Blocks for as long as it takes to read the calls of that time."""
    given = _zone(asked.zone) if asked.zone else None
    rows = recording_holes.calls_without(centre, asked.site, asked.since, states, asked.limit, now)
    with centre.database.read() as connection:
        zones = _zones(connection, rows, given)
    return Found(rows, record_rows.shown(rows, {}), zones, asked.limit, bounded=False)


def _zones(
    connection: Connection, rows: Iterable[Mapping[str, Any]], given: tzinfo | None
) -> dict[str, tzinfo | None]:
    return {site: given or _site_zone(connection, site) for site in {str(row["site_id"]) for row in rows}}


def refused(centre: Centre, site: str, limit: int) -> list[dict[str, object]]:
    """The newest refused records. Raises NotFound `site.unknown`. Blocks."""
    with centre.database.read() as connection:
        _require(connection, site)
        return store.refused(connection, site_id=site, limit=limit)


def _require(connection: Connection, site: str) -> None:
    """A site that was mistyped is said, not shown as one that is silent."""
    if site:
        require_site(sites.find(connection, site), site)


def _read(connection: Connection, site: str, kinds: tuple[str, ...], limit: int) -> list[dict[str, Any]]:
    rows = store.newest(connection, site_id=site, kinds=kinds, limit=limit)
    return [{**row, "body": json.loads(str(row["body"]))} for row in rows]


@cache
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise KyusaiError(
            "centre.bad_zone",
            f"{name!r} is no time zone that this machine knows",
            "Give a name such as Asia/Tokyo or UTC.",
            value=name,
        ) from None


def _site_zone(connection: Connection, site: str) -> tzinfo | None:
    """The zone of the site's newest document; None when it has none, or one that this machine does not know."""
    envelope = configs.newest(connection, site)
    try:
        return _zone(json.loads(envelope.document)["site"]["time_zone"]) if envelope else None
    except (KyusaiError, ValueError, KeyError, TypeError):
        return None
