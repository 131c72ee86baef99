"""Writes a site as a route snapshot: the read-only SQLite file that Kamailio's workers look numbers up in.

The same site gives the same bytes. The file appears under its name complete and on the disk, or not at all.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from appliance.errors import KyusaiError
from appliance.kamailio import rows
from appliance.site_model import Site

PARTIAL_SUFFIX = ".partial"
"""The file's name until it is complete. One left by a power cut is overwritten by the next write."""

SNAPSHOT_MODE = 0o640
"""The snapshot holds HA1 values, which are as good as passwords inside their realm: not for everybody to read."""


def write(site: Site, path: Path) -> None:
    """Write the snapshot of a site to `path`, replacing what is there. Blocks until the disk has it.

    Raises `KyusaiError` "snapshot.unwritable" when it cannot be written (disk full, no rights); what was at
    `path` is then still there.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        partial.unlink(missing_ok=True)
        # Created here, not by SQLite, so that nobody can read it in between.
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, SNAPSHOT_MODE))
        _fill(site, partial)
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise KyusaiError(
            "snapshot.unwritable",
            f"{path}: the route snapshot cannot be written: {error}",
            "Look at the disk's free space and the folder's rights; the running configuration stays in use.",
            path=str(path),
            detail=str(error),
        ) from error


def _fill(site: Site, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        # No journal and no syncs: the file is thrown away if this fails, and synced as a whole afterwards.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA page_size = {rows.PAGE_BYTES}")
        database.execute(f"PRAGMA application_id = {rows.APPLICATION_ID}")
        database.execute("BEGIN")
        for statement in rows.SCHEMA:
            database.execute(statement)
        _insert(database, site)
        database.execute("COMMIT")


def _insert(database: sqlite3.Connection, site: Site) -> None:
    meta = {"format": str(rows.FORMAT), "site_id": site.id, "version": str(site.version)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", sorted(meta.items()))
    database.execute("INSERT INTO policy VALUES (1, ?)", (rows.encode(site.policy),))
    database.executemany(
        "INSERT INTO extension VALUES (?, ?)",
        sorted((one.number, rows.encode(one)) for one in site.extensions),
    )
    database.executemany(
        "INSERT INTO credential VALUES (?, ?, ?, ?)",
        sorted((one.username, one.number, one.ha1_md5, one.ha1_sha256) for one in site.credentials),
    )
    database.executemany(
        "INSERT INTO grp VALUES (?, ?)", sorted((one.number, rows.encode(one)) for one in site.groups)
    )
    database.executemany("INSERT INTO public_number VALUES (?, ?)", sorted(site.public_numbers))
    database.executemany(
        "INSERT INTO remote_extension VALUES (?, ?)",
        sorted((one.number, one.public_number) for one in site.remote_extensions),
    )


def _sync(path: Path) -> None:
    """Make a file's content, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
