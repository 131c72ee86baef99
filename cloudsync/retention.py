"""CORE. How long a recording is kept: by its class, and by the days that the site's newest document gives the class.

Counted from when the centre had stored it, by the centre's clock: no box's clock can shorten it. Where the centre's clock said a
time before the recording began, it was behind then, and the days count from the beginning. A class that the document does not
name, or no class, never ends.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from cloudsync.wire import WireError, format_utc, parse_utc


def days_of(document: object) -> dict[str, int]:
    """Class -> days, as a site document says it; what is malformed there is passed over."""
    recording = document.get("recording") if isinstance(document, dict) else None
    rows = recording.get("retention") if isinstance(recording, dict) else None
    return {
        row["class"]: row["days"]
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
        and isinstance(row.get("class"), str)
        and type(row.get("days")) is int
        and row["days"] > 0
    }


def stored_until_utc(now: datetime, days: int) -> str | None:
    """What was stored then or before has run out by now; None beyond the years that can be written."""
    try:
        return format_utc(now - timedelta(days=days))
    except OverflowError:
        return None


def begins_utc(stored_utc: str | None, started_utc: str, now_utc: str) -> str | None:
    """From when the days count. started_utc: by the box's clock, which was ahead if that is still to come."""
    if stored_utc and stored_utc < started_utc <= now_utc:
        return started_utc
    return stored_utc


def kept_until_utc(retention: str | None, begins_utc: str | None, days: Mapping[str, int]) -> str | None:
    """When a recording may be deleted; None: never, or it is not stored yet. See `begins_utc`."""
    if not begins_utc or retention is None or retention not in days:
        return None
    try:
        return format_utc(parse_utc(begins_utc) + timedelta(days=days[retention]))
    except (WireError, OverflowError):
        return None
