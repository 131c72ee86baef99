"""What every rule of the centre works with: store, files, keys, clock and randomness."""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cloudsync import durable, settings
from cloudsync.blobs import BlobFolder
from cloudsync.buckets import open_bucket
from cloudsync.inuse import InUse
from cloudsync.layout import CentreLayout
from cloudsync.signing import SigningKeys
from cloudsync.storage import Storage
from cloudsync.store.database import Database
from cloudsync.store.postgresql import open_postgresql
from cloudsync.store.sqlite import open_sqlite
from cloudsync.tls import ServerTls
from cloudsync.wire import format_utc


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Centre:
    """One centre. Several processes may work on it at once; on PostgreSQL and S3 also on several machines."""

    layout: CentreLayout
    database: Database
    blobs: Storage
    keys: SigningKeys
    tls: ServerTls
    in_use: InUse
    clock: Callable[[], datetime] = _now
    random: Callable[[int], bytes] = secrets.token_bytes

    def now_utc(self) -> str:
        """The present moment as the store and the wire write it."""
        return format_utc(self.clock())

    def close(self) -> None:
        """Let go of the store's connections and of the folder."""
        self.database.close()
        self.in_use.close()


def open_database(url: str, layout: CentreLayout) -> Database:
    """The database that a URL names, or the one in the data folder. Raises KyusaiError `store.bad_url`."""
    return open_postgresql(url) if url else open_sqlite(layout.database)


def open_storage(where: str, layout: CentreLayout) -> Storage:
    """Where recordings are: a URL, the absolute path of a folder, or nothing for the data folder.

    Raises KyusaiError `store.bad_bucket`.
    """
    if not where:
        return BlobFolder(layout.parts_dir, layout.recordings_dir)
    folder = Path(where)
    if not folder.is_absolute():
        return open_bucket(where)
    for inner in ("uploads", "recordings"):
        durable.make_folder(folder / inner)
    return BlobFolder(folder / "uploads", folder / "recordings")


def open_centre(data_dir: Path, environment: Mapping[str, str] = os.environ) -> Centre:
    """Open or create everything below `data_dir`, or where its settings say. Blocks on disk and network.

    Keys that a killed process has made and not made sure of are made sure of before anybody hears of them.
    """
    layout = CentreLayout(data_dir.absolute())
    for folder in layout.folders():
        durable.make_folder(folder)
    wanted = settings.load(layout.settings, environment)
    with contextlib.ExitStack() as undo:
        in_use = InUse(layout.in_use)
        undo.callback(in_use.close)
        centre = Centre(
            layout=layout,
            blobs=open_storage(wanted.recordings, layout),
            keys=SigningKeys.load_or_create(layout.config_keys_dir),
            tls=ServerTls(layout.tls_dir),
            database=open_database(wanted.database, layout),
            in_use=in_use,
        )
        for folder in layout.folders():
            durable.sync_folder(folder)
        undo.pop_all()
    return centre
