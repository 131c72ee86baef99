"""ADAPTER. Configuration versions on disk: rendered complete or not at all, switched by one rename, never lost.

    config/versions/<n>/{document.json,envelope.json,route.sqlite}    config/current -> versions/<n>
    config/state.json    what the agent was doing, so that it goes on after being killed at any moment

Every step is synced before the next one begins. All methods block on disk.
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from appliance import site, snapshot
from appliance.errors import KyusaiError
from appliance.layout import Layout
from cloudsync.wire import Envelope

KEPT_VERSIONS = 5
"""Versions kept on disk, the one in use and the one before always among them."""

PARTIAL = ".partial"

TRIALS_MAX = 3
"""A version under trial across which the agent (or the whole box) was started anew so often is taken back."""


class Phase(StrEnum):
    """What the agent was doing. IDLE: nothing. TRIAL: `version` is being switched to or watched.
    BACK: `version` is being taken back for `previous`."""

    IDLE = "idle"
    TRIAL = "trial"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class ConfigState:
    """What outlives the agent. newest: highest version that was judged. attempts: starts of the agent during the
    trial. report: (version, state, problems) that the centre has not confirmed yet, or None."""

    phase: Phase = Phase.IDLE
    version: int = 0
    previous: int = 0
    attempts: int = 0
    newest: int = 0
    refused_version: int = 0
    problems: tuple[str, ...] = ()
    report: tuple[int, str, tuple[str, ...]] | None = None

    def idle(self) -> "ConfigState":
        """The same with nothing under way."""
        return replace(self, phase=Phase.IDLE, version=0, previous=0, attempts=0)


Renderer = Callable[[site.Site, Path], None]
"""Writes what one daemon reads of a site into a version's folder, synced; raises `KyusaiError` or `OSError`."""


def render_route_snapshot(of: site.Site, folder: Path) -> None:
    """The snapshot for Kamailio's workers."""
    snapshot.write(of, folder / "route.sqlite")


RENDERERS: tuple[Renderer, ...] = (render_route_snapshot,)


@dataclass(slots=True)
class ConfigStore:
    """The versions of one box. state: as last saved."""

    layout: Layout
    renderers: tuple[Renderer, ...] = RENDERERS
    state: ConfigState = field(default_factory=ConfigState)

    def load(self) -> ConfigState:
        """Read the state; a missing or damaged one is IDLE."""
        self.layout.versions_dir.mkdir(parents=True, exist_ok=True)
        self.state = _read_state(self._state_path)
        self._sweep()
        return self.state

    def save(self, state: ConfigState) -> None:
        """Make the state durable."""
        write_durably(self._state_path, json.dumps(asdict(state)).encode())
        self.state = state

    @property
    def _state_path(self) -> Path:
        return self.layout.config_dir / "state.json"

    def current_version(self) -> int:
        """The version that `current` points at; 0 when there is none or it is not complete."""
        try:
            name = self.layout.current.readlink().name
        except OSError:
            return 0
        return int(name) if name.isdigit() and self.complete(int(name)) else 0

    @property
    def newest(self) -> int:
        """Highest version that was ever judged or is in use; only later ones are taken."""
        return max(self.state.newest, self.current_version())

    def complete(self, version: int) -> bool:
        """Whether a version lies there whole (its folder gets its name last)."""
        return self.layout.document(version).is_file() and self.layout.route_snapshot(version).is_file()

    def versions(self) -> list[int]:
        """Complete versions, ascending."""
        names = (entry.name for entry in self.layout.versions_dir.iterdir())
        return sorted(int(name) for name in names if name.isdigit() and self.complete(int(name)))

    def render(self, envelope: Envelope, of: site.Site) -> None:
        """Lay a version's folder, complete and synced, beside the others. Raises `KyusaiError` "config.render"."""
        folder = self.layout.version_dir(envelope.version)
        partial = folder.with_name(folder.name + PARTIAL)
        try:
            for leftover in (partial, folder):
                shutil.rmtree(leftover, ignore_errors=True)
            partial.mkdir(mode=0o750)
            write_durably(partial / "document.json", envelope.document.encode())
            write_durably(partial / "envelope.json", json.dumps(asdict(envelope)).encode())
            for renderer in self.renderers:
                renderer(of, partial)
            sync_folder(partial)
            partial.replace(folder)
            sync_folder(folder.parent)
        except (OSError, KyusaiError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise KyusaiError(
                "config.render",
                f"version {envelope.version} could not be laid down: {error}",
                "Look at the disk's free space; the running version stays in use.",
                version=envelope.version,
                detail=str(error),
            ) from error

    def switch(self, version: int) -> None:
        """Point `current` at a complete version, by one rename, durably."""
        link = self.layout.current.with_name("current" + PARTIAL)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("versions", str(version)))
        link.replace(self.layout.current)
        sync_folder(self.layout.config_dir)

    def document(self, version: int) -> site.Site:
        """The site of a version on disk. Raises `SiteInvalid`, `OSError`."""
        return site.loads(self.layout.document(version).read_bytes())

    def repair(self) -> int:
        """See that `current` points at a complete version; returns it. Where it does not, the newest complete one
        that was not refused is taken, so that a damaged disk costs at most the last change."""
        current = self.current_version()
        if current:
            return current
        usable = [one for one in self.versions() if one != self.state.refused_version and self._readable(one)]
        if usable:
            self.switch(usable[-1])
        return usable[-1] if usable else 0

    def _readable(self, version: int) -> bool:
        try:
            self.document(version)
        except (OSError, KyusaiError):
            return False
        return True

    def keep_offered(self, document: str) -> None:
        """Keep a document that was refused, for a person to look at. Its signature fits."""
        write_durably(self.layout.offered_document, document.encode())

    def prune(self, keep: set[int]) -> None:
        """Delete all but the newest `KEPT_VERSIONS` and those in `keep`."""
        for version in self.versions()[:-KEPT_VERSIONS]:
            if version not in keep:
                shutil.rmtree(self.layout.version_dir(version), ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what an interrupted step left."""
        for leftover in self.layout.versions_dir.glob("*" + PARTIAL):
            shutil.rmtree(leftover, ignore_errors=True)
        with suppress(OSError):
            self.layout.current.with_name("current" + PARTIAL).unlink(missing_ok=True)


def _read_state(path: Path) -> ConfigState:
    try:
        stored = json.loads(path.read_text("utf-8"))
        report = stored["report"]
        return ConfigState(
            phase=Phase(stored["phase"]),
            version=int(stored["version"]),
            previous=int(stored["previous"]),
            attempts=int(stored["attempts"]),
            newest=int(stored["newest"]),
            refused_version=int(stored["refused_version"]),
            problems=tuple(map(str, stored["problems"])),
            report=(int(report[0]), str(report[1]), tuple(map(str, report[2]))) if report else None,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return ConfigState()


def write_durably(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Put a file in place whole and on the disk, or leave what was there. Raises `OSError`."""
    partial = path.with_name(path.name + PARTIAL)
    descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
