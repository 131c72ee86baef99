"""Recordings are named by their ids, which are one site's own; a person names one without its site as long as that is clear."""

from sqlalchemy import Connection

from appliance.errors import KyusaiError
from cloudsync.refusals import NotFound
from cloudsync.store import recordings
from cloudsync.store.recordings import Recording


def one_named(connection: Connection, recording_id: str, site_id: str) -> Recording:
    """The recording of that id, of `site_id` ("": of any).

    Raises NotFound `recording.unknown`, KyusaiError `recording.ambiguous`.
    """
    found = [r for r in recordings.find_any_site(connection, recording_id) if site_id in ("", r.site_id)]
    if not found:
        raise NotFound(
            "recording.unknown",
            f"no recording {recording_id!r} here",
            "`kyusai recordings` lists them.",
            id=recording_id,
        )
    if len(found) > 1:
        raise KyusaiError(
            "recording.ambiguous",
            f"recording {recording_id!r} exists at {len(found)} sites",
            "Name one with --site.",
            id=recording_id,
            count=len(found),
        )
    return found[0]
