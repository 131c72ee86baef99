"""Recordings whose retention class has run out are deleted, never before, and never while somebody holds them.

The class comes with the record of the call, before the recording or after it. Whether something has run out is looked at for each
site with classes. Deletion has two steps: in one transaction the row says `deleted`, the audit trail why, and the removal of
the file waits as work; that work removes the file and may be done twice. So no row says `stored` without a file, and no file is
forgotten, wherever a process dies.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from appliance.errors import KyusaiError
from cloudsync import retention as rules
from cloudsync.merge import Sound
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.recording_names import one_named
from cloudsync.store import audit, configs, jobs, recordings
from cloudsync.store import retention as store
from cloudsync.store.jobs import Job
from cloudsync.store.recordings import DELETED, Recording
from cloudsync.wire import format_utc, is_recording_id

KIND = "recording.retention"
"""Work: look for what has run out at a site."""
REMOVE = "recording.remove"
"""Work: remove the audio of a recording whose row says `deleted`."""
SITE = "site"
"""The subject of the look: one for each site."""
LOOK_S = 3600.0
"""Classes count in days."""
LEAP_S = 86_400.0
"""A look that is so late comes after a leap of the clock, or after the centre was off for so long: nobody can tell."""
WAIT_S = 12 * 3600.0
"""Then nothing is deleted before the clock has gone on for so long: a wrong one is set within minutes, deletion is for good."""
WAITS = "retention.wait"
LATELY_ROWS = 100
AT_ONCE = 200
"""Deleted in one transaction; more wait for the next look, which follows at once."""
CLASS_BYTES_MAX = 32
NAMES_MAX = 200
_NAMED, _CLASS, _NONE = '"recordings":["', '"retention":"', '"retention":""'
"""As they stand in the canonical JSON of a call's record."""


def told_in(body: str) -> bool:
    """Whether the record of a call gives a class to recordings."""
    return _NAMED in body and _CLASS in body and _NONE not in body


def notice(connection: Connection, centre: Centre, who: BoxIdentity, item: Sound) -> None:
    """Keep the class that a call's record tells, and let the site be looked at. In the transaction that stores the record."""
    body = json.loads(item.body)
    retention, names = body.get("retention"), body.get("recordings")
    if not isinstance(retention, str) or not 0 < len(retention.encode()) <= CLASS_BYTES_MAX:
        return
    if not isinstance(names, list):
        return
    for name in names[:NAMES_MAX]:
        if isinstance(name, str) and is_recording_id(name):
            store.tell(connection, who.site_id, name, retention)
    let_look(connection, centre, who.site_id)


def let_look(connection: Connection, centre: Centre, site_id: str) -> None:
    """Let a site be looked at from now on, unless it is already."""
    jobs.add(connection, KIND, site_id, [SITE], centre.clock().timestamp())


def look(centre: Centre, job: Job) -> None:
    """Delete what has run out at a site, then wait for the next look. Blocks."""
    now = centre.clock()
    if now.timestamp() - job.due_s > LEAP_S:
        _wait(centre, job)
        return
    with centre.database.write() as connection:
        gone = 0
        for retention, days in _days(connection, job.site_id).items():
            until_utc = rules.stored_until_utc(now, days)
            if until_utc is None:
                continue
            for known in store.run_out(
                connection, job.site_id, retention, until_utc, format_utc(now), AT_ONCE - gone
            ):
                gone += _delete(connection, centre, known, days)
        pause_s = 0.0 if gone >= AT_ONCE else LOOK_S
        jobs.renew(connection, KIND, job.site_id, SITE, now.timestamp(), pause_s)


def _wait(centre: Centre, job: Job) -> None:
    """Look again when the clock has shown that it is right. Set back meanwhile, it finds the look far ahead: due at once."""
    now = centre.clock()
    late_h = round((now.timestamp() - job.due_s) / 3600)
    with centre.database.write() as connection:
        if not _told_lately(connection, job.site_id, now):
            detail = {"late_h": late_h, "wait_h": WAIT_S / 3600}
            audit.add(connection, format_utc(now), "centre", WAITS, job.site_id, **detail)
        jobs.renew(connection, KIND, job.site_id, SITE, now.timestamp(), WAIT_S)


