"""A backup in files that need neither this program's database nor its S3 to be read; and the way back.

`FOLDER/manifest.json` names the folder of the tables and the SHA-256 of each; it is written last, so a backup that was cut
off leaves the one before it in force. Recordings never change: the next backup into the same folder copies new ones only.

Recordings are copied after that one moment, and some of them may be deleted meanwhile because their class has run out. The
manifest names those with the time, and a restore marks them as deleted: what was to go does not come back as missing.
"""

import gzip
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import KyusaiError
from cloudsync import durable
from cloudsync.blobs import BlobFolder
from cloudsync.layout import CentreLayout
from cloudsync.service import prompts, retention, rollouts
from cloudsync.service.centre import Centre, open_centre
from cloudsync.service.copies import Copied, copy
from cloudsync.store import audit, copying, migrations, recordings, sites
from cloudsync.store.tables import record
from cloudsync.wire import Json, RecordingState, canonical_json

FORMAT = 1
MANIFEST = "manifest.json"
SECRET_FOLDERS = ("keys", "tls")
"""Whoever has these can sign for the centre and open recordings whose keys it made."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup or a restore holds. deleted: site/id of recordings that were deleted while they were to be copied. made_utc:
    when the backup was made."""

    rows: dict[str, int]
    recordings: Copied
    deleted: tuple[str, ...]
    made_utc: str


