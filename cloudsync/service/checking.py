"""Whether stored recordings are what they were: each is read and hashed anew, and what is not is written down.

Disks forget, and people delete objects by hand. A receipt was given, so the box has none any more: the earlier somebody
hears of it, the more backups still hold it.
"""

import hashlib
from collections.abc import Iterable
from itertools import groupby

from cloudsync.service.centre import Centre
from cloudsync.store import audit, jobs, recordings
from cloudsync.store.jobs import Job
from cloudsync.store.recordings import Recording
from cloudsync.wire import RecordingState

KIND = "recording.check"
READ_BYTES = 1024 * 1024


def ask(centre: Centre, site_id: str = "") -> int:
    """Let every stored recording wait for a check; gives how many did not wait already."""
    now_s = centre.clock().timestamp()
    with centre.database.write() as connection:
        found = [one for one in recordings.stored_ones(connection) if site_id in ("", one.site_id)]
        return sum(
            jobs.add(connection, KIND, site, [one.id for one in group], now_s)
            for site, group in groupby(found, key=lambda one: one.site_id)
        )


def check(centre: Centre, job: Job) -> None:
    """Read one and compare. One that is wrong is in the audit trail as `recording.wrong`."""
    with centre.database.read() as connection:
        known = recordings.find(connection, job.site_id, job.subject)
    if known is None or known.state != RecordingState.STORED:
        return
    reason = _wrong(centre, known)
    if reason:
        now_utc = centre.now_utc()
        with centre.database.write() as connection:
            now = recordings.find(connection, known.site_id, known.id)
            if now is None or now.state != RecordingState.STORED:
                return  # its class ran out meanwhile
            audit.add(
                connection, now_utc, "centre", "recording.wrong", known.id, site=known.site_id, reason=reason
            )


def wrong_ones(rows: Iterable[dict[str, object]]) -> list[str]:
    """Of lines of the audit trail, the recordings that were found wrong."""
    return [str(row["subject"]) for row in rows if row["action"] == "recording.wrong"]


def _wrong(centre: Centre, known: Recording) -> str:
    """Why it is not what it was; empty when it is. Raises OSError when the place cannot be read now."""
    try:
        with centre.blobs.open_whole(known.site_id, known.id, known.cipher_sha256) as file:
            digest = hashlib.sha256()
            while piece := file.read(READ_BYTES):
                digest.update(piece)
    except FileNotFoundError:
        return "missing"
    return "" if digest.hexdigest() == known.cipher_sha256 else "altered"
