"""The sync of one box by itself: its spool, its recordings, and the agent's own tasks that bring both to a centre."""

import asyncio
import hashlib
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tenacity.wait import wait_random

from agent import recording_spool, senders
from agent.acknowledged import Acknowledged
from agent.cloud_client import CloudClient
from agent.cloud_transport import Answer, Transport, pinned
from agent.enrol import enrol
from agent.identity import load_enrolled, load_or_make
from agent.journal_events import Moment
from agent.receipts import Receipts
from agent.recording_table import RecordingTable
from agent.recording_upload import RecordingSender
from agent.records import NewRecord
from agent.senders import Switches
from agent.sent_again import SentAgain
from agent.spool_files import open_spool
from agent.upload import RecordSender
from tests.helpers.centre_box import CentreProcess, prepare_site, random_bytes

NOW = Moment("boot-a", 5_000, 1_790_000_000_000)
SITE = "tokyo-1"
BOX = "tokyo-1-a"
COPIES_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 64 * 1024
GIVE_UP_S = 120.0
LOOK_S = 0.05
STARTED_UTC = "2026-11-21T09:30:00Z"


class SyncedBox:
    """A box's folder, opened. `close` it before its folder is copied or opened again."""

    def __init__(
        self,
        folder: Path,
        url: str,
        site_id: str = SITE,
        box_id: str = BOX,
        asked: Callable[[], object] = lambda: None,
    ) -> None:
        """Open the folder of an enrolled box. url: where its centre is. asked: called when a request to it begins."""
        enrolled = load_enrolled(folder / "enrolment.json")
        assert enrolled is not None
        self.folder = folder
        self.site_id = site_id
        identity = load_or_make(folder / "key.pem")
        self.cloud = CloudClient(_Telling(url, pinned(enrolled.ca_pem), asked), box_id, identity.sign)
        self.opened = open_spool(folder / "spool.sqlite", NOW)
        self.spool = self.opened.spool
        self.table = RecordingTable(self.spool)
        self.copies = Acknowledged(folder / "acknowledged.sqlite", lambda: COPIES_BYTES)
        self.sent_again = SentAgain(self.spool, self.copies, self.cloud, lambda: NOW)
        self.receipts = Receipts(
            self.spool,
            self.cloud,
            site_id,
            lambda: enrolled.enrolment.config_keys,
            folder / "receipt.json",
            _Hurried(),
            received=self.sent_again.look,
        )
        self.errors: list[str] = []

    @classmethod
    async def enrolled(
        cls, folder: Path, url: str, text: str, site_id: str = SITE, box_id: str = BOX
    ) -> Self:
        """Enrol a new box with the text of a code, then open it."""
        await enrol(
            text, url, box_id, {"kyusai": "t"}, key=folder / "key.pem", enrolment=folder / "enrolment.json"
        )
        return cls(folder, url, site_id, box_id)

    async def close(self) -> None:
        """Let go of the spool and the line."""
        await self.cloud.close()
        self.copies.close()
        self.opened.close()

    def add(self, *names: str, wall_ms: int = NOW.wall_ms) -> None:
        """Records of those names, made at a moment of the box's clock."""
        self.spool.append([NewRecord(name, "cdr", 1, wall_ms, "boot-a", {"call_id": name}) for name in names])

    def record(self, name: str, size_bytes: int = 200_000) -> bytes:
        """Hand a recording over, as the media process does; gives its encrypted bytes."""
        folder = self.folder / "recordings"
        folder.mkdir(exist_ok=True)
        data = random_bytes(size_bytes, sum(name.encode()))
        path = folder / f"{name}.age"
        path.write_bytes(data)
        plain = hashlib.sha256(b"plain " + name.encode()).hexdigest()
        cipher = hashlib.sha256(data).hexdigest()
        recording_spool.add(name, "call", path, plain, cipher, len(data), STARTED_UTC, 9.5, "ogg/opus")
        return data

    def left(self) -> bool:
        """Whether something waits here."""
        return bool(self.spool.depth().waiting or list((self.folder / "recordings").glob("*.json")))

    def parked(self) -> list[tuple[str, str]]:
        """(id, reason) of what is parked."""
        return [(row[1], row[3]) for row in self.spool.parked()] + self.table.parked()

    async def sync(self, until: Callable[[], bool] | None = None) -> None:
        """Run the agent's tasks until nothing is left here, or `until` is true."""
        switches = Switches()

        def report(error: Exception, _pause_s: float) -> None:
            self.errors.append(str(getattr(error, "key", error)))

        records = RecordSender(
            self.spool, self.cloud, self.site_id, drained=self.receipts.drained, copies=self.copies
        )
        sender = RecordingSender(self.table, self.cloud, self.site_id, lambda: (), piece_bytes=PIECE_BYTES)
        folder = self.folder / "recordings"
        tasks = [
            asyncio.create_task(work)
            for work in (
                senders.run_records(records, Switches(switches.stop), report),
                senders.run_recordings(sender, Switches(switches.stop), report, at_once=2),
                senders.run_pick_up(self.table, folder, Switches(switches.stop), report, made=lambda: None),
            )
        ]
        try:
            async with asyncio.timeout(GIVE_UP_S):
                while not (until() if until else not self.left()):
                    await asyncio.sleep(LOOK_S)
                    for task in tasks:
                        if task.done():
                            task.result()
        finally:
            switches.stop.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def copy(self, folder: Path) -> Path:
        """The folder as a backup of a running machine has it: files as they are, the log beside the spool."""
        shutil.copytree(self.folder, folder)
        return folder


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter pauses than at a site."""
    monkeypatch.setattr(senders, "IDLE_S", 0.05)
    monkeypatch.setattr(senders, "RECORDINGS_EVERY_S", 0.1)
    monkeypatch.setattr(senders, "REFUSED_PAUSE_S", 0.1)
    monkeypatch.setattr(senders, "_spread", wait_random(0.01, 0.1))


@contextmanager
def running_centre(folder: Path) -> Iterator[CentreProcess]:
    """A centre of its own, as a process."""
    process = CentreProcess(folder)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@asynccontextmanager
async def box_of(centre: CentreProcess, folder: Path) -> AsyncIterator[SyncedBox]:
    """A box of `SITE` that is enrolled at this centre."""
    with centre.store() as opened:
        text = prepare_site(opened, SITE)
    made = await SyncedBox.enrolled(folder, centre.url, text)
    try:
        yield made
    finally:
        await made.close()


class _Telling(Transport):
    """Tells of each request before it begins."""

    def __init__(self, url: str, context: ssl.SSLContext, asked: Callable[[], object]) -> None:
        super().__init__(url, context)
        self._asked = asked

    async def request(self, *arguments: Any, **options: Any) -> Answer:
        """As it is."""
        self._asked()
        return await super().request(*arguments, **options)


class _Hurried:
    """A monotonic clock by which an hour passes between two looks: a receipt is asked for each time."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self._now_s += 3600
        return self._now_s
