"""A centre on PostgreSQL whose process, or whose PostgreSQL, is killed by SIGKILL at seeded moments while boxes send.

`bin/test crash --postgres [--runs N]`. PostgreSQL is a real one with `fsync` on; killed means all of its
processes at once, so that it recovers from its log. After each run every record and recording of every box has to be at
the centre exactly once and byte for byte. In the spoilt variant the centre does not wait for PostgreSQL's log to be
on the disk (`synchronous_commit=off`); it has to be found out.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool
from tenacity.wait import wait_random

from agent import senders, upload
from cloudsync.layout import CentreLayout
from cloudsync.service.centre import open_centre
from cloudsync.settings import StoreSettings, save
from cloudsync.store import recordings, records
from tests.crash import shim
from tests.crash.forked_centre import ForkedCentre
from tests.helpers.centre_box import prepare_site
from tests.helpers.synced_box import SyncedBox
from tests.lab.postgres import PostgresServer

ADDRESS = "127.0.98.5"
SITES = ("tokyo-1", "osaka-1")
RECORDS = 120
"""Of each box: in batches of four they take about a second, in which the kills fall."""
BATCH_RECORDS = 4
RECORDINGS = 2
RECORDING_BYTES = 300_000
KILLS = (1, 3)
FIRST_S = (0.0, 0.9)
"""When a kill comes, after the beginning or after the last thing was up again."""
DOWN_S = (0.0, 0.3)
RUNS = 50
SPOILT_NAME = "centre: synchronous_commit=off"
SETTINGS = {"wal_writer_delay": "10s", "max_wal_size": "96MB", "dynamic_shared_memory_type": "mmap"}
"""What changes nothing for a commit that is waited for; no more log than memory has room for, and no segments left behind."""
WORDS = ("lost", "doubled", "corrupt", "stuck")
SHOWN = 5
"""Faults named of one run."""
SPOILT_RUNS = 20
"""At most, until it is found out."""


class Victim(StrEnum):
    """Who dies."""

    CENTRE = "centre"
    DATABASE = "database"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Kill:
    """after_s: since all was up; down_s: until it is started again."""

    victim: Victim
    after_s: float
    down_s: float


@dataclass(slots=True)
class Found:
    """Faults of one run, in words, and what was killed."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there is no fault."""
        return not (self.lost or self.doubled or self.corrupt or self.stuck)


def plan(seed: int, number: int) -> tuple[Kill, ...]:
    """What is killed in run `number`, and when."""
    chance = random.Random(f"postgres/{seed}/{number}")
    victims = tuple(Victim)
    return tuple(
        Kill(chance.choice(victims), chance.uniform(*FIRST_S), chance.uniform(*DOWN_S))
        for _ in range(chance.randint(*KILLS))
    )


def campaign(runs: int, seed: int, with_spoilt: bool) -> dict[str, Any]:
    """The figures of `runs` runs, and of the spoilt variant's, which end with the first at fault."""
    _hurry()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kyusai-crash-pg-", dir=shim.memory()) as folder:
        ground = _Ground(Path(folder))
        try:
            found = _runs(ground, "product", runs, seed, None)
            if with_spoilt:
                found["spoilt"] = {SPOILT_NAME: _runs(ground, "spoilt", SPOILT_RUNS, seed, _commits_unsynced)}
        finally:
            ground.server.stop()
            ground.hand.shutdown()
    return {**found, "seed": seed, "seconds": round(time.monotonic() - began_s, 1)}


def _runs(
    ground: "_Ground", name: str, runs: int, seed: int, spoil: Callable[[], None] | None
) -> dict[str, Any]:
    killed: Counter[str] = Counter()
    total = Counter[str](dict.fromkeys(("runs", *WORDS, "at_fault"), 0))
    faults: list[Any] = []
    for number in range(runs):
        chosen = plan(seed, number)
        found = asyncio.run(_run(ground, f"{name}-{number}", chosen, spoil))
        total["runs"] += 1
        killed.update(str(kill.victim) for kill in chosen)
        words = {word: getattr(found, word) for word in WORDS}
        total.update({word: len(told) for word, told in words.items()})
        if not found.sound:
            total["at_fault"] += 1
            shown = {word: told[:SHOWN] for word, told in words.items() if told}
            faults.append({"number": number, "plan": str(chosen), **shown})
            if spoil is not None:
                break
    return {**total, "killed": dict(sorted(killed.items())), "faults": faults[:SHOWN]}


def _commits_unsynced() -> None:
    """In the centre's process: ask for what no centre asks for."""

    def weaken(raw: Any, _record: Any, _proxy: Any) -> None:
        raw.execute("SET synchronous_commit TO off")
        raw.commit()

    event.listen(Pool, "checkout", weaken)


def _hurry() -> None:
    """Shorter pauses and smaller batches than at a site."""
    senders.IDLE_S = 0.02
    senders.RECORDINGS_EVERY_S = 0.05
    senders.REFUSED_PAUSE_S = 0.1
    senders._spread = wait_random(0.01, 0.05)  # type: ignore[assignment]
    upload.BATCH_RECORDS_MAX = BATCH_RECORDS


