"""CORE. A box's figures over time from its `stat` records: the points, and the holes between them.

Records may have waited out an outage; what counts is when they were made, not when they came. A hole is a pause longer than
the record before it announced, while the box was up (the same boot); between two boots the box was off, which is no hole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cloudsync.wire import WireError, parse_utc

SLACK = 1.5
"""A pause of more than this many times the announced one is a hole."""
PREFIX = "kyusai_"
SERIES = "box"


@dataclass(frozen=True, slots=True)
class Point:
    """One record. at_s: seconds since 1970 by the box's clock, corrected where that was wrong; mono_s: since its boot."""

    box_id: str
    at_utc: str
    at_s: float
    mono_s: float
    boot_id: str
    every_s: float
    figures: Mapping[str, float]
    links: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Hole:
    """Nothing was recorded for `seconds` although the box was up. from_utc, to_utc: the points on its edges."""

    box_id: str
    from_utc: str
    to_utc: str
    seconds: float


def points(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """The points of rows of the store (bodies decoded), oldest first; other records are passed over."""
    found = [point for point in map(_point, rows) if point is not None]
    return sorted(found, key=lambda point: (point.box_id, point.at_s, point.mono_s))


def _point(row: Mapping[str, Any]) -> Point | None:
    body = row["body"]
    if row["kind"] != "stat" or not isinstance(body, dict) or body.get("series") != SERIES:
        return None
    try:
        return Point(
            box_id=str(row["box_id"]),
            at_utc=(at_utc := str(row.get("at_utc") or row["created_utc"])),
            at_s=parse_utc(at_utc).timestamp(),
            mono_s=float(body["mono_ms"]) / 1000,
            boot_id=str(row["boot_id"]),
            every_s=float(body["every_s"]),
            figures={str(name): float(value) for name, value in body["figures"].items()},
            links={str(name): dict(link) for name, link in body["links"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, WireError):
        return None


def holes(found: Sequence[Point]) -> list[Hole]:
    """The holes of a series, by the box's monotonic clock: a jump of its wall clock makes none and hides none."""
    made = []
    ordered = sorted(found, key=lambda point: (point.box_id, point.boot_id, point.mono_s))
    for before, after in pairwise(ordered):
        pause_s = after.mono_s - before.mono_s
        same = (before.box_id, before.boot_id) == (after.box_id, after.boot_id)
        if same and pause_s > SLACK * max(before.every_s, after.every_s):
            made.append(Hole(before.box_id, before.at_utc, after.at_utc, round(pause_s, 1)))
    return made


def open_metrics(site_id: str, found: Sequence[Point]) -> Iterator[str]:
    """The lines of the series as OpenMetrics with time stamps, for `promtool tsdb create-blocks-from openmetrics`."""
    names = sorted({name for point in found for name in point.figures})
    for name in names:
        yield f"# TYPE {PREFIX}{name} gauge"
        for point in found:
            if name in point.figures:
                labels = f'site="{site_id}",box="{point.box_id}"'
                yield f"{PREFIX}{name}{{{labels}}} {point.figures[name]:.10g} {point.at_s:.3f}"
    yield "# EOF"
