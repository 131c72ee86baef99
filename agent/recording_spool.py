"""How a finished recording comes from the media process to the agent: a sidecar file beside the encrypted audio.

`<id>.json` appears by a rename, after the audio and the sidecar itself were synced: when it is there, all is there. It
stays until the centre has given its receipt, so that even a lost spool loses no recording. The agent's table of
recordings is only an index over these files. All functions block on disk.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.identity import write_private
from cloudsync.wire import RECORDING_BYTES_MAX, SHA256_PATTERN, RecordingOffer, is_recording_id

SIDECAR = ".json"
HASH_CHUNK_BYTES = 1024 * 1024
"""Read at once while hashing: flat memory for any length of call."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording on this box. path: the encrypted audio; offer: what the centre is told of it."""

    path: Path
    offer: RecordingOffer


@dataclass(frozen=True, slots=True)
class BadSidecar:
    """A sidecar that cannot be used, and why. It and its audio are left where they are."""

    path: Path
    reason: str


def add(
    recording_id: str,
    call: str,
    path: Path,
    sha256_plain: str,
    cipher_sha256: str,
    bytes: int,  # noqa: A002 - the wire's name
    started_utc: str,
    duration_s: float,
    format: str,  # noqa: A002
) -> Path:
    """Hand an encrypted recording over; for the media process, once the file at `path` is complete. Gives the sidecar.

    recording_id: the same on every try for the same capture. call: the SIP Call-ID. sha256_plain: of the plain audio;
    cipher_sha256, bytes: of the file. started_utc: RFC 3339 with Z. Again with the same id replaces the sidecar.
    Raises ValueError for values the centre would refuse, OSError (disk full): nothing is handed over then.
    """
    if not is_recording_id(recording_id):
        raise ValueError(f"{recording_id!r} cannot be the id of a recording")
    offer = RecordingOffer(
        recording_id, call, sha256_plain, cipher_sha256, bytes, started_utc, duration_s, format
    )
    _check(offer)
    with path.open("rb") as audio:
        if os.fstat(audio.fileno()).st_size != bytes:
            raise ValueError(f"{path} has {os.fstat(audio.fileno()).st_size} bytes, not {bytes}")
        os.fsync(audio.fileno())
    sidecar = path.with_name(recording_id + SIDECAR)
    told = {name: value for name, value in asdict(offer).items() if name != "retention"}
    write_private(sidecar, json.dumps({**told, "file": path.name}, ensure_ascii=False).encode())
    return sidecar


def pending(folder: Path, known: Collection[str]) -> tuple[list[Recording], list[BadSidecar]]:
    """Recordings handed over whose ids are not in `known`, oldest sidecar first, and sidecars that cannot be used.

    Looked at every two seconds, also while tens of thousands wait out an outage: what is known is passed over by its name."""
    found: list[Recording] = []
    bad: list[BadSidecar] = []
    if not folder.is_dir():
        return found, bad
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(SIDECAR)]
    fresh = [folder / name for name in names if name[0] != "." and name.removesuffix(SIDECAR) not in known]
    for sidecar in sorted(fresh, key=lambda path: path.stat().st_mtime_ns):
        read = read_sidecar(sidecar)
        if isinstance(read, Recording):
            found.append(read)
        else:
            bad.append(read)
    return found, bad


def read_sidecar(sidecar: Path) -> Recording | BadSidecar:
    """What a sidecar says now."""
    try:
        value = json.loads(sidecar.read_bytes())
        name = str(value.pop("file"))
        offer = RecordingOffer(**value)
        if offer.id != sidecar.stem or Path(name).name != name:
            raise ValueError("it names another recording or folder")
        _check(offer)
        return Recording(sidecar.with_name(name), offer)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return BadSidecar(sidecar, str(error))


def as_handed_over(recording: Recording) -> Recording:
    """The recording as its sidecar has it now: a conversion that a crash made the media process repeat replaces audio and
    sidecar. As it was given when the sidecar cannot be used."""
    read = read_sidecar(recording.path.with_name(recording.offer.id + SIDECAR))
    return read if isinstance(read, Recording) else recording


def is_handed_over(recording: Recording) -> bool:
    """Whether its sidecar is there. Without it the id may be a damaged one: audio goes before its sidecar, never behind it."""
    return recording.path.with_name(recording.offer.id + SIDECAR).exists()


def remove(recording: Recording) -> None:
    """Delete audio and sidecar, in this order: a sidecar without audio says what is missing, never the reverse."""
    recording.path.unlink(missing_ok=True)
    recording.path.with_name(recording.offer.id + SIDECAR).unlink(missing_ok=True)


def cipher_sha256(path: Path) -> str:
    """SHA-256 in hex of the file as it is on disk now. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as audio:
        while chunk := audio.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _check(offer: RecordingOffer) -> None:
    texts = (offer.call, offer.started_utc, offer.format)
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("call, started_utc and format must be text")
    if not all(re.fullmatch(SHA256_PATTERN, str(digest)) for digest in (offer.sha256, offer.cipher_sha256)):
        raise ValueError("the hashes must be SHA-256 in lower hex")
    if not isinstance(offer.bytes, int) or not 0 < offer.bytes <= RECORDING_BYTES_MAX:
        raise ValueError(f"{offer.bytes!r} bytes: from 1 to {RECORDING_BYTES_MAX} are allowed")
    if not isinstance(offer.duration_s, int | float) or not 0 <= offer.duration_s < 1e7:
        raise ValueError(f"{offer.duration_s!r} is no duration in seconds")
