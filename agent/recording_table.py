"""The spool's index of recordings: which wait, which are parked, how far each upload is. The files are the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent import recording_classes
from agent.recording_classes import CLASS_PREFIX
from agent.recording_spool import Recording
from agent.retention import Kept, names_of
from agent.spool import PARKED, WAITING, Spool
from cloudsync.wire import RecordingOffer

NO_CLASSES: Mapping[str, str] = MappingProxyType({})
_COLUMNS = "id, call, path, sha256, cipher_sha256, bytes, started_utc, duration_s, format"


@dataclass(frozen=True, slots=True)
class RecordingDepth:
    """What waits here. bytes: of waiting recordings, less what the centre already has of them."""

    waiting: int
    parked: int
    bytes: int


class RecordingTable:
    """Access to the table in an open spool. Methods block on disk and raise SpoolErrors."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def known(self) -> set[str]:
        """Ids of all recordings in the table."""
        with self._spool.reading() as db:
            return {row[0] for row in db.execute("SELECT id FROM recording")}

    def add(self, recordings: Sequence[Recording], classes: Mapping[str, str] = NO_CLASSES) -> None:
        """Take recordings in; known ones stay as they are. classes: by id, of those that have one from the beginning."""
        rows = [
            (
                r.offer.id,
                r.offer.call,
                str(r.path),
                r.offer.sha256,
                r.offer.cipher_sha256,
                r.offer.bytes,
                r.offer.started_utc,
                r.offer.duration_s,
                r.offer.format,
            )
            for r in recordings
        ]
        with self._spool.transaction() as db:
            query = f"INSERT OR IGNORE INTO recording ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            db.executemany(query, rows)
            named = [(f"{CLASS_PREFIX}{id_}", name) for id_, name in classes.items() if name]
            db.executemany("INSERT OR IGNORE INTO cursor VALUES (?, ?)", named)

    def waiting(self, limit: int, *, but: Sequence[str] = ()) -> list[Recording]:
        """Recordings to upload, oldest first, without those whose id is in `but`."""
        marks = ", ".join("?" * len(but))
        query = f"""SELECT {_COLUMNS} FROM recording WHERE state = ? AND id NOT IN ({marks})
            ORDER BY started_utc, id LIMIT ?"""  # noqa: S608
        with self._spool.reading() as db:
            rows = db.execute(query, (WAITING, *but, limit)).fetchall()
        return [_decoded(row) for row in rows]

    def find(self, recording_id: str) -> Recording | None:
        """The recording as the table has it, None for none."""
        query = f"SELECT {_COLUMNS} FROM recording WHERE id = ?"  # noqa: S608
        with self._spool.reading() as db:
            row = db.execute(query, (recording_id,)).fetchone()
        return _decoded(row) if row else None

    def kept(self) -> list[Kept]:
        """All recordings on the box, for `retention`."""
        with self._spool.reading() as db:
            rows = db.execute("SELECT id, started_utc, bytes, state FROM recording")
            return [
                Kept(id_, started_utc, size_bytes, state == PARKED)
                for id_, started_utc, size_bytes, state in rows
            ]

    def class_of(self, recording_id: str) -> str:
        """The retention class of a recording, by its call's record or by what it is of; "" for none (yet)."""
        classes = recording_classes.named(self._spool, names_of(recording_id))
        return next(iter(classes.values()), "")

    def renew(self, recording: Recording) -> None:
        """It was handed over anew: as it is now it waits from the beginning."""
        with self._spool.transaction() as db:
            db.execute("DELETE FROM recording WHERE id = ?", (recording.offer.id,))
        self.add([recording])

    def uploaded(self, recording_id: str, offset: int) -> None:
        """Note for people how much of it the centre has."""
        with self._spool.transaction() as db:
            db.execute("UPDATE recording SET uploaded_bytes = ? WHERE id = ?", (offset, recording_id))

    def park(self, recording_id: str, reason: str) -> None:
        """Keep it, but stop trying until a person says so."""
        with self._spool.transaction() as db:
            db.execute(
                "UPDATE recording SET state = ?, reason = ? WHERE id = ?", (PARKED, reason, recording_id)
            )

    def parked(self) -> list[tuple[str, str]]:
        """Parked recordings as (id, reason)."""
        with self._spool.reading() as db:
            return db.execute(
                "SELECT id, reason FROM recording WHERE state = ? ORDER BY id", (PARKED,)
            ).fetchall()

    def parked_recordings(self) -> list[Recording]:
        """Parked recordings as the table has them."""
        query = f"SELECT {_COLUMNS} FROM recording WHERE state = ? ORDER BY id"  # noqa: S608
        with self._spool.reading() as db:
            return [_decoded(row) for row in db.execute(query, (PARKED,))]

    def retry_parked(self) -> int:
        """Let parked recordings wait again; gives how many."""
        with self._spool.transaction() as db:
            query = "UPDATE recording SET state = ?, reason = '' WHERE state = ?"
            return db.execute(query, (WAITING, PARKED)).rowcount

    def forget(self, recording_id: str) -> None:
        """The centre has it and its files are gone."""
        with self._spool.transaction() as db:
            db.execute("DELETE FROM recording WHERE id = ?", (recording_id,))

    def depth(self) -> RecordingDepth:
        """How much waits."""
        query = "SELECT state, count(*), sum(bytes - uploaded_bytes) FROM recording GROUP BY state"
        with self._spool.reading() as db:
            found = {row[0]: row[1:] for row in db.execute(query)}
        waiting, left_bytes = found.get(WAITING, (0, 0))
        return RecordingDepth(waiting, found.get(PARKED, (0, 0))[0], left_bytes)


def _decoded(row: tuple[Any, ...]) -> Recording:
    return Recording(Path(row[2]), RecordingOffer(row[0], row[1], *row[3:]))
