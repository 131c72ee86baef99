"""Listening to recordings: for an administrator into a file, for an authorised listener as a stream that can be sought in.

The listener brings two things: a token, which says what he may hear until when and stands in the audit trail, and the tenant's
private key, which the centre uses for the one request and does not keep. A token alone opens nothing, nor does the disk.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from appliance.errors import KyusaiError
from cloudsync import sealing
from cloudsync.age_stream import NotOpenedError, SealedFile, open_sealed
from cloudsync.refusals import Refused
from cloudsync.service import retention
from cloudsync.service.centre import Centre
from cloudsync.service.recording_names import one_named
from cloudsync.service.sites import require_site
from cloudsync.signing import signature_fits
from cloudsync.store import audit, recordings, sites
from cloudsync.wire import RecordingState, canonical_json, format_utc

TOKEN_MINUTES = 15
"""How long a listener's token holds unless somebody says otherwise."""
TOKEN_MINUTES_MAX = 24 * 60
_PURPOSE = b"kyusai-listen-v1\0"


@dataclass(frozen=True, slots=True)
class Listener:
    """Who may hear which recording until when. cipher_sha256: the very file."""

    name: str
    site_id: str
    recording_id: str
    cipher_sha256: str
    expires_utc: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What was written: `sha256_fits` says whether it is the audio that the box recorded."""

    recording: recordings.Recording
    path: Path
    sha256: str

    @property
    def sha256_fits(self) -> bool:
        """Whether the plain audio has the hash from the box; of one that was found (`strays`) nobody knows it any more."""
        return self.recording.sha256 in ("", self.sha256)


def fetch(
    centre: Centre, recording_id: str, site_id: str, target: Path, actor: str, keys: Sequence[str] = ()
) -> Opened:
    """Decrypt a stored recording into the file `target` (0600). Blocks. The access is in the audit trail first.

    keys: identities that open it; without any, those kept at the centre. Raises NotFound `recording.unknown`, KyusaiError
    `recording.ambiguous`, `recording.incomplete`, `recording.sealed`.
    """
    known = _stored(centre, recording_id, site_id, actor, "recording.fetch")
    held = keys or _kept(centre, known)
    with centre.blobs.open_whole(known.site_id, known.id, known.cipher_sha256) as cipher:
        digest = sealing.open_recording(cipher, known.id, target, held)
    return Opened(known, target, digest)


def stream(
    centre: Centre, recording_id: str, site_id: str, actor: str, keys: Sequence[str] = ()
) -> SealedFile:
    """A stored recording opened for an administrator, to be read from any byte on. As `fetch` otherwise."""
    known = _stored(centre, recording_id, site_id, actor, "recording.listen")
    return _opened(centre, known, keys or _kept(centre, known))


def allow(
    centre: Centre, recording_id: str, site_id: str, name: str, minutes: int, actor: str
) -> tuple[str, str]:
    """A token with which `name` may hear one recording, and until when. It is in the audit trail.

    Raises as `fetch`, and KyusaiError `listener.bad_minutes`.
    """
    if not 1 <= minutes <= TOKEN_MINUTES_MAX:
        raise KyusaiError(
            "listener.bad_minutes",
            f"{minutes} minutes: from 1 to {TOKEN_MINUTES_MAX} are allowed",
            "Make another token when this one has ended.",
            value=minutes,
            most=TOKEN_MINUTES_MAX,
        )
    expires_utc = format_utc(centre.clock() + timedelta(minutes=minutes))
    known = _stored(
        centre, recording_id, site_id, actor, "recording.allow", listener=name, expires_utc=expires_utc
    )
    said = canonical_json(
        asdict(Listener(name, known.site_id, known.id, known.cipher_sha256, expires_utc))
    ).encode()
    token = base64.urlsafe_b64encode(said).decode()
    return f"{token}.{centre.keys.sign(_PURPOSE + said)}", expires_utc


def listener(centre: Centre, token: str) -> Listener:
    """Who shows this token. Raises Refused `listener.refused` (401)."""
    said, _, signature = token.partition(".")
    try:
        raw = base64.b64decode(said, altchars=b"-_", validate=True)
        signed = any(
            signature_fits(key.public_key, signature, _PURPOSE + raw) for key in centre.keys.public()
        )
        found = Listener(**json.loads(raw)) if signed else None
    except (binascii.Error, ValueError, TypeError):
        found = None
    if found is None or found.expires_utc <= centre.now_utc():
        raise Refused(
            401,
            "listener.refused",
            "the listener's token is none, or has ended",
            "Ask an administrator for one: kyusai recordings token ID --name NAME",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return found


def hear(
    centre: Centre, who: Listener, key: str, source: str, *, note: bool
) -> tuple[recordings.Recording, SealedFile]:
    """The recording that a listener may hear, opened with the key that he brings. Blocks.

    note: whether it goes into the audit trail (each request of one listening would drown it). Raises Refused
    `recording.unknown` (404), `recording.sealed` (403).
    """
    with centre.database.write() if note else centre.database.read() as connection:
        known = recordings.find(connection, who.site_id, who.recording_id)
        if known is None or known.state != RecordingState.STORED or known.cipher_sha256 != who.cipher_sha256:
            raise Refused(404, "recording.unknown", "the recording is not here any more")
        if note:
            detail = {"site": known.site_id, "from": source}
            audit.add(
                connection, centre.now_utc(), f"listener:{who.name}", "recording.listen", known.id, **detail
            )
    try:
        return known, _opened(centre, known, [key])
    except (KyusaiError, ValueError) as error:
        raise Refused(
            403, "recording.sealed", "the recording does not open with this key", id=known.id
        ) from error


def _stored(
    centre: Centre, recording_id: str, site_id: str, actor: str, action: str, **detail: str
) -> recordings.Recording:
    """The stored recording of that id, its use written down."""
    with centre.database.write() as connection:
        known = one_named(connection, recording_id, site_id)
        if known.state == recordings.DELETED:
            raise retention.gone(known)
        if known.state != RecordingState.STORED:
            raise KyusaiError(
                "recording.incomplete",
                f"recording {recording_id!r} has {known.offset_bytes} of {known.bytes} bytes",
                "Wait until the box has sent the rest.",
                id=recording_id,
                have=known.offset_bytes,
                all=known.bytes,
            )
        audit.add(connection, centre.now_utc(), actor, action, known.id, site=known.site_id, **detail)
    return known


def _kept(centre: Centre, known: recordings.Recording) -> list[str]:
    with centre.database.read() as connection:
        site = require_site(sites.find(connection, known.site_id), known.site_id)
    return sealing.kept_identities(centre.layout.tenant_keys_dir(site.tenant_id))


def _opened(centre: Centre, known: recordings.Recording, keys: Sequence[str]) -> SealedFile:
    read = partial(centre.blobs.read_range, known.site_id, known.id, known.cipher_sha256)
    try:
        return open_sealed(read, known.bytes, keys)
    except NotOpenedError as error:
        raise KyusaiError(
            "recording.sealed",
            f"{known.id} does not open with the {len(keys)} keys at hand: {error}",
            "Name the tenant's key file with --key.",
            name=known.id,
            keys=len(keys),
        ) from error
