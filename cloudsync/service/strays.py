"""Audio that lies where recordings are and that the database does not know: it was set back to a backup, the place was not.

A person has it listed, and taken in where a call's record names it: then it can be heard, is kept and deleted by its class, and
is part of backups. The box's hash of the plain audio came with an offer that is lost, so nobody can compare it any more; the
audio is sealed to the tenant, and what its file holds is hashed now. A box that still has the recording may offer it all the
same, and what it says then holds.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from cloudsync import held, record_rows
from cloudsync.refusals import NotFound
from cloudsync.service import recording_times
from cloudsync.service import retention as classes
from cloudsync.service.centre import Centre
from cloudsync.service.recording_holes import NAMING, pages
from cloudsync.store import audit, naming, recordings, retention, sites
from cloudsync.store.recordings import Recording
from cloudsync.wire import RecordingState, format_utc

SINCE = timedelta(days=366)
"""How far back calls' records are searched for the names, unless somebody says otherwise."""
READ_BYTES = 1024 * 1024
AGE_HEADER = b"age-encryption.org/v1\n"
"""How every recording begins; what begins otherwise is none."""
FORMAT = "ogg/opus"
"""What boxes make (docs/cdr.md)."""


@dataclass(frozen=True, slots=True)
class Stray:
    """Audio without a row. sha256: as far as its name tells it. row: the record that names it, None when none was found."""

    site_id: str
    id: str
    sha256: str
    bytes: int
    row: dict[str, Any] | None = None


def find(centre: Centre, site_id: str, since: str, now: datetime) -> list[Stray]:
    """All of a site, or of all sites. since: of the calls that may name them, as somebody types it. Blocks for as long as it
    takes to list the place. Raises NotFound `site.unknown`, KyusaiError for a time that is none, OSError."""
    since_utc = record_rows.since_utc(since, now, None) or format_utc(now - SINCE)
    with centre.database.read() as connection:
        known = [one.id for one in sites.every(connection) if site_id in ("", one.id)]
    if site_id and not known:
        raise NotFound(
            "site.unknown", f"no site {site_id!r} here", "`kyusai sites` lists the sites.", site=site_id
        )
    return [stray for one in known for stray in _of_site(centre, one, since_utc)]


def _of_site(centre: Centre, site_id: str, since_utc: str) -> Iterator[Stray]:
    wholes = {one.id: one for one in centre.blobs.wholes(site_id)}
    if not wholes:
        return
    with centre.database.read() as connection:
        ids = naming.unknown(connection, site_id, wholes.keys())
    rows = _naming(centre, site_id, since_utc, {name for one in ids for name in _names(one)}) if ids else {}
    for one in sorted(ids):
        row = next((rows[name] for name in _names(one) if name in rows), None)
        yield Stray(site_id, one, wholes[one].sha256, wholes[one].bytes, row)


def _names(recording_id: str) -> tuple[str, str]:
    """By which names a record may mean it: its id, or the beginning of it."""
    return recording_id, recording_id.rpartition("-")[0]


def _naming(centre: Centre, site_id: str, since_utc: str, names: set[str]) -> dict[str, dict[str, Any]]:
    """Name -> the newest record that names it."""
    found: dict[str, dict[str, Any]] = {}
    for named in NAMING:
        for rows in pages(centre, site_id, named, since_utc):
            for row in rows:
                for name in names.intersection(held.names_of(row)):
                    found.setdefault(name, row)
    return found


def adopt(centre: Centre, stray: Stray, actor: str) -> bool:
    """Make it a recording, stored from now on; False when it is none, is gone, or is known by now. Blocks: it is read."""
    if stray.row is None:
        return False
    digest = _digest(centre, stray)
    if digest is None:
        return False
    now_utc = centre.now_utc()
    body = stray.row["body"]
    with centre.database.write() as connection:
        told = retention.class_of(connection, stray.site_id, stray.id)
        fresh = Recording(
            site_id=stray.site_id,
            id=stray.id,
            box_id=str(stray.row["box_id"]),
            call=str(body.get("call_id") or ""),
            sha256="",
            cipher_sha256=digest,
            bytes=stray.bytes,
            started_utc=str(body.get("answer_utc") or body.get("start_utc") or stray.row["created_utc"]),
            duration_s=_seconds(body),
            format=FORMAT,
            state=RecordingState.STORED,
            offset_bytes=stray.bytes,
            offered_utc=now_utc,
            stored_utc=now_utc,
            retention=told,
        )
        if not _put(connection, fresh):
            return False
        recording_times.correct_one(connection, fresh)
        if told:
            classes.let_look(connection, centre, stray.site_id)
        audit.add(
            connection, now_utc, actor, "recording.adopt", stray.id, site=stray.site_id, cipher_sha256=digest
        )
    return True


def _put(connection: Connection, fresh: Recording) -> bool:
    if recordings.find(connection, fresh.site_id, fresh.id, lock=True) is not None:
        return False
    return recordings.put(connection, fresh)


def _seconds(body: dict[str, Any]) -> float:
    """About how long it is: as long as the call, or as the message."""
    talked_ms, told_s = body.get("billsec_ms"), body.get("duration_s")
    if isinstance(talked_ms, int | float):
        return round(talked_ms / 1000, 1)
    return float(told_s) if isinstance(told_s, int | float) else 0.0


def _digest(centre: Centre, stray: Stray) -> str | None:
    """The SHA-256 of the file, None when it is no recording or not what its name says."""
    digest, count, begin = hashlib.sha256(), 0, b""
    try:
        with centre.blobs.open_whole(stray.site_id, stray.id, stray.sha256) as file:
            while piece := file.read(READ_BYTES):
                begin = begin or piece[: len(AGE_HEADER)]
                count += len(piece)
                digest.update(piece)
    except FileNotFoundError:
        return None
    whole = begin == AGE_HEADER and count == stray.bytes and digest.hexdigest().startswith(stray.sha256)
    return digest.hexdigest() if whole else None


def as_json(found: list[Stray]) -> list[dict[str, Any]]:
    """For `--json`."""
    return [
        {
            "site": one.site_id,
            "id": one.id,
            "bytes": one.bytes,
            "named_by": one.row["id"] if one.row else None,
            "call_id": str(one.row["body"].get("call_id") or "") if one.row else None,
        }
        for one in found
    ]
