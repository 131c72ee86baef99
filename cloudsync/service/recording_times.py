"""When recordings of a box with a wrong clock began. The record of the call that a recording belongs to is of the boot in which
it was made, so its boot's steps say by which clock its time was told; without it, only its arrival is known.

Called by `clocks` for the calls of a boot, and by `recordings` for what is offered later. `cloudsync.clocks` decides.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from cloudsync.clocks import Source, Step, corrected_ms
from cloudsync.service.plausible import plausible, text_of_ms, to_ms
from cloudsync.store import clocks, recording_times
from cloudsync.store.clocks import Told
from cloudsync.store.recording_times import Call
from cloudsync.store.recordings import Recording
from cloudsync.wire import RecordKind, is_recording_id

_NAMED = '"recordings":["'
"""As it stands in the canonical JSON of a call's record that names any."""
NAMES_MAX = 20
"""Recordings that one call's record names: one for each restart of the relay within the call."""


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of a box, with the steps of its clock."""

    site_id: str
    box_id: str
    boot_id: str
    steps: tuple[Step, ...]


def correct_all(connection: Connection, boot: Boot, told: Iterable[Told]) -> None:
    """Keep which of these records of a boot name recordings, and correct those of them that were offered already."""
    for item in told:
        for name in _names(item):
            call = Call(boot.site_id, name, item.seq, boot.box_id, boot.boot_id, item.created_utc)
            recording_times.keep(connection, call)
            for known in recording_times.named(connection, boot.site_id, name):
                _put(connection, known, call, boot.steps)


def correct_one(connection: Connection, known: Recording) -> None:
    """Correct a recording that was offered just now, by the call that names it or else by its arrival."""
    call = recording_times.call_of(connection, known)
    steps: tuple[Step, ...] = ()
    if call is not None:
        steps = placed_steps(connection, call.site_id, call.box_id, call.boot_id)
    _put(connection, known, call, steps)


def placed_steps(connection: Connection, site_id: str, box_id: str, boot_id: str) -> tuple[Step, ...]:
    """The steps of one boot, each with its place among the boot's records."""
    return tuple(
        step.placed(
            [(seq, to_ms(utc)) for seq, utc in clocks.before(connection, site_id, box_id, boot_id, step.seq)]
        )
        for step in clocks.steps(connection, site_id, box_id, boot_id)
    )


def _put(connection: Connection, known: Recording, call: Call | None, steps: tuple[Step, ...]) -> None:
    own_ms = true_ms = to_ms(known.started_utc)
    if call is not None:
        _, true_ms = corrected_ms(call.seq, to_ms(call.created_utc), steps, [own_ms])
    at_utc = text_of_ms(true_ms)
    source: str | None = Source.SET.value
    early, late = plausible(known.offered_utc)
    if at_utc is None or not early <= at_utc <= late:
        at_utc, source = known.offered_utc, Source.ARRIVAL.value
    elif true_ms == own_ms:
        at_utc, source = None, None
    if (at_utc, source) != (known.at_utc, known.time_source):
        recording_times.put(connection, known, at_utc, source)


def _names(item: Told) -> Iterator[str]:
    if item.kind != RecordKind.CDR or _NAMED not in item.body:
        return
    names = json.loads(item.body).get("recordings")
    if isinstance(names, list):
        yield from [name for name in names if isinstance(name, str) and is_recording_id(name)][:NAMES_MAX]
