"""What a process says that comes after a killed one must still be so after a power cut.

One process writes and is killed at each of its points. The next one opens the same files as the product does, and tells
what it finds; then the power goes, of what was not synced nothing is left, and what was told must be found again.
`python -m tests.crash.heirs` (under the shim) prints as JSON how many runs there were and what was told and lost; with
`--spoilt` the product does not sync what it finds, and each kind of file stops at the first loss.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from agent import journal_reader
from agent.journal_events import Moment as Time
from agent.journal_reader import Cursor, read_page
from agent.records import NewRecord
from agent.spool_files import open_spool
from appliance.kamailio.journal import Writer, prepare
from cloudsync.layout import CentreLayout
from cloudsync.service.centre import open_centre
from cloudsync.store import audit, sqlite
from cloudsync.store.sqlite import open_sqlite
from tests.crash import shim, warm
from tests.crash.plan import Fault, Moment
from tests.lab.own_folder import OwnFolder

Told = set[str] | None
STEPS = 2
"""Things that the first process writes, each durable before the next."""
MOMENTS = (Moment.BEFORE, Moment.DURING)
"""After a point is before the next one, for a process that does one thing at a time."""
NOW = Time("boot-a", 60_000, 1_790_000_000_000)


@dataclass(frozen=True, slots=True)
class Heir:
    """prepare: makes what is there before; write: what is killed; tell: what the next process finds, as it would act on it."""

    name: str
    prepare: Callable[[Path], None]
    write: Callable[[Path], None]
    tell: Callable[[Path], set[str]]


def _store(folder: Path) -> None:
    open_sqlite(folder / "centre.sqlite").close()


def _store_write(folder: Path) -> None:
    database = open_sqlite(folder / "centre.sqlite")
    for step in range(STEPS):
        with database.write() as connection:
            audit.add(connection, "2026-11-21T09:00:00Z", "admin:test", "crash.step", str(step))


def _store_tell(folder: Path) -> set[str]:
    with open_sqlite(folder / "centre.sqlite").read() as connection:
        return {str(row["subject"]) for row in audit.newest(connection, 10)}


def _keys_write(folder: Path) -> None:
    centre = open_centre(folder, {})
    centre.tls.ensure(["127.0.0.1"], centre.clock())


def _keys_tell(folder: Path) -> set[str]:
    centre = open_centre(folder, {})
    return {centre.tls.ca_certificate(), *(key.public_key for key in centre.keys.public())}


def _keys(folder: Path) -> None:
    """All but the keys: the schema's many steps are not what this is about."""
    open_sqlite(CentreLayout(folder).database).close()


def _spool(folder: Path) -> None:
    (folder / "spool.sqlite.reserve").touch()  # its 4 MiB of room are of no matter here
    open_spool(folder / "spool.sqlite", NOW).close()


def _spool_write(folder: Path) -> None:
    spool = open_spool(folder / "spool.sqlite", NOW).spool
    for step in range(STEPS):
        spool.append([NewRecord(f"event-{step}", "event", 1, NOW.wall_ms, NOW.boot_id, {"step": step})])


def _spool_tell(folder: Path) -> set[str]:
    spool = open_spool(folder / "spool.sqlite", NOW).spool
    with spool.reading() as db:  # those of a new spool wait for the centre's word on their numbers
        return {str(row[0]) for row in db.execute("SELECT id FROM record")}


class _Queue:
    """Kamailio's queue with one event at a time."""

    def __init__(self) -> None:
        self.items: list[tuple[str, str]] = []

    def put(self, _queue: str, key: str, value: str) -> bool:
        """At the end."""
        self.items.append((key, value))
        return True

    def take(self, queue: str) -> tuple[str, str] | None:
        """From the beginning."""
        return next(iter(self.take_all(queue, 1)), None)

    def take_all(self, _queue: str, most: int) -> list[tuple[str, str]]:
        """From the beginning."""
        taken, self.items = self.items[:most], self.items[most:]
        return taken


class _Clock:
    """Stands still."""

    def mono_ms(self) -> int:
        """Milliseconds."""
        return NOW.mono_ms

    def wall_ms(self) -> int:
        """Milliseconds."""
        return NOW.wall_ms


def _journal(folder: Path) -> None:
    prepare(folder / "journal.sqlite")


def _journal_write(folder: Path) -> None:
    path, queue = folder / "journal.sqlite", _Queue()
    prepare(path)
    writer = Writer(path, queue, lambda _text: None, _Clock(), NOW.boot_id)
    for step in range(STEPS):
        queue.put("journal", f"call-{step}", f"start {NOW.mono_ms} {NOW.wall_ms} {{}}")
        writer.tick()


def _journal_tell(folder: Path) -> set[str]:
    return {f"{event.seq} {event.call}" for event in read_page(folder / "journal.sqlite", Cursor()).events}


HEIRS = (
    Heir("the centre's store", _store, _store_write, _store_tell),
    Heir("the centre's keys", _keys, _keys_write, _keys_tell),
    Heir("the box's spool", _spool, _spool_write, _spool_tell),
    Heir("the call journal, read by the agent", _journal, _journal_write, _journal_tell),
)


def main(spoilt: bool) -> dict[str, dict[str, object]]:
    """All heirs, all points, all moments."""
    if spoilt:
        sqlite.sync_found = journal_reader.sync_log = lambda _path: None
    warm.before_forks()
    with OwnFolder("kyusai-heirs-", shim.memory()) as ground:
        return {heir.name: _all_points(heir, ground.path / heir.name, spoilt) for heir in HEIRS}


def _all_points(heir: Heir, ground: Path, first_only: bool) -> dict[str, object]:
    template = ground / "template"
    template.mkdir(parents=True)
    _child(lambda: heir.prepare(template))
    runs, lost = 0, list[str]()
    for point, moment in ((point, moment) for point in count(1) for moment in MOMENTS):
        found = _one(heir, template, ground / f"{point}-{moment}", Fault(point, moment))
        if found is None or (lost and first_only):
            break
        runs += 1
        lost += [f"point {point} {moment.name}: {what[:60]}" for what in sorted(found)]
    return {"runs": runs, "lost": lost}


def _one(heir: Heir, template: Path, folder: Path, fault: Fault) -> set[str] | None:
    """What was told and lost; None when the writer came to its end without reaching the point."""
    shutil.copytree(template, folder)
    watched = shim.Watched(folder)
    if _child(lambda: _armed(watched, fault, heir.write)) is not None:
        return None
    told = _child(lambda: _armed(watched, None, heir.tell))
    watched.leave_what_is_sure()
    found = _child(lambda: heir.tell(folder))
    shutil.rmtree(folder)
    if told is None or found is None:
        raise RuntimeError(f"{heir.name}: nothing was told after {fault}")
    return told - found


def _armed(watched: shim.Watched, fault: Fault | None, work: Callable[[Path], Told]) -> Told:
    shim.arm(watched.folder, watched.log, fault, "")
    return work(watched.folder)


def _child(work: Callable[[], set[str] | None]) -> set[str] | None:
    """What a forked child gives; None when it was killed. Raises RuntimeError when it failed by itself."""
    heard, voice = os.pipe()
    pid = os.fork()
    if pid == 0:
        warm.in_child()
        try:
            os.write(voice, json.dumps(sorted(work() or ())).encode())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(voice)
    with os.fdopen(heard, "rb") as stream:
        said = stream.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == -signal.SIGKILL:
        return None
    if status:
        raise RuntimeError(f"a process ended by itself: {status}")
    return set(json.loads(said))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main("--spoilt" in sys.argv), indent=1) + "\n")