def backup(centre: Centre, folder: Path, *, with_keys: bool = True, with_recordings: bool = True) -> Backup:
    """Write a backup while the centre serves: one consistent moment of the database, then the recordings it names."""
    durable.make_folder(folder)
    inner = folder / f"tables-{secrets.token_hex(4)}"
    durable.make_folder(inner)
    written: dict[str, dict[str, Json]] = {}
    with centre.database.read() as connection:
        step = migrations.current_step(connection)
        for table in copying.tables():
            path = inner / f"{table.name}.jsonl.gz"
            rows = _write_rows(path, copying.batches(connection, table))
            written[table.name] = {"rows": rows, "sha256": _sha256(path)}
        stored = list(recordings.stored_ones(connection)) if with_recordings else []
        spoken = list(prompts.stored(connection, centre.blobs)) if with_recordings else []
    copied = copy((*stored, *spoken), centre.blobs, _recordings(folder))
    deleted = _deleted_meanwhile(centre, copied)
    if with_keys:
        for name in SECRET_FOLDERS:
            _copy_folder(centre.layout.data_dir / name, folder / name)
    manifest = {
        "format": FORMAT,
        "made_utc": centre.now_utc(),
        "schema_step": step,
        "folder": inner.name,
        "tables": written,
        "recordings": len(stored) - len(deleted),
        "deleted": deleted,
        "keys": with_keys,
    }
    durable.write_file(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    for old in folder.glob("tables-*"):
        if old != inner:
            shutil.rmtree(old)
    counts = {name: int(said["rows"]) for name, said in written.items()}
    return Backup(counts, copied, tuple(deleted), str(manifest["made_utc"]))


def _deleted_meanwhile(centre: Centre, copied: Copied) -> dict[str, str]:
    """site/id -> when, of those that could not be copied because they were deleted since; they are wrong no more."""
    found: dict[str, str] = {}
    with centre.database.read() as connection:
        for name in copied.wrong:
            known = recordings.find(connection, *name.split("/"))
            if known is not None and known.state == recordings.DELETED:
                found[name] = known.deleted_utc or centre.now_utc()
    copied.wrong = [name for name in copied.wrong if name not in found]
    return found


def restore(folder: Path, data_dir: Path, actor: str) -> Backup:
    """Fill an empty centre from a backup; its database appears wholly or not at all, after the recordings.

    Where it goes is what the settings of `data_dir` and the environment say. Raises KyusaiError `restore.no_backup`,
    `restore.damaged`, `restore.not_empty`, `restore.other_step`, `centre.in_use`.
    """
    manifest = _manifest(folder)
    layout = CentreLayout(data_dir.absolute())
    if manifest["keys"] and not any(layout.config_keys_dir.glob("*.pem")):
        for name in SECRET_FOLDERS:
            _copy_folder(folder / name, layout.data_dir / name)
    centre = open_centre(data_dir)
    try:
        centre.in_use.alone()
        with centre.database.read() as connection:
            step = migrations.current_step(connection)
            taken = bool(sites.every(connection))
        if taken:
            raise KyusaiError(
                "restore.not_empty",
                f"{centre.database.name} holds a centre already",
                "Restore into an empty folder or database.",
                store=centre.database.name,
            )
        if step != manifest["schema_step"]:
            raise KyusaiError(
                "restore.other_step",
                f"the backup has schema step {manifest['schema_step']}, this release has {step}",
                "Restore with the release that made the backup, then upgrade.",
                backup=manifest["schema_step"],
                here=step,
            )
        return _fill(centre, folder, manifest, actor)
    finally:
        centre.close()


def _fill(centre: Centre, folder: Path, manifest: dict[str, Json], actor: str) -> Backup:
    inner = folder / str(manifest["folder"])
    for rows in _read_rows(inner / f"{record.name}.jsonl.gz"):
        copying.make_months(centre.database, rows)
    counts: dict[str, int] = {}
    deleted: dict[str, str] = manifest.get("deleted", {})
    stored = [
        one
        for rows in _read_rows(inner / "recording.jsonl.gz")
        for one in (recordings.Recording(**row) for row in rows)
        if one.state == RecordingState.STORED
    ]
    gone = {name: one for one in stored if (name := f"{one.site_id}/{one.id}") in deleted}
    there = (one for one in stored if f"{one.site_id}/{one.id}" not in gone)
    copied = copy(there, _recordings(folder), centre.blobs)
    with centre.database.write() as connection:
        for table in copying.tables():
            counts[table.name] = 0
            for rows in _read_rows(inner / f"{table.name}.jsonl.gz"):
                copying.put(connection, table, rows)
                counts[table.name] += len(rows)
        copying.count_on(connection)
        for name, one in gone.items():
            retention.note_deleted(connection, one, deleted[name], "deleted while the backup was made")
        rollouts.stop_restored(connection, centre.now_utc())
        audit.add(connection, centre.now_utc(), actor, "centre.restore", str(manifest["made_utc"]))
        spoken = list(prompts.stored(connection, _recordings(folder)))
    copied = copied.with_more(copy(spoken, _recordings(folder), centre.blobs))
    return Backup(counts, copied, tuple(gone), str(manifest["made_utc"]))


def _manifest(folder: Path) -> dict[str, Json]:
    """The manifest, after every file that it names was found whole."""
    try:
        manifest: dict[str, Json] = json.loads((folder / MANIFEST).read_text("utf-8"))
        damaged = [
            name
            for name, said in manifest["tables"].items()
            if _sha256(folder / manifest["folder"] / f"{name}.jsonl.gz") != said["sha256"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KyusaiError(
            "restore.no_backup",
            f"{folder} holds no backup: {error}",
            "Name the folder that `kyusai centre backup` wrote.",
            folder=folder,
            reason=error,
        ) from error
    if damaged or manifest["format"] != FORMAT:
        raise KyusaiError(
            "restore.damaged",
            f"{folder}: altered since it was written: {', '.join(damaged) or MANIFEST}",
            "Take another copy of the backup.",
            folder=folder,
            names=", ".join(damaged) or MANIFEST,
        )
    return manifest


def _recordings(folder: Path) -> BlobFolder:
    durable.make_folder(folder / "recordings")
    return BlobFolder(folder / "uploads", folder / "recordings")


def _write_rows(path: Path, found: Iterator[list[copying.Row]]) -> int:
    count = 0
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as file:
        for rows in found:
            count += len(rows)
            file.write("".join(f"{canonical_json(row)}\n" for row in rows).encode())
        file.close()
        raw.flush()
        os.fsync(raw.fileno())
    path.chmod(durable.PRIVATE_FILE_MODE)
    return count


def _read_rows(path: Path) -> Iterator[list[copying.Row]]:
    rows: list[copying.Row] = []
    with gzip.open(path, "rb") as file:
        for line in file:
            rows.append(json.loads(line))
            if len(rows) == copying.BATCH_ROWS:
                yield rows
                rows = []
    if rows:
        yield rows


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_folder(source: Path, target: Path) -> None:
    """Copy small secret files, each durably; files that are there are replaced."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copied = target / path.relative_to(source)
            durable.make_folder(copied.parent)
            durable.write_file(copied, path.read_bytes())
