"""For people: whether the recordings that calls' records name are held, and the calls of which one is not.

After a restore from an old backup the boxes bring calls' records again, but no audio that they have deleted for the lost centre's
receipt: then this is the list of what is gone.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from cloudsync import held, record_rows
from cloudsync.held import Held, Named
from cloudsync.refusals import NotFound
from cloudsync.service import voicemails
from cloudsync.service.centre import Centre
from cloudsync.store import boxes, naming, sites
from cloudsync.wire import RecordKind, format_utc

SINCE = timedelta(days=31)
"""How far back calls are looked at unless somebody says otherwise: a month of a large site is read in some seconds."""
PAGE = 1000
"""Records of one look, and of one transaction: a reader that stays for long keeps SQLite's log from shrinking."""
CORRECTED_MAX = 20_000
GIVEN_UP = "recording_given_up"
_GIVEN_UP_MARK = f'"event":"{GIVEN_UP}"'
NAMING = ((str(RecordKind.CDR), '"recordings":["'), (str(RecordKind.EVENT), voicemails.MARK))
"""Kinds of records that name recordings, and how that shows in their canonical JSON."""

Rows = list[dict[str, Any]]


def with_held(connection: Connection, rows: Iterable[dict[str, Any]]) -> Rows:
    """The rows, each that names recordings with what is known of them as `recordings_held`."""
    kept = list(rows)
    of_site = [row for row in kept if held.names_of(row)]
    of_site.sort(key=_site)
    for site_id, group in groupby(of_site, key=_site):
        mine = list(group)
        look = _Look(connection, site_id)
        look.ask(mine)
        empty = [row for row in mine if any(name not in look.here for name in held.names_of(row))]
        if empty:
            look.given_up = _given_up(connection, site_id, min(str(row["created_utc"]) for row in empty))
        for row in mine:
            row["recordings_held"] = held.as_json(look.named(row))
    return kept


def calls_without(
    centre: Centre, site_id: str, since: str, states: Collection[Held], limit: int, now: datetime
) -> Rows:
    """Records that name a recording in one of these states, newest first, at most `limit`; with `recordings_held`.

    since: as somebody types it, "" for SINCE. Raises NotFound `site.unknown`, KyusaiError for a time that is none. Blocks for as
    long as it takes to read the calls of that time.
    """
    since_utc = record_rows.since_utc(since, now, None) or format_utc(now - SINCE)
    with centre.database.read() as connection:
        known = [one.id for one in sites.every(connection) if site_id in ("", one.id)]
    if site_id and not known:
        raise NotFound(
            "site.unknown", f"no site {site_id!r} here", "`kyusai sites` lists the sites.", site=site_id
        )
    found: Rows = []
    for one in known:
        with centre.database.read() as connection:
            given_up = _given_up(connection, one, since_utc)
        for kind, mark in NAMING:
            found += _without(centre, one, (kind, mark), since_utc, given_up, states, limit)
    found.sort(key=lambda row: (record_rows.made_utc(row), row["seq"]), reverse=True)
    return found[:limit]


def _without(
    centre: Centre,
    site_id: str,
    named: tuple[str, str],
    since_utc: str,
    given_up: dict[str, list[str]],
    states: Collection[Held],
    limit: int,
) -> Rows:
    first: Rows = []
    found: Rows = []
    for number, rows in enumerate(pages(centre, site_id, named, since_utc)):
        with centre.database.read() as connection:
            found += _in(connection, site_id, rows, given_up, states)
        if number == 0:
            first, found = found[:limit], []
        if len(found) >= limit:
            break
    return first + found[:limit]


def pages(centre: Centre, site_id: str, named: tuple[str, str], since_utc: str) -> Iterator[Rows]:
    """Records that name recordings, see NAMING: first those whose times were corrected, then the others page by page, newest
    first. A transaction each."""
    with centre.database.read() as connection:
        rows = naming.corrected(connection, site_id, *named, since_utc, CORRECTED_MAX)
    yield rows
    before: tuple[str, int] | None = None
    while True:
        with centre.database.read() as connection:
            rows = naming.page(connection, site_id, *named, since_utc, before, PAGE)
        yield rows
        if len(rows) < PAGE:
            return
        before = (str(rows[-1]["created_utc"]), int(rows[-1]["seq"]))


def _in(
    connection: Connection,
    site_id: str,
    rows: Rows,
    given_up: dict[str, list[str]],
    states: Collection[Held],
) -> Iterator[dict[str, Any]]:
    look = _Look(connection, site_id)
    look.given_up = given_up
    look.ask(rows)
    for row in rows:
        found = look.named(row)
        if any(one in states for each in found for one in each.held):
            yield {**row, "recordings_held": held.as_json(found)}


def _given_up(connection: Connection, site_id: str, since_utc: str) -> dict[str, list[str]]:
    """Name -> ids of recordings that boxes of the site have said they gave up, since then. By ids and by how those begin."""
    found: dict[str, list[str]] = {}
    for text in naming.bodies(connection, site_id, str(RecordKind.EVENT), _GIVEN_UP_MARK, since_utc):
        body = json.loads(text)
        if body.get("event") == GIVEN_UP and isinstance(recording_id := body.get("recording"), str):
            for name in {recording_id, recording_id.rpartition("-")[0]}:
                ids = found.setdefault(name, [])
                if recording_id not in ids:
                    ids.append(recording_id)
    return found


class _Look:
    """What is known of the recordings that some records of a site name."""

    def __init__(self, connection: Connection, site_id: str) -> None:
        self._connection = connection
        self._site_id = site_id
        self._boxes = {one.id: (one, _telemetry(one)) for one in boxes.every(connection, site_id)}
        self.here: dict[str, list[held.Known]] = {}
        self.given_up: dict[str, list[str]] = {}

    def ask(self, rows: Iterable[dict[str, Any]]) -> None:
        """Look the names of these records up."""
        names = {name for row in rows for name in held.names_of(row)}
        self.here = naming.held(self._connection, self._site_id, names)

    def named(self, row: dict[str, Any]) -> list[Named]:
        """What is known of the names of one of them."""
        expected = self._expected(row)
        return [
            held.named(name, self.here.get(name, ()), self.given_up.get(name, ()), expected=expected)
            for name in held.names_of(row)
        ]

    def _expected(self, row: dict[str, Any]) -> bool:
        if str(row["box_id"]) not in self._boxes:
            return False
        box, telemetry = self._boxes[str(row["box_id"])]
        revoked = box.revoked_utc is not None
        return held.may_come(str(row["received_utc"]), box.last_seen_utc, telemetry, revoked=revoked)


def _telemetry(box: boxes.Box) -> dict[str, Any]:
    told = json.loads(box.telemetry or "{}")
    return told if isinstance(told, dict) else {}


def _site(row: dict[str, Any]) -> str:
    return str(row["site_id"])
