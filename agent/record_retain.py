"""Carries out what `record_retention` decides: in one transaction records go and the event comes that names them with their
hashes, so that the sequence and its chain stay whole at the centre.

A record that is on its way just then may arrive all the same; the centre then has it, and the event changes nothing.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from agent.cdr_fields import event_id
from agent.journal_events import Moment
from agent.record_retention import (
    LEAST_FOR_SIZE,
    ROW_BYTES,
    Found,
    Reason,
    Sort,
    ages_from,
    to_free_bytes,
    told,
)
from agent.records import NewRecord
from agent.spool import Spool
from agent.spool_chain import chain_of
from agent.spool_errors import spool_error
from appliance.site_model import Keeping
from cloudsync.wire import EVENT_GIVEN_UP, GIVEN_UP_MAX, Priority, RecordKind

AGES = "records_kept_s"
"""The cursor with the counted ages."""
TOTALS = "records_given_up"
"""The cursor with how many of each sort this box ever gave up, JSON."""

_ALONE = "instr(body, '\"survival_mode\":1') "
_WHICH = {
    Sort.FIGURES: f"kind = 'stat' AND {_ALONE} = 0",
    Sort.OUTAGE_FIGURES: f"kind = 'stat' AND {_ALONE} > 0",
    Sort.EVENT: "kind = 'event'",
}
_MAY_GO = f"state = 'waiting' AND priority = {Priority.REST:d}"
_FOUND = "seq, prev_hash, hash, created_utc, length(CAST(body AS BLOB))"


class RecordRetention:
    """One look after the other. given_up: how many of each sort, since this spool was made."""

    def __init__(self, spool: Spool, site_id: str, box_id: str) -> None:
        self._spool = spool
        self._site_id = site_id
        self._box_id = box_id
        totals = spool.cursor_json(TOTALS)
        self.given_up: dict[str, int] = totals if isinstance(totals, dict) else {}

    def look(self, keeping: Keeping, now: Moment, passed_s: float) -> list[tuple[Sort, Reason, int]]:
        """Give up what has to go; gives how many of what and why. passed_s: since the last look. Blocks. Raises SpoolError."""
        ages = ages_from(self._spool.cursor(AGES)).passed(passed_s, self._spool.chain().next_seq)
        self._spool.append(cursors={AGES: ages.as_json()})
        gone = [
            (sort, Reason.AGE, count)
            for sort in Sort
            for count, _ in self._batches(sort, Reason.AGE, now, ages.too_old_below(keeping))
        ]
        left_bytes = self._to_free_bytes(keeping)
        for sort in Sort:
            if left_bytes > 0:
                for count, freed_bytes in self._batches(sort, Reason.SIZE, now, 2**63 - 1, left_bytes):
                    gone.append((sort, Reason.SIZE, count))
                    left_bytes -= freed_bytes
        return gone

    def _to_free_bytes(self, keeping: Keeping) -> int:
        """By the file's pages first, which costs nothing; only a large one is read, by a connection that holds up nobody."""
        if not to_free_bytes(self._file_bytes(), keeping):
            return 0
        query = f"SELECT coalesce(sum(length(CAST(body AS BLOB)) + {ROW_BYTES}), 0) FROM record"  # noqa: S608
        try:
            with closing(sqlite3.connect(f"{self._spool.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                (spool_bytes,) = db.execute(query).fetchone()
                few = f"SELECT count(*) FROM (SELECT 1 FROM record WHERE {_MAY_GO} LIMIT {LEAST_FOR_SIZE})"  # noqa: S608
                (enough,) = db.execute(few).fetchone()
        except sqlite3.Error as error:
            raise spool_error(self._spool.path, error) from error
        return to_free_bytes(spool_bytes, keeping) if enough >= LEAST_FOR_SIZE else 0

    def _file_bytes(self) -> int:
        with self._spool.reading() as db:
            pages, free, size = (
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def _batches(
        self, sort: Sort, reason: Reason, now: Moment, below: int, bytes_most: int = 2**63
    ) -> Iterator[tuple[int, int]]:
        """Give up one sort, the oldest first, below a number and until so many bytes are won: number and bytes of each batch."""
        while bytes_most > 0 and below > 0:
            gone = self._give_up(sort, reason, now, below, bytes_most)
            if not gone:
                return
            freed_bytes = sum(one.frees_bytes for one in gone)
            bytes_most -= freed_bytes
            yield len(gone), freed_bytes

    def _give_up(self, sort: Sort, reason: Reason, now: Moment, below: int, bytes_most: int) -> list[Found]:
        with self._spool.transaction() as db:
            below = min(below, chain_of(db).sure_below)
            query = f"SELECT {_FOUND} FROM record WHERE {_MAY_GO} AND seq < ? AND {_WHICH[sort]}"  # noqa: S608
            rows = db.execute(f"{query} ORDER BY seq LIMIT ?", (below, GIVEN_UP_MAX)).fetchall()
            gone: list[Found] = []
            for row in rows:
                if sum(one.frees_bytes for one in gone) >= bytes_most:
                    break
                gone.append(Found(*row))
            if not gone:
                return []
            totals = {**self.given_up, sort.value: self.given_up.get(sort.value, 0) + len(gone)}
            self._spool.forget(db, [one.seq for one in gone])
            self._spool.add_records(db, [self._event(gone, sort, reason, now)])
            db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (TOTALS, json.dumps(totals)))
        self.given_up = totals
        return gone

    def _event(self, gone: list[Found], sort: Sort, reason: Reason, now: Moment) -> NewRecord:
        id_ = event_id(
            self._site_id,
            self._box_id,
            EVENT_GIVEN_UP,
            gone[0].hash,
            now.boot_id,
            wall_ms=now.wall_ms,
        )
        body = told(gone, sort, reason)
        return NewRecord(id_, RecordKind.EVENT, Priority.CDR, now.wall_ms, now.boot_id, body)
