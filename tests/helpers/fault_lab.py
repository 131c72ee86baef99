"""What the tests of missing things ask of a lab again and again."""

import asyncio
import contextlib
import hashlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.box import kyusai
from tests.lab.evidence import sides
from tests.lab.lab import Lab
from tests.lab.phone import PhoneCall
from tests.lab.processes import wait_until

LOCAL = {"cloud": False, "cloud_phones": 0, "gateway": False, "carrier": False}
"""Parts of a lab in which a site has nobody but itself."""

ARRIVE_S = 90.0
"""For what must come to the centre: it takes seconds, and on a machine that drowns in work a minute."""


async def cdrs_of(
    lab: Lab, calls: Collection[PhoneCall], timeout_s: float = ARRIVE_S
) -> dict[str, dict[str, Any]]:
    """CDR bodies at the centre by Call-ID, once every call has one. Fails when one is missing or there twice."""
    wanted = {call.call_id for call in calls}
    rows: list[dict[str, Any]] = []

    async def all_there() -> bool:
        nonlocal rows
        rows = [row["body"] for row in await lab.centre.records("cdr")]
        return wanted <= {row["call_id"] for row in rows}

    await wait_until(all_there, f"CDRs of {sorted(wanted)} at the centre", timeout_s)
    doubled = {call_id: count for call_id, count in Counter(r["call_id"] for r in rows).items() if count > 1}
    assert doubled == {}
    return {row["call_id"]: row for row in rows if row["call_id"] in wanted}


async def events_of(lab: Lab, name: str) -> list[dict[str, Any]]:
    """Bodies of the events of one name at the centre, oldest first."""
    rows = await lab.centre.records("event")
    return [row["body"] for row in reversed(rows) if row["body"]["event"] == name]


async def wait_event(lab: Lab, name: str, count: int = 1, timeout_s: float = ARRIVE_S) -> dict[str, Any]:
    """The newest event of that name, once the centre has `count`."""

    async def there() -> bool:
        return len(await events_of(lab, name)) >= count

    await wait_until(there, f"{count} events {name} at the centre", timeout_s)
    return (await events_of(lab, name))[-1]


async def metric(lab: Lab, name: str, **labels: str) -> float:
    """Sum of the box's own samples of that name and those labels."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(lab.box.metrics_url)).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def heard_both_ways(lab: Lab, call: PhoneCall, callee: str) -> None:
    """Waits until both telephones of a call hear each other's tone."""
    other = lab.phones[callee].current()
    await call.wait_hears(lab.phones[callee].tone_hz)
    await other.wait_hears(call.phone.tone_hz)


@dataclass(frozen=True)
class Fetched:
    """One recording as it lies at the centre, decrypted to `path`."""

    path: Path
    duration_s: float
    hash_ok: bool

    async def sides(self, left_hz: int, right_hz: int) -> tuple[bool, bool]:
        """Whether the left side holds the caller's tone and the right one the callee's."""
        return await asyncio.to_thread(sides, self.path, left_hz, right_hz)


async def recordings_of(
    lab: Lab, calls: Collection[PhoneCall], timeout_s: float = ARRIVE_S
) -> dict[str, list[Fetched]]:
    """Recordings of calls by Call-ID, oldest first, once each of them has one that is stored at the centre."""
    wanted = {call.call_id for call in calls}
    rows: list[dict[str, Any]] = []

    async def all_stored() -> bool:
        nonlocal rows
        rows = [row for row in await lab.centre.recordings() if row["call"] in wanted]
        stored = {row["call"] for row in rows if row["state"] == "stored"}
        return stored == wanted

    await wait_until(all_stored, f"recordings of {sorted(wanted)} at the centre", timeout_s)
    found: dict[str, list[Fetched]] = {}
    for row in sorted(rows, key=lambda row: str(row["started_utc"])):
        path = lab.folder / f"{row['id']}.ogg"
        await kyusai("recordings", "fetch", row["id"], "-o", path, "--data", lab.centre.data)
        hash_ok = hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
        found.setdefault(row["call"], []).append(Fetched(path, float(row["duration_s"]), hash_ok))
    return found


class SmallDisk:
    """A file system of `size_mib` in memory at `path`; a ballast file takes its room away and gives it back."""

    def __init__(self, path: Path, size_mib: float) -> None:
        self.path = path
        self.size_bytes = int(size_mib * (1 << 20))
        self._ballast = path / "ballast"

    @property
    def free_bytes(self) -> int:
        """What is left."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def leave(self, free_bytes: int) -> None:
        """Take room until `free_bytes` are left; give some back when less is."""
        with self._ballast.open("ab") as ballast:
            size = max(0, os.fstat(ballast.fileno()).st_size + self.free_bytes - free_bytes)
            os.ftruncate(ballast.fileno(), size)
            if size:
                os.posix_fallocate(ballast.fileno(), 0, size)

    def clear(self) -> None:
        """Give everything back."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(path: Path, size_mib: float) -> Iterator[SmallDisk]:
    """Mounts a `SmallDisk`; raises PermissionError where that needs rights that this process lacks."""
    path.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={int(size_mib * 1024)}k", "kyusai-test", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(f"no file system could be mounted: {done.stderr.strip()}")
    try:
        yield SmallDisk(path, size_mib)
    finally:
        end_s = time.monotonic() + 5
        while subprocess.run(["umount", str(path)], capture_output=True, check=False).returncode:
            if time.monotonic() > end_s:
                subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
                break
            time.sleep(0.1)
