"""What every rule of the centre works with: store, files, keys, clock and randomness."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cloudsync import durable, settings
from cloudsync.blobs import BlobFolder
from cloudsync.layout import CentreLayout
from cloudsync.signing import SigningKeys
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
    blobs: BlobFolder
    keys: SigningKeys
    tls: ServerTls
    clock: Callable[[], datetime] = _now
    random: Callable[[int], bytes] = secrets.token_bytes

    def now_utc(self) -> str:
        """The present moment as the store and the wire write it."""
        return format_utc(self.clock())

    def close(self) -> None:
        """Let go of the store's connections."""
        self.database.close()


def open_centre(data_dir: Path, environment: Mapping[str, str] = os.environ) -> Centre:
    """Open or create everything below `data_dir`, or where its settings say. Blocks on disk and network."""
    layout = CentreLayout(data_dir.absolute())
    for folder in layout.folders():
        durable.make_folder(folder)
    wanted = settings.load(layout.settings, environment)
    return Centre(
        layout=layout,
        database=open_postgresql(wanted.database) if wanted.database else open_sqlite(layout.database),
        blobs=BlobFolder(layout.parts_dir, layout.recordings_dir),
        keys=SigningKeys.load_or_create(layout.config_keys_dir),
        tls=ServerTls(layout.tls_dir),
    )
