"""The databases that the centre runs on, for the tests of its store: each test runs on each of them."""

import atexit
import itertools
import os
from functools import cache
from pathlib import Path

from cloudsync.layout import CentreLayout
from cloudsync.settings import StoreSettings, save
from cloudsync.store.database import Database
from cloudsync.store.postgresql import open_postgresql
from cloudsync.store.sqlite import open_sqlite
from tests.lab.postgres import PostgresServer
from tests.lab.s3 import S3Server

DATABASES = ("sqlite", "postgresql")
STORES = ("sqlite", "postgresql+s3")
"""Everything in the data folder, or nothing."""
_numbers = itertools.count(1)


@cache
def postgres() -> PostgresServer:
    """The session's one server; it ends with the session."""
    server = PostgresServer().start()
    atexit.register(server.stop)
    return server


@cache
def s3() -> S3Server:
    """The session's one S3 server. Its credentials go to this process and those that it starts."""
    server = S3Server().start()
    atexit.register(server.stop)
    os.environ.update(server.environment)
    return server


@cache
def _bucket() -> None:
    s3().create_bucket("centre")


def new_bucket_url() -> str:
    """An empty place of its own; one bucket for all, because each costs the server some of its volumes."""
    _bucket()
    return s3().url("centre", f"test-{next(_numbers)}")


def new_database_url() -> str:
    """An empty PostgreSQL database of its own."""
    return postgres().create_database(f"test_{os.getpid()}_{next(_numbers)}")


def prepared(data_dir: Path, database: str) -> Path:
    """A data folder whose settings name an empty database of that sort."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if database != "sqlite":
        recordings = new_bucket_url() if database.endswith("+s3") else ""
        save(CentreLayout(data_dir).settings, StoreSettings(new_database_url(), recordings))
    return data_dir


class Store:
    """One store that can be opened again and again."""

    def __init__(self, database: str, folder: Path) -> None:
        self._where: str | Path = new_database_url() if database == "postgresql" else folder / "centre.sqlite"

    def open(self) -> Database:
        """Open it; the caller closes it."""
        if isinstance(self._where, Path):
            return open_sqlite(self._where)
        return open_postgresql(self._where)
