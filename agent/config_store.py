"""ADAPTER. Configuration versions on disk: rendered complete or not at all, switched by one rename, never lost.

    config/versions/<n>/{document.json,envelope.json,route.sqlite}    config/current -> versions/<n>
    config/versions/<n>+<r>/...,overlay.json    the same with changes made at this box over it, their revision <r>
    config/state.json    what the agent was doing, so that it goes on after being killed at any moment

What is in use, changes included, is what `current` points at: one rename switches both, and going back brings both back.

Every step is synced before the next one begins. All methods block on disk.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from appliance import site, snapshot
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.local_change import Change, change_from
from appliance.overlay import Overlay, applied, overlay_from
from cloudsync.wire import Envelope, Json, Reason, WireError, envelope_from, reasons_from, reasons_json

KEPT_VERSIONS = 5
"""Versions kept on disk, the one in use and the one before always among them."""

PARTIAL = ".partial"

NO_OVERLAY = Overlay()

TRIALS_MAX = 3
"""A version under trial across which the agent (or the whole box) was started anew so often is taken back."""


class Build(NamedTuple):
    """One folder of versions: a version, and the revision of the changes made here over it (0: never any)."""

    version: int = 0
    revision: int = 0


class Phase(StrEnum):
    """What the agent was doing. IDLE: nothing. TRIAL: `version` is being switched to or watched.
    BACK: `version` is being taken back for `previous`."""

    IDLE = "idle"
    TRIAL = "trial"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class ConfigState:
    """What outlives the agent. newest: highest version that was judged. attempts: starts of the agent during the
    trial. report: (version, state, problems) that the centre has not confirmed yet, or None. taken_back: changes made
    here with which the box was unwell."""

    phase: Phase = Phase.IDLE
    version: int = 0
    previous: int = 0
    attempts: int = 0
    newest: int = 0
    refused_version: int = 0
    problems: tuple[Reason, ...] = ()
    report: tuple[int, str, tuple[Reason, ...]] | None = None
    revision: int = 0
    previous_revision: int = 0
    taken_back: tuple[Change, ...] = ()

    def idle(self) -> "ConfigState":
        """The same with nothing under way."""
        return replace(
            self, phase=Phase.IDLE, version=0, previous=0, attempts=0, revision=0, previous_revision=0
        )

    def trial(self, target: Build, previous: Build) -> "ConfigState":
        """The same with `target` under trial."""
        return replace(
            self,
            phase=Phase.TRIAL,
            version=target.version,
            revision=target.revision,
            previous=previous.version,
            previous_revision=previous.revision,
            attempts=0,
        )

    @property
    def target(self) -> Build:
        """What is being switched to, watched or taken back."""
        return Build(self.version, self.revision)

    @property
    def before(self) -> Build:
        """What was in use before it."""
        return Build(self.previous, self.previous_revision)

    @property
    def is_change(self) -> bool:
        """Whether what is under way is a change made here, and no version of the centre's."""
        return self.phase is not Phase.IDLE and self.version == self.previous


Renderer = Callable[[site.Site, Path], None]
"""Writes what one daemon reads of a site into a version's folder, synced; raises `KyusaiError` or `OSError`."""


def render_route_snapshot(of: site.Site, folder: Path) -> None:
    """The snapshot for Kamailio's workers."""
    snapshot.write(of, folder / "route.sqlite")


RENDERERS: tuple[Renderer, ...] = (render_route_snapshot,)


