"""CORE. Whether the recordings that a call's record names are held, and why one is not. Opens nothing.

A record names a recording by its id, or by how the ids of the call's recordings begin (docs/cdr.md); how many there are it does
not say. So what is told of a name is what is known of each recording of that name, and of a name without any why there is none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from cloudsync.wire import VOICEMAIL_EVENT, Json, RecordKind, parse_utc

NAMES_MAX = 200
"""Of one record."""
MADE_WITHIN = timedelta(hours=1)
"""A recording is made after its call, at the lowest priority; until then nobody counts it as waiting."""

Row = Mapping[str, Any]


class Held(StrEnum):
    """What is known of a recording."""

    STORED = "stored"
    """The centre holds it."""
    COMING = "coming"
    """Its upload has begun."""
    EXPECTED = "expected"
    """Its box may still have it, or be making it."""
    DELETED = "deleted"
    """It was here until its class had run out."""
    GIVEN_UP = "given_up"
    """Its box gave it up before it was here, and said so."""
    MISSING = "missing"
    """Neither here nor at its box, and nobody said why: lost, or never made."""


@dataclass(frozen=True, slots=True)
class Known:
    """A recording and what is known of it."""

    id: str
    held: Held


@dataclass(frozen=True, slots=True)
class Named:
    """A name in a record, and the recordings of that name. held: of all of them; of a name without any, why there is none."""

    name: str
    held: tuple[Held, ...]
    recordings: tuple[Known, ...] = ()


def names_of(row: Row) -> list[str]:
    """The names of recordings in a record: of a call, or of a message in a voicemail box."""
    body = row["body"]
    found: Json = []
    if row["kind"] == RecordKind.CDR:
        found = body.get("recordings")
    elif row["kind"] == RecordKind.EVENT and body.get("event") == VOICEMAIL_EVENT:
        found = [body.get("recording")]
    return [name for name in found[:NAMES_MAX] if isinstance(name, str) and name] if found else []


def named(name: str, here: Iterable[Known], given_up: Iterable[str], *, expected: bool) -> Named:
    """What is known of a name. here: recordings of that name that the centre knows; given_up: ids that boxes gave up; expected:
    whether the box may still have one."""
    known = {one.id: one for one in here}
    for recording_id in given_up:
        known.setdefault(recording_id, Known(recording_id, Held.GIVEN_UP))
    if not known:
        return Named(name, (Held.EXPECTED if expected else Held.MISSING,))
    found = {one.held for one in known.values()}
    return Named(name, tuple(held for held in Held if held in found), tuple(known.values()))


def may_come(received_utc: str, seen_utc: str | None, telemetry: Row, *, revoked: bool) -> bool:
    """Whether a box may still bring a recording. received_utc: when the record that names it came; seen_utc: when the box was
    last heard, with `telemetry`."""
    if revoked:
        return False
    if seen_utc is None or parse_utc(seen_utc) < parse_utc(received_utc) + MADE_WITHIN:
        return True
    spool = telemetry.get("spool")
    if not isinstance(spool, dict):
        return True
    return any(spool.get(name) != 0 for name in ("recordings_waiting", "recordings_parked"))


def as_json(found: Sequence[Named]) -> list[dict[str, Json]]:
    """For `--json`."""
    return [
        {
            "name": one.name,
            "held": [str(held) for held in one.held],
            "recordings": [{"id": known.id, "held": str(known.held)} for known in one.recordings],
        }
        for one in found
    ]
