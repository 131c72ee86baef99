"""The product as it is, and spoilt on purpose: each spoilt variant is wrong in one way that the harness has to notice."""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.crash.plan import Side


def nothing() -> None:
    """The product as it is."""


@dataclass(frozen=True, slots=True)
class Variant:
    """side: whose process is spoilt. spoil: called in it before it begins. muted: syncs of paths with this text in them are
    not believed (as if the product had not asked for them)."""

    name: str
    side: Side | None = None
    spoil: Callable[[], None] = nothing
    muted: str = ""


def _box_synchronous_normal() -> None:
    from agent.spool import Spool

    begin: Any = Spool.__init__

    def begin_normal(self: Any, *arguments: Any) -> None:
        begin(self, *arguments)
        self._db.execute("PRAGMA synchronous = NORMAL")

    Spool.__init__ = begin_normal  # type: ignore[method-assign]


def _box_deletes_before_the_answer() -> None:
    from agent.records import Settlement
    from agent.spool import Spool

    waiting: Any = Spool.waiting

    def waiting_and_gone(self: Any, *arguments: Any, **options: Any) -> Any:
        found = waiting(self, *arguments, **options)
        self.settle(Settlement(tuple(record.id for record in found)))
        return found

    Spool.waiting = waiting_and_gone  # type: ignore[method-assign]


def _centre_synchronous_normal() -> None:
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def weaken(raw: sqlite3.Connection, _record: Any, _proxy: Any) -> None:
        raw.execute("PRAGMA synchronous = NORMAL")

    event.listen(Pool, "checkout", weaken)


def _centre_answers_before_the_commit() -> None:
    from cloudsync.ingest import read_batch
    from cloudsync.merge import Merged
    from cloudsync.service import records
    from cloudsync.wire import RecordResult

    take: Any = records.take_body

    def later(*arguments: Any, **options: Any) -> None:
        time.sleep(0.02)
        take(*arguments, **options)

    def answer_first(centre: Any, who: Any, body: bytes, **options: Any) -> Any:
        threading.Thread(target=later, args=(centre, who, body), kwargs=options, daemon=True).start()
        _, _, items = read_batch(body, **options)
        return Merged(tuple(RecordResult(item.id, "stored") for item in items), ())

    records.take_body = answer_first


PRODUCT = Variant("product")
SPOILT = (
    Variant("box: synchronous=NORMAL", Side.BOX, _box_synchronous_normal),
    Variant("box: deletes before the answer", Side.BOX, _box_deletes_before_the_answer),
    Variant("box: recordings handed over unsynced", Side.BOX, muted="/recordings"),
    Variant("centre: answers before the commit", Side.CENTRE, _centre_answers_before_the_commit),
    Variant("centre: synchronous=NORMAL", Side.CENTRE, _centre_synchronous_normal),
    Variant("centre: audio not synced before the receipt", Side.CENTRE, muted=".part"),
    Variant("centre: name not synced before the receipt", Side.CENTRE, muted="/recordings"),
)
