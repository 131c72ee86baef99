"""One finished capture into one encrypted recording, or nothing at all: safe to kill at any instant and to run again.

Order: plain audio in a work folder that only the converter reads → SHA-256 of it → encrypted file, synced → handed over →
capture removed. The plain audio never outlives the conversion.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import soundfile

from appliance.media.metadata import capture_map, descriptions
from appliance.media.mix import Mixed, mix, stereo_blocks

BLOCK_S = 10
"""Audio is encoded in pieces of this length, to keep memory flat."""

BEING_MADE = "being-made"
"""The encrypted file before it has its name, beside the others: plain audio may be on another file system, in memory. There
is one converter, so one that was killed leaves no more than this, and the next takes its place."""

FORMAT = "ogg/opus"
"""An hour of stereo speech takes about 10 MB; libsndfile encodes it many times faster than it was spoken."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What the centre is told of a recording. call: SIP Call-ID; sha256: of the plain audio file; cipher_sha256 and bytes:
    of the encrypted one at `path`; format: container/codec of the plain audio."""

    id: str
    call: str
    path: Path
    sha256: str
    cipher_sha256: str
    bytes: int
    started_utc: str
    duration_s: float
    format: str = FORMAT


HandOver = Callable[[Recording], None]
"""Takes a recording into the spool, durably, before it returns; the same id a second time changes nothing."""


def convert(
    capture: Path,
    metadata: Path,
    recording_id: str,
    call: str,
    recipients: list[str],
    work_dir: Path,
    out_dir: Path,
    advertised: Mapping[str, str],
) -> Recording:
    """Makes `out_dir/<recording_id>.age` from a capture.

    recipients: age public keys ("age1...") of the tenant; advertised: see `capture_map`. Raises NothingToHear (no audio),
    ValueError (no or bad recipient) and OSError (disk). Blocks for about a hundredth of the call's length.
    """
    keys = recipients_of(recipients)
    text = metadata.read_text("utf-8", "replace") if metadata.exists() else ""
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(mode=0o700, parents=True)
    try:
        mixed = mix(capture, capture_map(descriptions(text), advertised), work_dir)
        plain = work_dir / "plain.ogg"
        _encode(mixed, plain)
        started_utc = datetime.fromtimestamp(mixed.start_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return sealed(plain, recording_id, call, started_utc, round(mixed.duration_s, 3), keys, out_dir)
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


def recipients_of(texts: list[str]) -> list[pyrage.x25519.Recipient]:
    """The tenant's keys. Raises ValueError for none, or a bad one."""
    if not texts:
        raise ValueError(
            "no recipient: a recording is never stored in the clear; the site document must name an age key"
        )
    try:
        return [pyrage.x25519.Recipient.from_str(text) for text in texts]
    except pyrage.RecipientError as error:
        raise ValueError(f"bad recipient: {error}") from error


def sealed(
    plain: Path,
    recording_id: str,
    call: str,
    started_utc: str,
    duration_s: float,
    keys: list[pyrage.x25519.Recipient],
    out_dir: Path,
    format: str = FORMAT,  # noqa: A002 - the wire's name
) -> Recording:
    """Encrypts a plain audio file, in a folder that only the converter reads, to `out_dir/<recording_id>.age`, durably."""
    cipher = out_dir / BEING_MADE
    pyrage.encrypt_file(str(plain), str(cipher), keys)
    recording = Recording(
        recording_id,
        call,
        out_dir / f"{recording_id}.age",
        _sha256(plain),
        _sha256(cipher),
        cipher.stat().st_size,
        started_utc,
        duration_s,
        format,
    )
    _sync(cipher)
    cipher.replace(recording.path)
    _sync(out_dir)
    return recording


def _encode(mixed: Mixed, path: Path) -> None:
    with soundfile.SoundFile(path, "w", mixed.rate_hz, 2, "OPUS", format="OGG") as out:
        for block in stereo_blocks(mixed, BLOCK_S * mixed.rate_hz):
            out.write(block)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
