"""The box's configuration: pull, check, lay down, switch, watch, go back by itself, report. Resumes where it was killed.

    pull ─► examine ─► render ─► [TRIAL] switch ─► watch ─► healthy: report "applied"
              │refused                               └─► unhealthy: [BACK] switch back, report "rolled_back"
              └─► report "refused", nothing else happens

Calls do not notice: Kamailio's workers look at `config/current` themselves. A centre that is away, hangs or answers
nonsense changes nothing. A version that was refused or taken back is not tried again; the next one is.

A change made here by a person (`appliance.overlay`) goes the same way, and the next version is laid under the changes
that are still open. One thing at a time: whatever is under trial is watched to its end first.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agent.config_check import ConfigRefused, Trust, examine
from agent.config_store import NO_OVERLAY, TRIALS_MAX, Build, ConfigState, ConfigStore, Phase
from agent.health import SAMPLE_S, HealthWatch, Verdict, Vitals, unwell
from agent.logs import Logger
from agent.version_users import Calls, VersionUsers
from appliance import overlay as overlays
from appliance.errors import KyusaiError
from appliance.local_change import ENDED_KEPT, Change, State
from appliance.overlay import Author, Overlay
from appliance.site import Site
from cloudsync.wire import LONG_POLL_MAX_S, PROBLEMS_MAX, Envelope, Reason
from cloudsync.wire import ConfigState as Outcome

EMPTY_POLL_MIN_S = 2.0
"""Pause after an answer that brought nothing new: a centre that does not hold the poll is not asked without end."""

UNBELIEVED_PAUSE_S = 60.0
"""Pause after a document that cannot be believed: the centre will send the same again."""

RECORDING_FIELD = '_audio"'
"""In a document that names recordings, and in few others."""


class ConfigSource(Protocol):
    """The centre, as far as configuration goes. Both raise `KyusaiError` or `OSError` when it cannot be reached."""

    async def config(self, have: int, wait_s: float) -> Envelope | None:
        """The newest envelope above version `have`, waiting up to `wait_s` for one; None when there is none."""
        ...

    async def config_status(self, version: int, state: Outcome, reasons: Sequence[Reason]) -> None:
        """Report what became of a version."""
        ...


Learn = Callable[[], Awaitable[Trust]]
"""Asks the centre for the keys that follow those of the trust, and gives the trust with them."""

Fetch = Callable[[Site], Awaitable[None]]
"""Brings what a document names beside itself, before it is used. Raises `ConfigRefused` where that cannot be, `CloudError`
while the centre is out of reach."""


async def nothing(_site: Site) -> None:
    """Of a box that takes its configuration from elsewhere."""


async def nobody() -> Calls:
    """The calls in applications of a box that has none."""
    return frozenset()


Activate = Callable[[Site], Awaitable[None]]
"""Called after a switch, also of one back: tells the daemons and the link watch. What it raises is not fatal."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change made here. changes: those that it made, or withdrew. reasons: why it was taken back, ()
    when it is in use."""

    changes: tuple[Change, ...]
    reasons: tuple[Reason, ...] = ()


class ConfigKeeper:
    """Keeps the box's configuration. look: the box's vitals now, given the number of extensions in use. calls: those that are up
    in the box's applications; what they may play from stays on the disk.

    site: the one in use, None before the first. overlay: the changes made here that lie over it. counts: outcomes since
    the agent started.
    """

    def __init__(
        self,
        store: ConfigStore,
        *,
        look: Callable[[int], Awaitable[Vitals]],
        activate: Activate,
        clock: Callable[[], float],
        log: Logger,
        fetch: Fetch = nothing,
        calls: Callable[[], Awaitable[Calls]] = nobody,
    ) -> None:
        self.store = store
        self._fetch = fetch
        self._calls = calls
        self._users = VersionUsers()
        self._look = look
        self._activate = activate
        self._clock = clock
        self._log = log
        self.site: Site | None = None
        self.overlay = NO_OVERLAY
        self._running = Build()
        self._one_at_a_time = asyncio.Lock()
        self.counts = dict.fromkeys(Outcome, 0)
        self.centre_seen_s: float | None = None
        self._awaited = 0
        self._asked_anew = False
        self._stale = asyncio.Event()
        self.applied_s: float | None = None
        self._reasons: tuple[Reason, ...] = ()

    async def resume(self) -> None:
        """Go on where the agent before this one stopped; leaves a usable version in use where there is one."""
        async with self._one_at_a_time:
            await self._resume()

    async def _resume(self) -> None:
        state = await asyncio.to_thread(self.store.load)
        if state.phase is Phase.TRIAL:
            await self._resume_trial(state)
        elif state.phase is Phase.BACK:
            await self._go_back(state, state.problems)
        current = await asyncio.to_thread(self.store.repair)
        if current.version and (self.site is None or self._running != current):
            await self._use(current)

    async def _resume_trial(self, state: ConfigState) -> None:
        if self.store.current() != state.target:  # killed before the switch: it will be sent, or made, again
            await self._save(state.idle())
            return
        state = replace(state, attempts=state.attempts + 1)
        await self._save(state)
        if state.attempts >= TRIALS_MAX and state.previous:
            template = "the agent was started {count} times during the trial"
            await self._go_back(state, (unwell("restarts", template, count=state.attempts),))
            return
        await self._use(state.target)
        await self._watch(state, Vitals(kamailio=True))

    async def settle(self) -> None:
        """Finish what a step that failed, by a full disk or a bug, has left halfway."""
        async with self._one_at_a_time:
            if self.store.state.phase is not Phase.IDLE:
                await self._resume()

    async def pull(self, source: ConfigSource, trust: Trust, learn: Learn | None = None) -> None:
        """Report what became of the last version, ask once for a newer one, and apply it. learn: called for a document
        of an unknown key, before it is judged. Raises what `source` and `learn` raise, and as `take`."""
        await self._report(source)
        newest = self.store.newest
        envelope = await self._poll(source, newest)
        self.centre_seen_s = self._clock()
        if envelope is None:
            await asyncio.sleep(EMPTY_POLL_MIN_S)
            return
        if learn is not None and not trust.knows(envelope.key_id):
            trust = await learn()
        if not await self.take(envelope, trust) and self.store.newest == newest:
            await self._report(source)
            await asyncio.sleep(UNBELIEVED_PAUSE_S)

    def heard_of(self, version: int) -> None:
        """The centre's newest version, as a heartbeat told it. A poll that has not brought it by the second heartbeat
        hangs on a connection that is dead: it is asked anew, once for each version, so that a slow line is not asked
        for ever."""
        if version <= self.store.newest:
            return
        if version > self._awaited:
            self._awaited, self._asked_anew = version, False
        elif not self._asked_anew:
            self._asked_anew = True
            self._stale.set()

    async def _poll(self, source: ConfigSource, newest: int) -> Envelope | None:
        self._stale.clear()
        poll = asyncio.ensure_future(source.config(newest, LONG_POLL_MAX_S))
        stale = asyncio.ensure_future(self._stale.wait())
        try:
            await asyncio.wait({poll, stale}, return_when=asyncio.FIRST_COMPLETED)
            if poll.done():
                return await poll
        finally:
            for one in (poll, stale):
                one.cancel()
            await asyncio.gather(poll, stale, return_exceptions=True)
        self._log.warning("config_poll_stale", version=self._awaited)
        return await source.config(newest, LONG_POLL_MAX_S)

    async def take(self, envelope: Envelope, trust: Trust) -> bool:
        """Judge an envelope and apply it; False when it was not taken. Raises `OSError`
        and `KyusaiError` when the disk fails halfway; `resume` then goes on. Raises what `fetch` raises: it comes again."""
        fault = await self._lacking(envelope, trust)
        async with self._one_at_a_time:
            return await self._take(envelope, trust, fault)

    async def _lacking(self, envelope: Envelope, trust: Trust) -> ConfigRefused | None:
        """Fetch what a believed document names. Nothing waits for it: it may take as long as the line is slow."""
        if RECORDING_FIELD not in envelope.document:
            return None
        try:
            await self._fetch(await asyncio.to_thread(examine, envelope, trust, self.store.newest))
        except ConfigRefused as refused:
            return refused
        return None

    async def _take(self, envelope: Envelope, trust: Trust, fault: ConfigRefused | None) -> bool:
        if self.store.state.phase is not Phase.IDLE:
            await self._resume()
        try:
            if fault is not None:
                raise fault
            site = await asyncio.to_thread(examine, envelope, trust, self.store.newest)
            overlay, site = await asyncio.to_thread(self._rebased, envelope, site)
            if not await self._apply(envelope, site, overlay):
                return False
        except ConfigRefused as refused:
            await self._refuse(envelope, refused)
            return False
        except (KyusaiError, OSError) as error:  # the disk
            if self.store.state.phase is not Phase.IDLE:
                raise  # the task is started again and settles it
            self._log.error("config_not_laid_down", version=envelope.version, reason=str(error))
            return False
        return True

    async def _refuse(self, envelope: Envelope, refused: ConfigRefused) -> None:
        version = envelope.version
        self.counts[Outcome.REFUSED] += 1
        problems = refused.problems[:PROBLEMS_MAX]
        told = tuple(map(str, problems[:20]))
        self._log.warning("config_refused", about=refused.key, version=version, problems=told)
        state = replace(self.store.state, refused_version=version, problems=problems)
        if refused.believed:
            with suppress(OSError):  # only for `kyusai config diff`
                await asyncio.to_thread(self.store.keep_offered, envelope.document)
            state = replace(state, newest=max(state.newest, version))
        await self._save(replace(state, report=(version, Outcome.REFUSED.value, problems)))

    async def change(self, wanted: Sequence[tuple[str, Any]], author: Author) -> Changed:
        """Set fields here, as a person asked for; wanted: path and value of each. Gives what became of it, once the
        box was watched with it. Raises what `overlay.made` raises (nothing was touched then), `KyusaiError` and
        `OSError` of the disk."""
        return await self._changed(
            lambda document: overlays.made(document, self.overlay, wanted, author, _new_id), author
        )

    async def withdraw(self, ids: Sequence[str], author: Author) -> Changed:
        """Take changes made here back, all without ids. Raises as `change`."""
        reason = f"{author.by}: {author.why}" if author.why else author.by
        return await self._changed(
            lambda document: overlays.withdrawn(document, self.overlay, ids, reason), author
        )

    async def _changed(
        self, lay: Callable[[dict[str, Any]], tuple[Overlay, Site]], author: Author
    ) -> Changed:
        async with self._one_at_a_time:
            if self.store.state.phase is not Phase.IDLE:
                await self._resume()
            running = self.store.current()
            if not running.version:
                raise KyusaiError(
                    "agent.no_config",
                    "this box has no site configuration yet",
                    "Enrol it with: kyusai enrol CODE",
                )
            envelope = await asyncio.to_thread(self.store.envelope, *running)
            before = self.overlay
            overlay, site = await asyncio.to_thread(lambda: lay(json.loads(envelope.document)))
            changes = tuple(one for one in overlay.changes if one not in before.changes)
            for one in changes:
                self._log.info(
                    "change_asked", path=one.path, state=one.state.value, by=author.by, why=author.why
                )
            if await self._apply(envelope, site, overlay):
                return Changed(changes)
            return Changed(changes, self._reasons)

    def _rebased(self, envelope: Envelope, site: Site) -> tuple[Overlay, Site]:
        """The open changes over another version. Blocks."""
        if not self.overlay.open:
            return self.overlay, site
        overlay, with_changes = overlays.rebased(
            json.loads(envelope.document),
            self.overlay,
            merged=site.merged_changes,
            refused=site.refused_changes,
        )
        for one in overlay.changes:
            if one.state is State.SET_ASIDE and one not in self.overlay.changes:
                self._log.warning("change_set_aside", path=one.path, id=one.id, reason=one.reason)
        return overlay, with_changes

    async def _apply(self, envelope: Envelope, site: Site, overlay: Overlay) -> bool:
        previous = self.store.current()
        before = await self._look(self._extensions())
        build = await asyncio.to_thread(self.store.render, envelope, site, overlay)
        state = self.store.state.trial(build, previous)
        await self._save(state)
        await asyncio.to_thread(self.store.switch, *build)
        await self._use(build, site, overlay)
        if not previous.version:  # nothing to go back to: no verdict could change anything
            await self._settle(state)
            return True
        return await self._watch(state, before)

    async def _watch(self, state: ConfigState, before: Vitals) -> bool:
        watch = HealthWatch(before, self._clock())
        while True:
            verdict = watch.look(await self._look(self._extensions()), self._clock())
            if verdict is Verdict.HEALTHY:
                await self._settle(state)
                return True
            if verdict is Verdict.UNHEALTHY:
                await self._go_back(state, watch.reasons)
                return False
            await asyncio.sleep(SAMPLE_S)

    async def _settle(self, state: ConfigState) -> None:
        version = state.version
        keep = {state.target, state.before}
        if state.is_change:
            self._log.info("change_in_use", version=version, revision=state.revision)
            await self._save(state.idle())
        else:
            self.counts[Outcome.APPLIED] += 1
            self._log.info("config_applied", version=version, before=state.previous)
            report = (version, Outcome.APPLIED.value, ())
            await self._save(
                replace(state.idle(), newest=version, problems=(), refused_version=0, report=report)
            )
        builds = await asyncio.to_thread(self.store.builds)
        up = await self._calls()
        self._users.replaced(
            state.before, up
        )  # those that came since count too: a list of calls may lag behind
        keep |= self._users.used(builds, up)
        await asyncio.to_thread(self.store.prune, keep)

    async def _go_back(self, state: ConfigState, reasons: tuple[Reason, ...]) -> None:
        """Take what is under trial back. Where the version before it is gone, it stays, with a report that says so."""
        version, told = state.version, tuple(map(str, reasons))
        if not self.store.complete(*state.before):
            self._log.error(
                "config_unhealthy", version=version, reasons=told, about="no version to go back to"
            )
            report = (version, Outcome.APPLIED.value, reasons[:PROBLEMS_MAX])
            await self._save(replace(state.idle(), newest=version, problems=reasons, report=report))
            return
        await self._save(replace(state, phase=Phase.BACK, problems=reasons))
        await asyncio.to_thread(self.store.switch, *state.before)
        over = len(self.overlay.active)
        await self._use(state.before)
        if state.is_change:
            await self._save(await asyncio.to_thread(self._without_change, state, reasons))
            await asyncio.to_thread(self.store.discard, state.target)
        else:
            self.counts[Outcome.ROLLED_BACK] += 1
            self._log.error("config_rolled_back", version=version, to=state.previous, reasons=told)
            if over:
                reasons = (
                    *reasons,
                    unwell("changes", "{count} changes made at the box lay over it", count=over),
                )
            report = (version, Outcome.ROLLED_BACK.value, reasons[:PROBLEMS_MAX])
            await self._save(
                replace(
                    state.idle(),
                    newest=max(version, state.newest),
                    refused_version=version,
                    problems=reasons,
                    report=report,
                )
            )

    def _without_change(self, state: ConfigState, reasons: tuple[Reason, ...]) -> ConfigState:
        """The state once a change made here was taken back; remembers what was tried, for people."""
        told = tuple(map(str, reasons))
        self._log.error("change_taken_back", version=state.version, revision=state.revision, reasons=told)
        self._reasons = reasons
        try:
            tried = self.store.overlay(*state.target).changes
        except KyusaiError:
            tried = ()
        made = [one.now(State.TAKEN_BACK, "; ".join(told)) for one in tried if one.made == state.revision]
        return replace(state.idle(), problems=(), taken_back=(*state.taken_back, *made)[-ENDED_KEPT:])

    async def _use(self, build: Build, site: Site | None = None, overlay: Overlay | None = None) -> None:
        """Tell the box that a version is in use. What the daemons say to it shows in their vitals."""
        try:
            if site is None:
                site = await asyncio.to_thread(self.store.document, *build)
            if overlay is None:
                overlay = await asyncio.to_thread(self.store.overlay, *build)
            self.site, self.overlay, self._running = site, overlay, build
            self.applied_s = self._clock()
            await self._activate(site)
        except (KyusaiError, OSError) as error:
            self._log.error("config_not_activated", version=build.version, reason=str(error))

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes made here that are known, the oldest first: open ones, and the last that are over."""
        return (*self.store.state.taken_back, *self.overlay.changes)

    async def _report(self, source: ConfigSource) -> None:
        report = self.store.state.report
        if report is None:
            return
        version, state, problems = report
        await source.config_status(version, Outcome(state), problems)
        if self.store.state.report == report:
            await self._save(replace(self.store.state, report=None))

    async def _save(self, state: ConfigState) -> None:
        await asyncio.to_thread(self.store.save, state)

    def _extensions(self) -> int:
        return len(self.site.extensions) if self.site else 0


def _new_id() -> str:
    return secrets.token_hex(4)
