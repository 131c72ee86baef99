"""Read access to the route snapshot, joined with the live facts that Kamailio knows: a `View` for `decide`.

Standard library only. Wraps SQLite and decides nothing. Make one per process, after the fork (in `child_init`):
a database handle must not cross it. Never blocks but on indexed reads of a local file.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from appliance.errors import KyusaiError
from appliance.kamailio import rows
from appliance.kamailio.view import Extension, Group, Policy
from appliance.model import LinkState

STAT_INTERVAL_S = 0.1
"""A switch of the configuration is noticed this late at most; in between a request costs no system call."""

ROWS_KEPT = 512
"""Parsed rows kept per process, some 1 kB each: a call reads its caller and callee several times."""

HEADER_BYTES = 100
"""SQLite's database header (sqlite.org/fileformat2.html section 1.3)."""

Credential = tuple[str, str, str]
"""(extension number, HA1 with MD5, HA1 with SHA-256); an HA1 that the site does not give is ""."""

Row = TypeVar("Row")


class SnapshotError(KyusaiError):
    """There is no route snapshot that can be used. The handler answers 503 with a Retry-After."""


class Live(Protocol):
    """The half of `View` that changes from call to call. Kamailio's adapter supplies it."""

    def link(self, upstream_id: str) -> LinkState: ...
    def registered(self, number: str) -> bool: ...
    def calls_on(self, gateway_id: str) -> int: ...
    def outside_calls_of(self, extension: str) -> int: ...
    def outside_calls(self) -> int: ...


class SnapshotView:
    """A `View` on the snapshot at `path` (usually `Layout.current_route_snapshot`) and on `live`.

    Call `refresh` at the start of each request: all reads until the next one see one version of the site.
    clock: monotonic seconds. fault: why the newest snapshot is not in use, or "".
    """

    def __init__(self, path: Path | str, live: Live, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._live = live
        self._clock = clock
        self._looked_s = float("-inf")
        self._seen: _Identity | None = None
        self._open: _Snapshot | None = None
        self.fault = ""

    # one version for one request

    def refresh(self) -> bool:
        """Switch to the snapshot that lies at the path now; True when it was another one. Never raises.

        Looks at the file at most once per `STAT_INTERVAL_S`. Where it is missing or damaged the last good one
        stays in use and `fault` says why.
        """
        now_s = self._clock()
        if now_s - self._looked_s < STAT_INTERVAL_S:
            return False
        self._looked_s = now_s
        try:
            identity = _identity(self._path)
            if identity == self._seen:
                return False
            self._seen = identity
            fresh = _Snapshot(self._path)
        except SnapshotError as error:
            self.fault = error.message
            if error.key == "snapshot.missing":
                self._seen = None
            return False
        old, self._open, self.fault = self._open, fresh, ""
        if old:
            old.close()
        return True

    def close(self) -> None:
        """Give the file back; the next read opens it again."""
        if self._open:
            self._open.close()
        self._open = self._seen = None
        self._looked_s = float("-inf")

    @property
    def _snapshot(self) -> "_Snapshot":
        if self._open is None:
            self._looked_s, self._seen = float("-inf"), None
            self.refresh()
        if self._open is None:
            raise SnapshotError(
                "snapshot.none",
                f"no usable route snapshot: {self.fault}",
                "Enrol the box, or publish the site document again.",
                detail=self.fault,
            )
        return self._open

    # the site's half

    @property
    def policy(self) -> Policy:
        """What holds for the whole site. Raises `SnapshotError`, as every read here does."""
        return self._snapshot.policy

    def extension(self, number: str) -> Extension | None:
        """The extension with a number, or None."""
        return self._snapshot.extension(number)

    def group(self, number: str) -> Group | None:
        """The hunt group with a number, or None."""
        return self._snapshot.group(number)

    def remote_extension(self, number: str) -> str | None:
        """E.164 of another site's extension, or None."""
        return self._snapshot.text("SELECT e164 FROM remote_extension WHERE number = ?", number)

    def extension_of(self, public_number: str) -> str | None:
        """Extension or group number that this site answers for an E.164 number, or None."""
        return self._snapshot.text("SELECT number FROM public_number WHERE e164 = ?", public_number)

    def credential(self, username: str) -> Credential | None:
        """Extension and HA1 values of a digest user name, or None."""
        return self._snapshot.credential(username)

    # the live half

    def link(self, upstream_id: str) -> LinkState:
        """What the agent last said of an upstream."""
        return self._live.link(upstream_id)

    def registered(self, number: str) -> bool:
        """Whether an extension has a contact."""
        return self._live.registered(number)

    def calls_on(self, gateway_id: str) -> int:
        """Calls up on a gateway."""
        return self._live.calls_on(gateway_id)

    def outside_calls_of(self, extension: str) -> int:
        """Calls that an extension has with the outside."""
        return self._live.outside_calls_of(extension)

    def outside_calls(self) -> int:
        """Calls of the whole site with the outside."""
        return self._live.outside_calls()


_Identity = tuple[int, int, int, int]
"""Device, inode, modification time in ns, size: another one means another file."""


def _identity(path: Path) -> _Identity:
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


class _Snapshot:
    """One open snapshot and the rows read from it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[tuple[str, str], object] = {}
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
        with suppress(sqlite3.Error):
            self._database.close()

    def extension(self, number: str) -> Extension | None:
        return self._row("SELECT doc FROM extension WHERE number = ?", number, rows.extension)

    def group(self, number: str) -> Group | None:
        return self._row("SELECT doc FROM grp WHERE number = ?", number, rows.group)

    def text(self, query: str, key: str) -> str | None:
        return self._row(query, key, str)

    def credential(self, username: str) -> Credential | None:
        query = "SELECT number, ha1_md5, ha1_sha256 FROM credential WHERE username = ?"
        found = self._find(query, username)
        return None if found is None else (found[0], found[1], found[2])

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