def _told_lately(connection: Connection, site_id: str, now: datetime) -> bool:
    """Two machines whose clocks are days apart find each other's looks late all the time."""
    since_utc = format_utc(now - timedelta(seconds=LEAP_S))
    return any(
        (row["action"], row["subject"]) == (WAITS, site_id)
        and since_utc < str(row["at_utc"]) <= format_utc(now)
        for row in audit.newest(connection, LATELY_ROWS)
    )


def _delete(connection: Connection, centre: Centre, known: Recording, days: int) -> bool:
    if not store.deleted(connection, known, centre.now_utc()):
        return False
    audit.add(
        connection,
        centre.now_utc(),
        "centre",
        "recording.delete",
        known.id,
        site=known.site_id,
        retention=known.retention,
        days=days,
        stored_utc=known.stored_utc,
        sha256=known.sha256,
    )
    jobs.add(connection, REMOVE, known.site_id, [known.id], centre.clock().timestamp())
    return True


def note_deleted(connection: Connection, known: Recording, deleted_utc: str, why: str) -> None:
    """Mark a recording of a backup as deleted whose file was gone before it could be copied."""
    if store.deleted(connection, known, deleted_utc):
        detail = {"site": known.site_id, "retention": known.retention, "why": why, "sha256": known.sha256}
        audit.add(connection, deleted_utc, "centre", "recording.delete", known.id, **detail)


def remove(centre: Centre, job: Job) -> None:
    """Remove the audio of a deleted recording; nothing where it is gone already. Blocks. Raises OSError."""
    with centre.database.read() as connection:
        known = recordings.find(connection, job.site_id, job.subject)
    if known is not None and known.state == DELETED:
        centre.blobs.remove_whole(known.site_id, known.id, known.cipher_sha256)


def hold(centre: Centre, recording_id: str, site_id: str, actor: str, *, off: bool = False) -> Recording:
    """Keep a recording whatever its class says, until `off`; it is in the audit trail. The recording as it was.

    Raises NotFound `recording.unknown`, KyusaiError `recording.ambiguous`, `recording.deleted`.
    """
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        known = one_named(connection, recording_id, site_id)
        if not store.hold(connection, known, None if off else known.held_utc or now_utc):
            raise gone(known)
        action = "recording.release" if off else "recording.hold"
        audit.add(connection, now_utc, actor, action, known.id, site=known.site_id)
    return known


def gone(known: Recording) -> KyusaiError:
    """What to say of a recording that was deleted."""
    return KyusaiError(
        "recording.deleted",
        f"recording {known.id!r} was deleted at {known.deleted_utc}: its class {known.retention!r} had run out",
        "Only a backup from before may hold it.",
        id=known.id,
        at=known.deleted_utc,
        retention=known.retention,
    )


def kept_until(connection: Connection, rows: Iterable[Recording], now_utc: str) -> dict[tuple[str, str], str]:
    """(site, id) -> when it may be deleted, of those for which that is known; what is held is left out."""
    days: dict[str, dict[str, int]] = {}
    result = {}
    for row in rows:
        if row.state == DELETED or row.held_utc or not row.retention:
            continue
        if row.site_id not in days:
            days[row.site_id] = _days(connection, row.site_id)
        until_utc = rules.kept_until_utc(
            row.retention, rules.begins_utc(row.stored_utc, row.started_utc, now_utc), days[row.site_id]
        )
        if until_utc is not None:
            result[row.site_id, row.id] = until_utc
    return result


def _days(connection: Connection, site_id: str) -> dict[str, int]:
    envelope = configs.newest(connection, site_id)
    return rules.days_of(json.loads(envelope.document)) if envelope else {}