class _Ground:
    """A PostgreSQL server, and the beginning that all runs share: a centre that knows the boxes, and the boxes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hand = ThreadPoolExecutor(1)
        """What kills and starts: PostgreSQL ends with the thread that started it, so that thread has to stay."""
        self.server = self.hand.submit(
            PostgresServer(durable=True, where=shim.memory(), **SETTINGS).start
        ).result()
        save_to = folder / "ground" / "centre"
        self._settle(save_to, self.server.create_database("ground"))
        centre = ForkedCentre(save_to, ADDRESS)
        opened = open_centre(save_to)
        texts = {site: prepare_site(opened, site) for site in SITES}
        opened.close()
        centre.start()
        try:
            asyncio.run(self._enrol(centre.url, texts))
        finally:
            centre.kill()

    async def _enrol(self, url: str, texts: dict[str, str]) -> None:
        for site, text in texts.items():
            box = await SyncedBox.enrolled(self.folder / "ground" / site, url, text, site, f"{site}-a")
            await box.close()

    def _settle(self, data: Path, url: str) -> None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        save(CentreLayout(data).settings, StoreSettings(url, ""))

    def copy(self, run: str) -> Path:
        """A free copy of the beginning, with a database of its own."""
        folder = self.folder / run
        shutil.copytree(self.folder / "ground", folder)
        self._settle(folder / "centre", self.server.create_database(run, template="ground"))
        return folder


async def _run(
    ground: _Ground, name: str, kills: tuple[Kill, ...], spoil: Callable[[], None] | None
) -> Found:
    folder = ground.copy(name)
    centre = ForkedCentre(folder / "centre", ADDRESS, spoil)
    centre.start()
    boxes = [SyncedBox(folder / site, centre.url, site, f"{site}-a") for site in SITES]
    found = Found()
    audio: dict[tuple[str, str], bytes] = {}
    try:
        for box in boxes:
            box.add(*_names(box.site_id))
            for n in range(RECORDINGS):
                recording = f"rec-{box.site_id}-{n}"
                audio[box.site_id, recording] = box.record(recording, RECORDING_BYTES)
        sending = asyncio.gather(*(box.sync() for box in boxes))
        try:
            for kill in kills:
                await asyncio.sleep(kill.after_s)
                await asyncio.get_running_loop().run_in_executor(
                    ground.hand, _strike, ground.server, centre, kill
                )
            await sending
        except TimeoutError:
            found.stuck.append(f"not over in time; errors: {[box.errors[-3:] for box in boxes]}")
        found.stuck += [f"parked: {what}" for box in boxes for what in box.parked()]
    finally:
        for box in boxes:
            await box.close()
        centre.kill()
        ground.hand.submit(_strike, ground.server, centre, Kill(Victim.DATABASE, 0, 0)).result()
    _judge(folder, audio, found)
    shutil.rmtree(folder)
    ground.server.drop_database(name)
    return found


def _names(site: str) -> list[str]:
    return [f"call-{site}-{n}" for n in range(RECORDS)]


def _strike(server: PostgresServer, centre: ForkedCentre, kill: Kill) -> None:
    """Kill, wait, and bring everything back."""
    if kill.victim is not Victim.DATABASE:
        centre.kill()
    if kill.victim is not Victim.CENTRE:
        server.slay()
    time.sleep(kill.down_s)
    if kill.victim is not Victim.CENTRE:
        server.start()
    if kill.victim is not Victim.DATABASE:
        centre.start()


def _judge(folder: Path, audio: dict[tuple[str, str], bytes], found: Found) -> None:
    opened = open_centre(folder / "centre")
    try:
        with opened.database.read() as connection:
            for site in SITES:
                rows = records.newest(connection, site_id=site, limit=10_000)
                held, wanted = Counter(str(row["id"]) for row in rows), Counter(_names(site))
                found.lost += sorted((wanted - held).elements())
                found.doubled += sorted((held - wanted).elements())
                ledger = records.ledger(connection, site)
                if ledger.missing or ledger.last_seq != RECORDS:
                    found.lost.append(f"{ledger.missing} of 1..{ledger.last_seq}")
                refused = records.refused(connection, site_id=site, limit=10)
                found.stuck += [f"refused: {row['id']} {row['reason']}" for row in refused]
                states = {row.id: row.state for row in recordings.newest(connection, site_id=site, limit=99)}
                for (of, name), data in audio.items():
                    if of == site:
                        _audio(opened.blobs.whole_path(site, name), data, states.get(name, "unknown"), found)
    finally:
        opened.close()


def _audio(path: Path, data: bytes, state: str, found: Found) -> None:
    if state != "stored" or not path.exists():
        found.lost.append(f"{path.stem}: {state}")
    elif path.read_bytes() != data:
        found.corrupt.append(path.stem)
