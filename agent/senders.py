"""The agent's sync tasks: pull documents, read the journal, send records, take in and upload recordings, each for ever.

Back-off is tenacity's: exponential with full jitter up to a stated cap, reset by success, never giving up. `nudge` cuts
a wait short (the link came back, a record was made); `stop` ends the task after the step in hand.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from agent.call_quality import Quality
from agent.call_records import CallRecords
from agent.cloud_errors import CloudError, CloudRefused
from agent.journal_events import Moment
from agent.journal_reader import JournalUnreadable
from agent.recording_spool import BadSidecar, as_handed_over, pending
from agent.recording_table import RecordingTable
from agent.recording_upload import RecordingSender
from agent.spool_errors import SpoolDamaged, SpoolError, SpoolFull, SpoolUnusable
from agent.upload import RecordSender
from appliance.errors import KyusaiError

BACKOFF_FIRST_S = 1.0
"""The first wait is between 0 and this."""
BACKOFF_CAP_S = 30.0
"""A record waits at most this long for a line that has come back unnoticed; a thousand boxes whose centre was away
come back over half a minute."""
REFUSED_PAUSE_S = 60.0
"""Pause after the centre said no to the box itself (revoked, unknown): only a person changes that."""
IDLE_S = 1.0
"""How often an empty table is looked at when nobody nudges."""
JOURNAL_EVERY_S = 0.25
"""How often the journal is looked at: an emergency call is known at the centre within a second."""
MEDIA_EVERY_S = 5.0
"""How often rtpengine is asked about calls that Kamailio restarted under: what their durations may be wrong by."""
RECORDINGS_EVERY_S = 2.0
"""How often finished recordings are looked for."""
UPLOADS_AT_ONCE = 8
"""Recordings on their way at once: while one waits for its receipt the others' pieces fill the line."""

Report = Callable[[Exception, float], object]
"""Told of each failed attempt, with the pause in seconds that follows."""


@dataclass(slots=True)
class Switches:
    """What the wiring uses to steer the tasks."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    nudge: asyncio.Event = field(default_factory=asyncio.Event)

    async def rest(self, seconds: float) -> bool:
        """Sleep, but no longer than to the next nudge or the stop; whether it was cut short."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.stop, self.nudge)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        cut_short = self.nudge.is_set()
        self.nudge.clear()
        return cut_short

    async def wait(self, seconds: float) -> None:
        """`rest` for those who do not care why it ended."""
        await self.rest(seconds)


async def run_journal(
    calls: CallRecords,
    now: Callable[[], Moment],
    switches: Switches,
    report: Report,
    *,
    kamailio_alive: Callable[[], bool] = lambda: True,
    media: Callable[[list[str]], Awaitable[frozenset[str] | None]] | None = None,
    quality: Callable[[list[str]], Awaitable[Mapping[str, Quality | None]]] | None = None,
    made: Callable[[], object] = lambda: None,
) -> None:
    """Fold the journal into the spool until stopped.

    kamailio_alive: whether it answered of late. media: given Call-IDs, those that rtpengine knows, None when it is
    silent; asked only while there are orphans. quality: given Call-IDs, what rtpengine says of each; those it leaves out are
    asked about again. made: called when records were made (nudge the sender).
    SpoolDamaged ends the task: the agent has to open the spool anew.
    """
    loop = asyncio.get_running_loop()
    ask_at_s = loop.time()
    while not switches.stop.is_set():
        try:
            known, orphans = None, calls.orphans
            if media is not None and orphans and loop.time() >= ask_at_s:
                known = await media(orphans)
                ask_at_s = loop.time() + MEDIA_EVERY_S
            count = await asyncio.to_thread(calls.read, now(), kamailio_alive=kamailio_alive(), media=known)
            if count:
                made()
            unheard = calls.unheard(now()) if quality is not None else []
            if quality is not None and unheard:
                calls.hear(await quality(unheard))
        except SpoolDamaged:
            raise
        except (SpoolError, JournalUnreadable) as error:
            report(error, JOURNAL_EVERY_S)
        await switches.rest(JOURNAL_EVERY_S)


async def run_records(sender: RecordSender, switches: Switches, report: Report) -> None:
    """Send records until stopped."""
    await _run(sender.send, switches, report)


