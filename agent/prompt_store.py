"""Recordings that the site document names: fetched before the document is used, kept by their hash, removed when no version
on disk names them. ADAPTER: disk and centre.

A recording that came in half stays where it is (`.part`) and is gone on with, also by the next agent. It gets its name when
its hash was checked. A line that breaks is no fault of the document: it is fetched again until it is there.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from agent.cloud_errors import CloudRefused
from agent.config_check import ConfigRefused
from agent.config_store import sync_folder
from agent.logs import Logger
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.prompt_texts import OWN, own_file
from appliance.layout import Layout
from cloudsync.wire import PROMPT_BYTES_MAX

PART = ".part"
READ_BYTES = 1024 * 1024


class PromptSource(Protocol):
    """The centre, as far as prompts go. Raises the errors of `cloud_errors`."""

    async def prompt(self, sha256: str, begin: int) -> tuple[bytes, int]:
        """Bytes from `begin` on, and how many there are in all."""
        ...


class PromptStore:
    """The recordings of one box."""

    def __init__(self, layout: Layout, log: Logger) -> None:
        self._layout = layout
        self._log = log
        self._coming: frozenset[str] = frozenset()

    def lacking(self, plan: MediaPlan) -> list[str]:
        """Hashes of recordings that the site names and this box does not have. Blocks on disk."""
        return [one for one in sorted(named(plan)) if not self._there(one)]

    async def fetch(self, plan: MediaPlan, source: PromptSource) -> None:
        """Fetch what is lacking. Raises `ConfigRefused` for a recording that the centre does not have, or that is another
        one; `CloudError` when it cannot be reached; `OSError` of the disk."""
        self._coming = named(plan)
        for sha256 in await asyncio.to_thread(self.lacking, plan):
            try:
                await self._fetch(sha256, source)
            except CloudRefused as refused:
                raise _refused("config.prompt_unknown", sha256, refused.message) from refused
            self._log.info("prompt_fetched", sha256=sha256)

    async def _fetch(self, sha256: str, source: PromptSource) -> None:
        path = self._path(sha256)
        part = path.with_name(path.name + PART)
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        have = part.stat().st_size if part.exists() else 0
        size_bytes = have + 1
        while have < size_bytes:
            try:
                data, size_bytes = await source.prompt(sha256, have)
            except CloudRefused as refused:
                if refused.status != 416 or not have:
                    raise
                break  # all of it is there
            if not data or size_bytes > PROMPT_BYTES_MAX or have + len(data) > size_bytes:
                raise _refused("config.prompt_differs", sha256, f"{size_bytes} bytes are told of")
            await asyncio.to_thread(_append, part, data)
            have += len(data)
        if await asyncio.to_thread(_sha256, part) != sha256:
            part.unlink()
            raise _refused("config.prompt_differs", sha256, "its bytes have another hash")
        await asyncio.to_thread(_put, part, path)

    def sweep(self) -> list[str]:
        """Remove recordings that neither a version on disk names nor the one that comes now; their names. Blocks on disk."""
        kept: set[str] = set()
        for version in self._layout.versions_dir.glob("*/document.json"):
            try:
                kept |= _named_in(json.loads(version.read_bytes()))
            except (OSError, ValueError):
                return []  # what cannot be read may name any of them
        if self._coming <= kept:  # laid down by now
            self._coming = frozenset()
        kept |= self._coming
        gone = []
        for path in (self._layout.prompts_dir / OWN).glob("*.wav*"):
            if path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)
                gone.append(path.name)
        return gone

    def _path(self, sha256: str) -> Path:
        return self._layout.prompts_dir / own_file(sha256)

    def _there(self, sha256: str) -> bool:
        path = self._path(sha256)
        return path.is_file() and not path.is_symlink()


def named(plan: MediaPlan) -> frozenset[str]:
    """Hashes of the recordings that a site names."""
    return frozenset(sha256 for prompt in plan.prompts for _, sha256 in prompt.audio)


def _named_in(document: object) -> set[str]:
    prompts: Iterable[object] = document.get("prompts", ()) if isinstance(document, dict) else ()
    return {
        str(value)
        for prompt in prompts
        if isinstance(prompt, dict)
        for name, value in prompt.items()
        if name.endswith("_audio")
    }


def _refused(key: str, sha256: str, detail: str) -> ConfigRefused:
    return ConfigRefused(
        key,
        f"the prompt {sha256[:16]}… cannot be had from the centre: {detail}",
        "Store it with kyusai centre prompt add and publish again; the running version stays in use.",
        believed=True,
        sha256=sha256[:16],
        detail=detail,
    )


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with suppress(FileNotFoundError), path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _put(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)
