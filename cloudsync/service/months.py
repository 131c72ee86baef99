"""Retention of records by month of arrival: exported into a file that anybody can check, then dropped.

A month counts by arrival, so what an outage brings late is not dropped with the month in which it happened; and a month
that is over gets no more records, so that its export is whole. It is over an hour after its end: a request of its last
second may still be on its way into the store, and another machine of this centre may have a clock that is late.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from appliance.errors import KyusaiError
from cloudsync import durable
from cloudsync.refusals import NotFound
from cloudsync.service.centre import Centre
from cloudsync.store import audit, months
from cloudsync.store.months import Month
from cloudsync.wire import canonical_json, format_utc

OVER_AFTER = timedelta(hours=1)
"""The end of a month, by the clock of whoever asks."""


@dataclass(frozen=True, slots=True)
class Export:
    """The file that was written."""

    path: Path
    records: int
    sha256: str


def list_months(centre: Centre) -> list[Month]:
    """All months, the latest first."""
    with centre.database.read() as connection:
        return months.every(connection)


def export(centre: Centre, month: str, path: Path, actor: str) -> Export:
    """Write a month that is over into a new file: gzip, one record in JSON a line, with its hash and the one before.

    Raises NotFound `month.unknown`, KyusaiError `month.not_over`, FileExistsError.
    """
    _require_over(centre, month)
    counted = 0

    def lines() -> Iterator[bytes]:
        nonlocal counted
        with centre.database.read() as connection:
            for rows in months.rows(connection, month):
                counted += len(rows)
                text = "".join(f"{canonical_json(row)}\n" for row in rows)
                yield gzip.compress(
                    text.encode(), compresslevel=6, mtime=0
                )  # members in a row are one gzip file

    if path.exists():
        raise FileExistsError(f"{path} is there already")
    durable.write_pieces(path, lines())
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        months.note(connection, month, exported_utc=now_utc, exported_sha256=sha256, exported_records=counted)
        audit.add(connection, now_utc, actor, "month.export", month, sha256=sha256, records=counted)
    return Export(path, counted, sha256)


def drop(centre: Centre, month: str, actor: str, *, unexported: bool = False) -> int:
    """Remove the records of a month that is over and exported; gives their number. The ledger stays.

    Raises NotFound `month.unknown`, KyusaiError `month.not_over`, `month.not_exported`.
    """
    known = _require_over(centre, month)
    if known.exported_records != known.records and not unexported:
        raise KyusaiError(
            "month.not_exported",
            f"{month} has {known.records} records, {known.exported_records or 0} of them exported",
            f"First `kyusai centre months export {month} -o FILE`, or say --unexported.",
            month=month,
            records=known.records,
            exported=known.exported_records or 0,
        )
    now_utc = centre.now_utc()
    with centre.database.write() as connection:
        months.note(connection, month, dropped_utc=now_utc)
        audit.add(connection, now_utc, actor, "month.drop", month, records=known.records)
    months.drop(centre.database, month)
    return known.records


def _require_over(centre: Centre, month: str) -> Month:
    known = {one.month: one for one in list_months(centre)}.get(month)
    if known is None or not known.records:
        raise NotFound(
            "month.unknown",
            f"no records of {month!r} here",
            "`kyusai centre months` lists them.",
            month=month,
        )
    if month >= format_utc(centre.clock() - OVER_AFTER)[:7]:
        raise KyusaiError(
            "month.not_over",
            f"{month} is not over",
            "More records will arrive in it; wait until an hour after its end (UTC).",
            month=month,
        )
    return known
