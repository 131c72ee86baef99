"""What `centre.toml` in the data folder says: where the database and the recordings are. Without it, in that folder.

The environment wins over the file, so that processes in containers need none.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import KyusaiError
from cloudsync import durable

DATABASE_VARIABLE = "KYUSAI_CENTRE_DATABASE"
RECORDINGS_VARIABLE = "KYUSAI_CENTRE_RECORDINGS"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """URLs; empty means embedded, below the data folder."""

    database: str = ""
    """postgresql://USER@HOST/DATABASE"""
    recordings: str = ""
    """s3://BUCKET/PREFIX?endpoint=URL&region=NAME, or the absolute path of a folder."""


def load(path: Path, environment: Mapping[str, str]) -> StoreSettings:
    """The settings that hold. Raises KyusaiError `store.bad_settings`."""
    found = _read(path)
    return StoreSettings(
        database=environment.get(DATABASE_VARIABLE) or found.database,
        recordings=environment.get(RECORDINGS_VARIABLE) or found.recordings,
    )


def save(path: Path, settings: StoreSettings) -> None:
    """Put the settings in place of the file, wholly or not at all. It may hold a password: 0600."""
    lines = ["# Where the centre keeps what it is given; `kyusai centre move` writes this file.", "[store]"]
    lines += [
        f"{name} = {_quoted(value)}"
        for name, value in (("database", settings.database), ("recordings", settings.recordings))
        if value
    ]
    durable.write_file(path, ("\n".join(lines) + "\n").encode())


def _read(path: Path) -> StoreSettings:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return StoreSettings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _bad(path, str(error)) from error
    store = table.pop("store", {})
    if table or not isinstance(store, dict) or not set(store) <= {"database", "recordings"}:
        raise _bad(path, "it has one table [store] with database and recordings")
    if not all(isinstance(value, str) for value in store.values()):
        raise _bad(path, "database and recordings are texts")
    return StoreSettings(**store)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bad(path: Path, reason: str) -> KyusaiError:
    return KyusaiError(
        "store.bad_settings",
        f"{path}: {reason}",
        'Write [store], then database = "postgresql://…" and recordings = "s3://…", or remove the file.',
        path=path,
        reason=reason,
    )