@dataclass(slots=True)
class ConfigStore:
    """The versions of one box. state: as last saved. tidy: called when versions were removed, for what they alone named."""

    layout: Layout
    renderers: tuple[Renderer, ...] = RENDERERS
    tidy: Callable[[], object] = lambda: None
    state: ConfigState = field(default_factory=ConfigState)

    def load(self) -> ConfigState:
        """Read the state; a missing or damaged one is IDLE."""
        self.layout.versions_dir.mkdir(parents=True, exist_ok=True)
        self.state = _read_state(self._state_path)
        self._sweep()
        return self.state

    def read_state(self) -> ConfigState:
        """The state as it is on disk, for those who only look."""
        return _read_state(self._state_path)

    def save(self, state: ConfigState) -> None:
        """Make the state durable."""
        write_durably(self._state_path, json.dumps(_state_json(state)).encode())
        self.state = state

    @property
    def _state_path(self) -> Path:
        return self.layout.config_dir / "state.json"

    def current(self) -> Build:
        """What `current` points at; Build() when there is none or it is not complete."""
        try:
            build = _build(self.layout.current.readlink().name)
        except OSError:
            return Build()
        return build if build.version and self.complete(*build) else Build()

    def current_version(self) -> int:
        """The version in use, 0 for none."""
        return self.current().version

    @property
    def newest(self) -> int:
        """Highest version that was ever judged or is in use; only later ones are taken."""
        return max(self.state.newest, self.current_version())

    def complete(self, version: int, revision: int = 0) -> bool:
        """Whether a version lies there whole (its folder gets its name last)."""
        needed = [self.layout.document(version, revision), self.layout.route_snapshot(version, revision)]
        if revision:
            needed.append(self.layout.overlay(version, revision))
        return all(path.is_file() for path in needed)

    def builds(self) -> list[Build]:
        """Complete folders, ascending."""
        found = (_build(entry.name) for entry in self.layout.versions_dir.iterdir())
        return sorted(one for one in found if one.version and self.complete(*one))

    def versions(self) -> list[int]:
        """Complete versions, ascending."""
        return sorted({one.version for one in self.builds()})

    def render(self, envelope: Envelope, of: site.Site, overlay: Overlay = NO_OVERLAY) -> Build:
        """Lay a version's folder, complete and synced, beside the others. of: the site, changes included. Raises
        `KyusaiError` "config.render"."""
        build = Build(envelope.version, overlay.revision)
        folder = self.layout.version_dir(*build)
        partial = folder.with_name(folder.name + PARTIAL)
        try:
            for leftover in (partial, folder):
                shutil.rmtree(leftover, ignore_errors=True)
            partial.mkdir(mode=0o750)
            write_durably(partial / "document.json", envelope.document.encode())
            write_durably(partial / "envelope.json", json.dumps(asdict(envelope)).encode())
            if overlay.revision:
                write_durably(partial / "overlay.json", json.dumps(overlay.as_json()).encode())
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
        return build

    def switch(self, version: int, revision: int = 0) -> None:
        """Point `current` at a complete version, by one rename, durably."""
        link = self.layout.current.with_name("current" + PARTIAL)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("versions", self.layout.version_dir(version, revision).name))
        link.replace(self.layout.current)
        sync_folder(self.layout.config_dir)

    def document(self, version: int, revision: int = 0) -> site.Site:
        """The site of a version on disk, changes included. Raises `KyusaiError`, `OSError`."""
        text = self.layout.document(version, revision).read_bytes()
        active = self.overlay(version, revision).active
        return site.parse(applied(json.loads(text), active)) if active else site.loads(text)

    def envelope(self, version: int, revision: int = 0) -> Envelope:
        """What the centre signed of a version on disk; unsigned where somebody laid it there by hand. Raises `OSError`."""
        try:
            return envelope_from(json.loads(self.layout.envelope(version, revision).read_bytes()))
        except (FileNotFoundError, ValueError, WireError):
            return Envelope(self.layout.document(version, revision).read_text("utf-8"), version, "", "")

    def overlay(self, version: int, revision: int = 0) -> Overlay:
        """The changes made here that lie over a version on disk. Raises `KyusaiError` "config.overlay"."""
        if not revision:
            return NO_OVERLAY
        return read_overlay(self.layout.overlay(version, revision))

    def repair(self) -> Build:
        """See that `current` points at a complete version; returns it. Where it does not, the newest complete one
        that was not refused is taken, so that a damaged disk costs at most the last change."""
        current = self.current()
        if current.version and (not current.revision or self._readable(current)):
            return current
        usable = [
            one for one in self.builds() if one.version != self.state.refused_version and self._readable(one)
        ]
        if usable:
            self.switch(*usable[-1])
        return usable[-1] if usable else Build()

    def _readable(self, build: Build) -> bool:
        try:
            self.document(*build)
        except (OSError, ValueError, KyusaiError):
            return False
        return True

    def keep_offered(self, document: str) -> None:
        """Keep a document that was refused, for a person to look at. Its signature fits."""
        write_durably(self.layout.offered_document, document.encode())

    def discard(self, build: Build) -> None:
        """Remove a folder that must not be used again. Not the one in use."""
        if build != self.current():
            shutil.rmtree(self.layout.version_dir(*build), ignore_errors=True)

    def prune(self, keep: set[Build]) -> None:
        """Delete all but the newest folder of each of the newest `KEPT_VERSIONS` versions, and those in `keep`."""
        newest = {one.version: one for one in self.builds()}
        kept = {newest[version] for version in sorted(newest)[-KEPT_VERSIONS:]}
        for build in self.builds():
            if build not in kept | keep:
                shutil.rmtree(self.layout.version_dir(*build), ignore_errors=True)
        self.tidy()

    def _sweep(self) -> None:
        """Remove what an interrupted step left."""
        for leftover in self.layout.versions_dir.glob("*" + PARTIAL):
            shutil.rmtree(leftover, ignore_errors=True)
        with suppress(OSError):
            self.layout.current.with_name("current" + PARTIAL).unlink(missing_ok=True)


def read_overlay(path: Path) -> Overlay:
    """An overlay on disk. Raises `KyusaiError` "config.overlay" when it cannot be read."""
    try:
        return overlay_from(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise KyusaiError(
            "config.overlay",
            f"{path}: the changes made at this box cannot be read: {error}",
            "Look at the disk; the version before is used meanwhile.",
            path=str(path),
            detail=str(error),
        ) from error


def _build(name: str) -> Build:
    """What a folder is called; Build() for any other name."""
    match = re.fullmatch(r"([0-9]{1,16})(?:\+([0-9]{1,9}))?", name)
    return Build(int(match[1]), int(match[2] or 0)) if match else Build()


def _state_json(state: ConfigState) -> dict[str, Json]:
    """As it is kept: reasons as their lines, which is what an older release reads, with the details beside them."""
    problems, details = reasons_json(state.problems)
    report = state.report and [*state.report[:2], *reasons_json(state.report[2])]
    plain = asdict(replace(state, problems=(), report=None))
    return {**plain, "problems": problems, "details": details, "report": report}


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
            problems=reasons_from(stored["problems"], stored.get("details", ())),
            report=(int(report[0]), str(report[1]), reasons_from(*report[2:4])) if report else None,
            revision=int(stored.get("revision", 0)),
            previous_revision=int(stored.get("previous_revision", 0)),
            taken_back=tuple(change_from(one) for one in stored.get("taken_back", ())),
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
