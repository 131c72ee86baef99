"""One route snapshot, open for reading. Standard library only; wraps SQLite and decides nothing.

A file that is not whole is refused when it is opened, while an older one can still stand in.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from appliance.errors import KyusaiError
from appliance.kamailio import rows
from appliance.kamailio.view import Extension, Group

ROWS_KEPT = 4_096
"""Parsed rows kept per process, some 1 kB each, of extensions that have called or were called: a call reads its caller and callee
several times, and the extensions of a large site call in turn."""

CREDENTIALS_KEPT = 4_096
"""Credentials kept per process, some 400 bytes each: every telephone of a large site proves itself every few minutes."""

HEADER_BYTES = 100
"""SQLite's database header (sqlite.org/fileformat2.html section 1.3)."""

Credential = tuple[str, str, str]
"""(extension number, HA1 with MD5, HA1 with SHA-256); an HA1 that the site does not give is ""."""

Row = TypeVar("Row")


class SnapshotError(KyusaiError):
    """There is no route snapshot that can be used. The handler answers 503 with a Retry-After."""


Identity = tuple[int, int, int, int]
"""Device, inode, modification time in ns, size: another one means another file."""


def identity_of(path: Path) -> Identity:
    """What lies at the path now; one system call. Raises `SnapshotError` "snapshot.missing"."""
    try:
        found = path.stat()
    except OSError as error:
        raise SnapshotError(
            "snapshot.missing",
            f"{path}: the route snapshot cannot be opened: {error.strerror}",
            "Enrol the box, or publish the site document again.",
            path=str(path),
            detail=error.strerror,
        ) from error
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class Snapshot:
    """One open snapshot and the rows read from it. Every read raises `SnapshotError` for a damaged file.

    Raises `SnapshotError` "snapshot.damaged" when the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[tuple[str, str], object] = {}
        self._credentials: dict[str, Credential] = {}
        _check_size(path)
        try:
            # immutable: no locks and no look for a journal; the file is only ever replaced, never changed.
            uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            self._database = sqlite3.connect(uri, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise _damaged(path, str(error)) from error
        try:
            self._check_form()
            self.policy = rows.policy(self._one("SELECT doc FROM policy WHERE id = ?", 1)[0])
        except BaseException as error:
            self.close()
            if isinstance(error, ValueError | TypeError | KeyError):
                raise _damaged(path, f"its policy row is in another form: {error!r}") from error
            raise

    def close(self) -> None:
        """Give the file back."""
        with suppress(sqlite3.Error):
            self._database.close()

    def extension(self, number: str) -> Extension | None:
        """The extension with a number, or None."""
        return self._row("SELECT doc FROM extension WHERE number = ?", number, rows.extension)

    def group(self, number: str) -> Group | None:
        """The hunt group with a number, or None."""
        return self._row("SELECT doc FROM grp WHERE number = ?", number, rows.group)

    def remote_extension(self, number: str) -> str | None:
        """E.164 of another site's extension, or None."""
        return self._row("SELECT e164 FROM remote_extension WHERE number = ?", number, str)

    def extension_of(self, public_number: str) -> str | None:
        """Extension or group number behind an E.164 number of this site, or None."""
        return self._row("SELECT number FROM public_number WHERE e164 = ?", public_number, str)

    def credential(self, username: str) -> Credential | None:
        """Extension and HA1 values of a digest user name, or None."""
        kept = self._credentials.get(username)
        if kept is not None:
            return kept
        query = "SELECT number, ha1_md5, ha1_sha256 FROM credential WHERE username = ?"
        found = self._find(query, username)
        if found is None:
            return None
        if len(self._credentials) >= CREDENTIALS_KEPT:
            del self._credentials[next(iter(self._credentials))]
        credential = found[0], found[1], found[2]
        self._credentials[username] = credential
        return credential

    def _row(self, query: str, key: str, parse: Callable[[str], Row]) -> Row | None:
        """A parsed row. Only rows that exist are kept, so that a scanner cannot push them out."""
        kept: Row | None = self._kept.get((query, key))  # type: ignore[assignment]
        if kept is not None:
            return kept
        found = self._find(query, key)
        if found is None:
            return None
        try:
            row = parse(found[0])
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged(self._path, f"the row of {key!r} is in another form: {error!r}") from error
        if len(self._kept) >= ROWS_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[query, key] = row
        return row

    def _find(self, query: str, key: str | int) -> tuple[str, ...] | None:
        try:
            found: tuple[str, ...] | None = self._database.execute(query, (key,)).fetchone()
        except (sqlite3.Error, UnicodeEncodeError) as error:
            if isinstance(error, UnicodeEncodeError):
                return None  # bytes of a hostile header that are no text: nobody has such a number
            raise _damaged(self._path, str(error)) from error
        return found

    def _one(self, query: str, key: str | int) -> tuple[str, ...]:
        found = self._find(query, key)
        if found is None:
            raise _damaged(self._path, f"it lacks the row {key!r}")
        return found

    def _check_form(self) -> None:
        try:
            application_id = self._database.execute("PRAGMA application_id").fetchone()[0]
            # 7 ms for 20,000 extensions, once per switch: worth it, as an old snapshot can still stand in.
            check = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise _damaged(self._path, str(error)) from error
        if application_id != rows.APPLICATION_ID:
            raise _damaged(self._path, "it is another program's database")
        if check != "ok":
            raise _damaged(self._path, check)
        form = self._one("SELECT value FROM meta WHERE key = ?", "format")[0]
        if form != str(rows.FORMAT):
            raise _damaged(self._path, f"its format is {form}; this software reads {rows.FORMAT}")


def _check_size(path: Path) -> None:
    """Refuse a file that is shorter than its header says: SQLite would notice only at a missing page."""
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
            size_bytes = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    if not header.startswith(b"SQLite format 3\0"):
        raise _damaged(path, "it is not an SQLite database")
    stated_bytes = rows.PAGE_BYTES * int.from_bytes(header[28:32], "big")
    if size_bytes != stated_bytes:
        raise _damaged(path, f"it has {size_bytes} bytes and must have {stated_bytes}")


def _damaged(path: Path, detail: str) -> SnapshotError:
    return SnapshotError(
        "snapshot.damaged",
        f"{path}: the route snapshot cannot be used: {detail}",
        "Publish the site document again; the last good snapshot stays in use.",
        path=str(path),
        detail=detail,
    )
