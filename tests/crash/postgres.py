"""A run of a centre on PostgreSQL: its process, or its PostgreSQL, is killed by SIGKILL while two boxes send to it.

`bin/test crash --postgres [--runs N]`. PostgreSQL is a real one with `fsync` on; killed means all of its
processes at once, so that it recovers from its log. After each run every record and recording of every box has to be at
the centre exactly once and byte for byte. In the spoilt variant the centre does not wait for PostgreSQL's log to be
on the disk (`synchronous_commit=off`); it has to be found out.
"""

import asyncio
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.pool import Pool

from cloudsync.layout import CentreLayout
from cloudsync.service.centre import open_centre
from cloudsync.settings import StoreSettings, save
from cloudsync.store import recordings, records
from tests.crash.forked_centre import ForkedCentre
from tests.crash.requests import Requests
from tests.crash.verdict import Verdict
from tests.helpers.centre_box import prepare_site
from tests.helpers.synced_box import SyncedBox
from tests.lab.postgres import PostgresServer

SITES = ("tokyo-1", "osaka-1")
RECORDS = 120
"""Of each box, in batches of `BATCH_RECORDS`."""
BATCH_RECORDS = 4
NEWEST_RECORDS = 10
"""Small, so that records go out of their order."""
RECORDINGS = 2
RECORDING_BYTES = 300_000
KILLS = (1, 3)
REQUESTS = 100
"""What both boxes ask for in a run in which nobody is killed, at least; a kill comes at one of them, or soon after."""
LATE_S = 0.02
"""Up to so long after: a request takes half as long."""
DOWN_S = (0.0, 0.3)
RUNS = 50
SPOILT_NAME = "centre: synchronous_commit=off"
SETTINGS = {"wal_writer_delay": "10s", "max_wal_size": "96MB", "dynamic_shared_memory_type": "mmap"}
"""What changes nothing for a commit that is waited for; no more log than memory has room for, and no segments left behind."""


class Victim(StrEnum):
    """Who dies."""

    CENTRE = "centre"
    DATABASE = "database"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Kill:
    """at_request: how many more requests begin before it, since the beginning or the last kill; late_s: after that one began;
    down_s: until it is started again."""

    victim: Victim
    at_request: int
    late_s: float
    down_s: float


def plan(seed: int, number: int) -> tuple[Kill, ...]:
    """What is killed in run `number`, and when: at moments of the sending, for a clock's would fall behind its end on a fast
    machine."""
    chance = random.Random(f"postgres/{seed}/{number}")
    victims = tuple(Victim)
    kills = chance.randint(*KILLS)
    return tuple(
        Kill(
            chance.choice(victims),
            chance.randrange(REQUESTS // kills),
            chance.uniform(0, LATE_S),
            chance.uniform(*DOWN_S),
        )
        for _ in range(kills)
    )


def commits_unsynced() -> None:
    """In the centre's process: ask for what no centre asks for."""

    def weaken(raw: Any, _record: Any, _proxy: Any) -> None:
        raw.execute("SET synchronous_commit TO off")
        raw.commit()

    event.listen(Pool, "checkout", weaken)


class Ground:
    """A PostgreSQL server, and the beginning that all runs share: a centre that knows the boxes, and the boxes."""

    def __init__(self, folder: Path, address: str) -> None:
        """address: where this worker's centres are."""
        self.folder = folder
        self.address = address
        self.hand = ThreadPoolExecutor(1)
        """What kills and starts: PostgreSQL ends with the thread that started it, so that thread has to stay."""
        self.server = PostgresServer(durable=True, where=str(folder), **SETTINGS)

    def __enter__(self) -> Self:
        """Start the server, make the beginning."""
        try:
            self.hand.submit(self.server.start).result()
            self._begin(self.folder / "ground" / "centre")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server, forget its files."""
        self.server.stop()
        self.hand.shutdown()

    def _begin(self, data: Path) -> None:
        self._settle(data, self.server.create_database("ground"))
        centre = ForkedCentre(data, self.address)
        opened = open_centre(data)
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


async def run(
    ground: Ground, name: str, kills: tuple[Kill, ...], spoil: Callable[[], None] | None
) -> tuple[Verdict, list[str]]:
    """One run by a free name; what was found, and who was killed while something was being sent."""
    folder = ground.copy(name)
    centre = ForkedCentre(folder / "centre", ground.address, spoil)
    centre.start()
    requests = Requests()
    boxes = [SyncedBox(folder / site, centre.url, site, f"{site}-a", requests.began) for site in SITES]
    found, killed = Verdict(), list[str]()
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
                await requests.further(kill.at_request, or_until=sending)
                await asyncio.sleep(kill.late_s)
                if sending.done():
                    break
                killed.append(str(kill.victim))
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
        ground.hand.submit(_strike, ground.server, centre, Kill(Victim.DATABASE, 0, 0, 0)).result()
    _judge(folder, audio, found)
    shutil.rmtree(folder)
    ground.server.drop_database(name)
    return found, killed


def _names(site: str) -> list[str]:
    return [f"call-{site}-{n}" for n in range(RECORDS)]


def _strike(server: PostgresServer, centre: ForkedCentre, kill: Kill) -> None:
    """Kill, wait, and bring everything back."""
    if kill.victim is not Victim.DATABASE:
        centre.strike()  # its end is not waited for: PostgreSQL shall not finish what it had asked for
    if kill.victim is not Victim.CENTRE:
        server.slay()
    if kill.victim is not Victim.DATABASE:
        centre.kill()
    time.sleep(kill.down_s)
    if kill.victim is not Victim.CENTRE:
        server.start()
    if kill.victim is not Victim.DATABASE:
        centre.start()


def _judge(folder: Path, audio: dict[tuple[str, str], bytes], found: Verdict) -> None:
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


def _audio(path: Path, data: bytes, state: str, found: Verdict) -> None:
    if state != "stored" or not path.exists():
        found.lost.append(f"{path.stem}: {state}")
    elif path.read_bytes() != data:
        found.corrupt.append(path.stem)
