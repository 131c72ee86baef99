"""CORE. Which of the centre's records somebody asked to see, and which CDRs were corrected afterwards.

A row is a record as the store gives it, its body decoded. Opens nothing; the time is an argument.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from appliance.errors import KyusaiError

CORRECTION = "cdr_correction"
"""The event that names a CDR that was closed by rule and tells it anew (docs/cdr.md)."""
NUMBER_FIELDS = ("caller", "dialled", "number", "answered_by", "origin_id")
"""Fields of a CDR in which a number may stand."""
CALL_FIELDS = ("id", "call", "call_id", "cdr_id")
"""Fields by which a record can be told to be of a call."""

_SPAN = re.compile(r"(\d{1,6})(min|h|d)")
_UNITS = {"min": "minutes", "h": "hours", "d": "days"}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show. since_utc: RFC 3339, "" for all. call: a Call-ID, a call's key, or a CDR's id. number: a number that
    called, was dialled or answered."""

    since_utc: str = ""
    call: str = ""
    number: str = ""

    def takes(self, row: Row) -> bool:
        """Whether the row is among them."""
        told = _told(row)
        return (
            made_utc(row) >= self.since_utc
            and (not self.call or self.call in (row["id"], *(told.get(name) for name in CALL_FIELDS)))
            and (not self.number or self.number in (told.get(name) for name in NUMBER_FIELDS))
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """A row to show. corrected: the CDR as it was told anew, None when it was not."""

    row: Row
    corrected: Row | None = None


def since_utc(text: str, now: datetime, zone: tzinfo | None) -> str:
    """The beginning of what somebody wants to see, in UTC as records carry it. text: "90min", "6h", "2d", a date or a date
    and time in `zone` (None: this machine's), or "" for everything. Raises KyusaiError."""
    if not text:
        return ""
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            begin = now - timedelta(**{_UNITS[span.group(2)]: int(span.group(1))})
        else:
            given = datetime.fromisoformat(text)
            begin = given if given.tzinfo else (given.replace(tzinfo=zone) if zone else given.astimezone())
        told = begin.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise KyusaiError(
            "centre.bad_since",
            f"{text!r} is no time",
            "Give a span (90min, 6h, 2d), a date (2026-11-21) or a date and time (2026-11-21T09:00).",
            value=text,
        ) from None
    return told.replace("+00:00", "Z")


def corrections(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """(site, CDR id) → the CDR as a correction tells it."""
    return {
        (row["site_id"], str(row["body"].get("cdr_id", ""))): row["body"]["cdr"]
        for row in rows
        if is_correction(row)
    }


def is_correction(row: Row) -> bool:
    """Whether the row is an event that corrects a CDR."""
    body = row["body"]
    return row["kind"] == "event" and body.get("event") == CORRECTION and isinstance(body.get("cdr"), dict)


def shown(rows: Sequence[Row], corrected: Mapping[tuple[str, str], Row]) -> list[Shown]:
    """The rows in their order, each CDR with its correction beside it. A correction stands by itself only where its CDR
    is not among the rows."""
    ids = {(row["site_id"], row["id"]) for row in rows if row["kind"] == "cdr"}
    return [
        Shown(row, corrected.get((row["site_id"], row["id"])) if row["kind"] == "cdr" else None)
        for row in rows
        if not (is_correction(row) and (row["site_id"], str(row["body"].get("cdr_id", ""))) in ids)
    ]


def made_utc(row: Row) -> str:
    """When the record was made: by its own clock, or as that was corrected afterwards."""
    return str(row.get("at_utc") or row["created_utc"])


def _told(row: Row) -> Row:
    """The fields to search in: a correction is found by those of the CDR that it tells anew."""
    body: Row = row["body"]
    return {**body["cdr"], **body} if is_correction(row) else body