async def run_config(pull: Callable[[], Awaitable[None]], switches: Switches, report: Report) -> None:
    """Pull site documents until stopped. An outage is no fault of the task: it asks again, as the other senders do."""

    async def step() -> bool:
        await pull()
        return True

    await _run(step, switches, report)


async def run_recordings(
    sender: RecordingSender, switches: Switches, report: Report, *, at_once: int = UPLOADS_AT_ONCE
) -> None:
    """Upload recordings until stopped, `at_once` of them side by side. Each lane backs off by itself."""
    lanes = [Switches(switches.stop) for _ in range(at_once)]
    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(_run(sender.upload, lane, report))
            while not switches.stop.is_set():
                if await switches.rest(IDLE_S):
                    for lane in lanes:
                        lane.nudge.set()
    except BaseExceptionGroup as group_error:
        raise group_error.exceptions[0] from group_error


ClassOf = Callable[[str], str]
"""The retention class of a recording that belongs to no call's record, by its id; "" for none."""


def _no_class(_recording_id: str) -> str:
    return ""


async def run_pick_up(
    table: RecordingTable,
    folder: Path,
    switches: Switches,
    report: Report,
    *,
    made: Callable[[], object],
    class_of: ClassOf = _no_class,
) -> None:
    """Take finished recordings of the media process into the table until stopped. class_of: of a recording by its id."""
    told: set[Path] = set()
    while not switches.stop.is_set():
        try:
            count, bad = await asyncio.to_thread(take_in, table, folder, class_of)
            for sidecar in bad:
                if sidecar.path not in told:
                    told.add(sidecar.path)
                    report(_bad_sidecar(sidecar), 0.0)
            if count:
                made()
        except SpoolDamaged:
            raise
        except (SpoolError, OSError) as error:
            report(error, RECORDINGS_EVERY_S)
        await switches.rest(RECORDINGS_EVERY_S)


def take_in(
    table: RecordingTable, folder: Path, class_of: ClassOf = _no_class
) -> tuple[int, list[BadSidecar]]:
    """One look at the folder; gives how many recordings are new, and sidecars that cannot be used. Blocks.

    A parked recording that was handed over anew (its conversion repeated after a crash) is new again."""
    found, bad = pending(folder, table.known())
    if found:
        table.add(found, {one.offer.id: class_of(one.offer.id) for one in found})
    renewed = [(old, as_handed_over(old)) for old in table.parked_recordings()]
    for old, new in renewed:
        if new != old:
            table.renew(new)
    return len(found) + sum(new != old for old, new in renewed), bad


def _bad_sidecar(sidecar: BadSidecar) -> KyusaiError:
    return KyusaiError(
        "recording.bad_sidecar",
        f"the recording of {sidecar.path} cannot be taken over: {sidecar.reason}",
        "Both files stay where they are. Look at them, then move them away.",
        path=sidecar.path,
        detail=sidecar.reason,
    )


async def _run(step: Callable[[], Awaitable[object]], switches: Switches, report: Report) -> None:
    """Repeat `step` while it finds something to do, rest when it does not, back off when it fails."""
    while not switches.stop.is_set():
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TRIED_AGAIN),
            wait=_pause,
            sleep=switches.wait,
            stop=lambda _state: switches.stop.is_set(),
            before_sleep=lambda state: _tell(state, report),
            reraise=False,
        )
        try:
            busy: object = await retrying(step)
        except RetryError:
            return
        if not busy:
            await switches.rest(IDLE_S)


_TRIED_AGAIN = (CloudError, SpoolFull, SpoolUnusable)
_spread = wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=BACKOFF_CAP_S)


def _pause(state: RetryCallState) -> float:
    """Seconds until the next try: jittered, but not before the centre wants to be asked again."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, CloudRefused):
        return REFUSED_PAUSE_S
    least_s = error.retry_after_s if isinstance(error, CloudError) else 0.0
    return max(_spread(state), least_s)


def _tell(state: RetryCallState, report: Report) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause_s = state.next_action.sleep if state.next_action else 0.0
    if isinstance(error, Exception):
        report(error, pause_s)
