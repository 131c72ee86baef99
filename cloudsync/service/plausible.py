"""Which times a box can have told rightly of what arrives now, and times as numbers. Opens nothing."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cloudsync.wire import WireError, format_utc, parse_utc

EARLIEST_UTC = "2025-01-01T00:00:00Z"
"""There was no box before."""

AHEAD = timedelta(days=1)
"""What was made so much later than it arrived was made by a wrong clock; a smaller error is not looked for."""


def plausible(now_utc: str) -> tuple[str, str]:
    """Between which times, as text, something that arrives now can have been made."""
    return EARLIEST_UTC, _latest(now_utc[:13])


@lru_cache(maxsize=64)
def _latest(hour: str) -> str:
    return format_utc(datetime.fromisoformat(f"{hour}:00:00Z") + timedelta(hours=1) + AHEAD)


def to_ms(utc: str) -> int:
    """A time as milliseconds since 1970; 0 for what is none."""
    try:
        return round(parse_utc(utc).timestamp() * 1000)
    except (WireError, OverflowError):
        return 0


def text_of_ms(ms: int) -> str | None:
    """Inverse of `to_ms`; None beyond the years that can be written."""
    try:
        return format_utc(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
    except OverflowError:
        return None
