"""Opening a recording for an administrator: decrypt with the tenant's key, check the audio's hash, write it down."""

from dataclasses import dataclass
from pathlib import Path

from appliance.errors import KyusaiError
from cloudsync import sealing
from cloudsync.refusals import NotFound
from cloudsync.service.centre import Centre
from cloudsync.service.sites import require_site
from cloudsync.store import audit, recordings, sites
from cloudsync.wire import RecordingState


@dataclass(frozen=True, slots=True)
class Opened:
    """What was written: `sha256_fits` says whether it is the audio that the box recorded."""

    recording: recordings.Recording
    path: Path
    sha256: str

    @property
    def sha256_fits(self) -> bool:
        """Whether the plain audio has the hash from the box."""
        return self.sha256 == self.recording.sha256


def fetch(centre: Centre, recording_id: str, site_id: str, target: Path, actor: str) -> Opened:
    """Decrypt a stored recording into the file `target` (0600). Blocks. The access is in the audit trail first.

    Raises NotFound `recording.unknown`, KyusaiError `recording.ambiguous`, `recording.incomplete`,
    `recording.sealed`.
    """
    with centre.database.write() as connection:
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
        known = found[0]
        if known.state != RecordingState.STORED:
            raise KyusaiError(
                "recording.incomplete",
                f"recording {recording_id!r} has {known.offset_bytes} of {known.bytes} bytes",
                "Wait until the box has sent the rest.",
                id=recording_id,
                have=known.offset_bytes,
                all=known.bytes,
            )
        site = require_site(sites.find(connection, known.site_id), known.site_id)
        audit.add(connection, centre.now_utc(), actor, "recording.fetch", known.id, site=known.site_id)
    keys = sealing.identities(centre.layout.tenant_keys_dir(site.tenant_id))
    with centre.blobs.open_whole(known.site_id, known.id, known.cipher_sha256) as cipher:
        digest = sealing.open_recording(cipher, known.id, target, keys)
    return Opened(known, target, digest)
