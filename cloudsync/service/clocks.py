"""Records of boxes whose clock was wrong get the time at which they were made, beside what they say themselves.

Done apart from the request that brought them, boot by boot: a step of the clock concerns records that came before it and
others that are still on their way. `cloudsync.clocks` decides.
"""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from cloudsync.clocks import Source, Step, corrected_ms
from cloudsync.merge import Sound
from cloudsync.service import recording_times
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.plausible import plausible, text_of_ms, to_ms
from cloudsync.service.recording_times import Boot
from cloudsync.store import audit, clocks, jobs
from cloudsync.store.clocks import Corrected, Told
from cloudsync.store.jobs import Job
from cloudsync.wire import RecordKind, canonical_json

KIND = "clock"

CALL_TIMES = ("start_utc", "answer_utc", "end_utc")
"""Fields of a call's record that tell wall times."""

CORRECTION = '"event":"cdr_correction"'
MARK = '"event":"clock_set_'
"""As it stands in the canonical JSON of an event that tells of a step."""
_ENDED = '"end_utc":"'
"""As it stands in the canonical JSON of a call's record."""
_MINUTE = len("2026-11-21T09:30")
MADE_MS = 10_000
"""A box makes a call's record a second or two after the call's end. Where the two are further apart, they may have been told by
two clocks. Within one minute they are not told apart: so little is not worth more than a glance at each record that comes."""

ONCE_MORE_S = 10.0
"""A boot that is looked at already is looked at once more after this: of a month that comes in batches each one asks for it."""

AGAIN_FIRST_S, AGAIN_MOST_S, AGAIN_TIMES = 60.0, 6 * 3600.0, 100
"""While records of the site are missing, it is looked again for them, for some three weeks."""


def notice(connection: Connection, who: BoxIdentity, item: Sound, now_utc: str) -> bool:
    """Keep a step that an event tells of; False when it tells none that can be used."""
    body = json.loads(item.body)
    by_ms, uptime_ms = body.get("by_ms"), body.get("mono_ms")
    if type(by_ms) is not int or not 0 < abs(by_ms) < 2**52:
        return False
    uptime_ms = uptime_ms if type(uptime_ms) is int and 0 <= uptime_ms < 2**52 else None
    step = Step(item.seq, to_ms(item.created_utc), by_ms, uptime_ms)
    clocks.add_step(connection, who.site_id, who.box_id, item.boot_id, step)
    audit.add(
        connection,
        now_utc,
        f"box:{who.box_id}",
        "clock.set",
        who.site_id,
        boot_id=item.boot_id,
        by_ms=by_ms,
    )
    return True


def may_be_by_two_clocks(item: Sound) -> bool:
    """Whether a call's record tells another minute for its call's end than for its own making. One look at the text: every
    record that comes is asked."""
    begin = item.body.find(_ENDED)
    if begin < 0:
        return False
    begin += len(_ENDED)
    return item.body[begin : begin + _MINUTE] != item.created_utc[:_MINUTE]


def by_two_clocks(item: Sound) -> bool:
    """Whether a call's record may tell its call's times by another clock than its own: the clock was set in between."""
    begin = item.body.find(_ENDED) + len(_ENDED)
    ended_utc = item.body[begin : item.body.find('"', begin)]
    return abs(to_ms(item.created_utc) - to_ms(ended_utc)) > MADE_MS


def was_set(connection: Connection, who: BoxIdentity, boot_id: str) -> bool:
    """Whether a step of the clock is known of this boot: then what comes of it later has to be looked at too."""
    return bool(clocks.steps(connection, who.site_id, who.box_id, boot_id))


def doubt(connection: Connection, centre: Centre, who: BoxIdentity, boot_ids: Iterable[str]) -> None:
    """Let the times of these boots be looked at."""
    now_s = centre.clock().timestamp()
    for boot_id in boot_ids:
        jobs.renew(connection, KIND, who.site_id, f"{who.box_id} {boot_id}", now_s, ONCE_MORE_S)


def correct(centre: Centre, job: Job) -> None:
    """Work out when the records of one boot were made. Blocks on the store, in slices."""
    box_id, _, boot_id = job.subject.partition(" ")
    with centre.database.read() as connection:
        steps = recording_times.placed_steps(connection, job.site_id, box_id, boot_id)
    boot = Boot(job.site_id, box_id, boot_id, steps)
    after = 0
    while True:
        with (
            centre.database.read() as connection
        ):  # records never change: nobody has to wait while they are looked for
            told, after = clocks.of_boot(connection, job.site_id, box_id, boot_id, after)
        found = [one for one in (_corrected(item, steps) for item in told) if one is not None]
        if told:
            with centre.database.write() as connection:
                clocks.put(connection, job.site_id, told, found)
                recording_times.correct_all(connection, boot, told)
        if not after:
            break
    _look_again(centre, job)


def _look_again(centre: Centre, job: Job) -> None:
    pause_s = min(AGAIN_FIRST_S * 2 ** min(job.attempts - 1, 20), AGAIN_MOST_S)
    with centre.database.write() as connection:
        if job.attempts < AGAIN_TIMES and not clocks.is_complete(connection, job.site_id):
            jobs.put_off(connection, job, centre.clock().timestamp() + pause_s)


def _corrected(told: Told, steps: Sequence[Step]) -> Corrected | None:
    """The true times of a record, None when its own hold."""
    call = _call_times(told) if steps else {}
    own_ms = [to_ms(told.created_utc), *(to_ms(utc) for utc in call.values())]
    true_ms = corrected_ms(told.seq, own_ms[0], steps, own_ms[1:])
    at_utc = text_of_ms(true_ms[0])
    early, late = plausible(told.received_utc)
    if at_utc is None or not early <= at_utc <= late:
        return Corrected(told, told.received_utc, Source.ARRIVAL.value)
    if true_ms == own_ms:
        return None
    times = {name: text_of_ms(ms) for name, ms in zip(call, true_ms[1:], strict=True)}
    changed = canonical_json(times) if true_ms[1:] != own_ms[1:] else None
    return Corrected(told, at_utc, Source.SET.value, changed)


def _call_times(told: Told) -> dict[str, str]:
    """The times that a call's record tells, by field; none for another record."""
    if told.kind != RecordKind.CDR and CORRECTION not in told.body:
        return {}
    body = json.loads(told.body)
    call = body.get("cdr", body) if isinstance(body, dict) else {}
    if not isinstance(call, dict):
        return {}
    return {name: call[name] for name in CALL_TIMES if isinstance(call.get(name), str) and call[name]}
