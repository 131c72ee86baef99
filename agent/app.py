"""The agent: the one place that wires its parts together. Nothing imports it but the command line.

It runs beside calls, never in them. Every task may fail without the others noticing; killed at any moment, the next
agent goes on where this one stopped.
"""

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata

from agent import application_figures, clock, notify, series
from agent.applications import Applications
from agent.at_rest_watch import AtRestWatch
from agent.audio_place import make_folders
from agent.capture_sync import CaptureSync
from agent.centre import Centre
from agent.change_desk import ChangeDesk
from agent.change_reports import LOOK_S as CHANGES_S
from agent.change_reports import ChangeReports
from agent.clerk import api_of, clerk_of
from agent.clock_steps import LOOK_S, ClockSteps
from agent.config import ConfigKeeper
from agent.config_store import RENDERERS, ConfigStore
from agent.disk import Use
from agent.disk_watch import DiskWatch
from agent.events import Events
from agent.evidence import Sighting
from agent.freeswitch_watch import FreeSwitchGuard
from agent.hang_watch import KamailioGuard
from agent.health import Vitals
from agent.in_memory import InMemory
from agent.journal_tail import JournalTail
from agent.kamailio_figures import read_figures
from agent.kamailio_rpc import KamailioRpc, RpcError
from agent.link import Effect, HoldDown, Link
from agent.links import Links
from agent.local_http import LocalHttp
from agent.logs import Logger
from agent.metrics import exposition
from agent.pause_keys import PauseKeys
from agent.pin_locks import PinLocks
from agent.prompt_store import PromptStore
from agent.publish import BEAT_S, known_state, publish
from agent.recording_switch import RecordingSwitch
from agent.schedules import SchedulesByHand
from agent.self_test import cases
from agent.self_test_call import place
from agent.spool import Spool
from agent.spool_errors import SpoolDamaged
from agent.spool_files import OpenedSpool, open_spool
from agent.status import (
    ApplicationsStatus,
    ConfigStatus,
    KamailioStatus,
    SpoolStatus,
    Status,
    TaskStatus,
    centre_status,
    link_status,
    status_page,
    survives,
)
from agent.supervisor import Supervisor
from agent.voicemail_watch import LOOK_ERRORS, VoicemailWatch
from agent.voicemail_watch import LOOK_S as VOICEMAIL_S
from appliance.addresses import endpoint
from appliance.box import Box
from appliance.layout import Layout
from appliance.media.ng import NgClient
from appliance.media.rtpengine import keys_address
from appliance.model import UPSTREAM_LIFE_MS, LinkState
from appliance.site import Site
from appliance.site_recording import PauseCodes
from cloudsync.wire import ConfigState as Outcome
from cloudsync.wire import reasons_json

FIGURES_S = 2.0
"""Kamailio's figures are read this often: six small requests."""

CALLS_S = 0.25
"""What real calls say of the upstreams is read this often: three calls that failed are known within the second."""

STOP_S = 10.0
"""Everything must have been given back this long after the stop signal; systemd kills at 15 s."""

REMEMBERED = {
    (LinkState.UP, LinkState.DOWN),
    (LinkState.SUSPECT, LinkState.DOWN),
    (LinkState.RECOVERING, LinkState.UP),
}
"""Changes that become an event at the centre; the steps between them are in the log and the metrics."""


class Agent:
    """One box's agent. `run` until `stop` is called; damaged is set when the spool has to be opened anew."""

    def __init__(self, box: Box, log: Logger, hold_down: HoldDown | None = None) -> None:
        self._box = box
        self._log = log
        self._layout = Layout.of(box)
        self._supervisor = Supervisor(self._failed)
        self._rpc = KamailioRpc(self._layout.kamailio_rpc)
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._began_s = self._now_s()
        self._kamailio: KamailioStatus | None = None
        self._application_figures = ApplicationsStatus() if box.freeswitch.address else None
        self._stop = asyncio.Event()
        self.damaged: SpoolDamaged | None = None
        self._spooled: OpenedSpool | None = None
        self._links = Links(
            clock=self._now_s,
            local={"lan": box.sip.lan, "wan": box.sip.wan},
            supervisor=self._supervisor,
            react=self._react,
            memory=self._layout.run_dir / "links.json",
            hold_down=hold_down,
        )
        self._events = Events(
            lambda: self._centre.enrolment, lambda: self._spooled.spool if self._spooled else None, log
        )
        self._applications = Applications(box, self._layout, log)
        self._schedules = SchedulesByHand(
            self._layout, api_of(box, self._layout), self._events.schedule_set, log
        )
        self._pin_locks = PinLocks(api_of(box, self._layout), self._events.pin_lock)
        self._clerk = clerk_of(
            box, self._layout, self._rpc, self._schedules, self._classed, log, self._paused
        )
        self._prompts = PromptStore(self._layout, log)
        renderers = (*RENDERERS, self._applications.lay_down)
        store = ConfigStore(self._layout, renderers, tidy=self._prompts.sweep)
        self._config = ConfigKeeper(
            store,
            look=self._vitals,
            activate=self._activate,
            clock=self._now_s,
            log=log,
            fetch=self._fetch_prompts,
            calls=self._applications.calls,
        )
        self._centre = Centre(
            box,
            self._layout,
            self._config,
            self.status,
            log,
            self._now_s,
            monitor=self._links.line,
            has_room=lambda: self._disk.allows(Use.NEW_RECORDING),
        )
        self._spool_status = SpoolStatus()
        self._disk = DiskWatch(
            box.state_dir,
            self._layout.audio_dir,
            self._rpc,
            NgClient(box.rtp.ng),
            log,
            self._events.disk_changed,
        )
        self._at_rest = AtRestWatch(self._layout, log)

    def stop(self) -> None:
        """End `run` gracefully."""
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped. Raises `KyusaiError` or `OSError` when the agent cannot begin at all."""
        make_folders(self._box)
        self._spooled = await asyncio.to_thread(open_spool, self._layout.spool, clock.now())
        self._tell_of_spool(self._spooled)
        servers = [await self._serve_status(), await self._serve_metrics()]
        try:
            await self._start_tasks()
            notify.notify("READY=1\nSTATUS=running")
            self._log.info("agent_started", version=software())
            await self._stop.wait()
        finally:
            notify.notify("STOPPING=1")
            for server in servers:
                server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._supervisor.stop()
                    await self._centre.close()
            self._rpc.close()
            self._spooled.close()
            self._layout.agent_socket.unlink(missing_ok=True)
            self._log.info("agent_stopped")

    def _tell_of_spool(self, opened: OpenedSpool) -> None:
        if opened.set_aside is not None:
            found = opened.set_aside
            self._log.error("spool_set_aside", reason=found.problem, saved=found.saved, lost=found.lost)
        if opened.doubted:
            self._log.warning("spool_numbers_doubted", reason=opened.doubted)

    async def _start_tasks(self) -> None:
        await self._at_rest.look()  # before anything is told
        start = self._supervisor.start
        start("links", self._keep_links)
        start("kamailio", self._keep_figures)
        start("guard", self._guard().run)
        start("watchdog", self._feed_watchdog)
        start("evidence", self._keep_evidence)
        start("captures", CaptureSync(self._layout).run)
        await self._config.resume()
        start("figures", self._keep_spool_figures)
        start("series", self._keep_series)
        start("disk", self._disk.run)
        start("at_rest", self._at_rest.run)
        start("clock", self._keep_clock)
        start("changes", self._keep_changes)
        start("pause_keys", self._keep_pause_keys)
        if self._applications.wanted:
            start("applications", self._keep_application_figures)
            start(
                "freeswitch_guard",
                FreeSwitchGuard(self._box, self._layout, self._log, self._events.freeswitch_ended).run,
            )
        if self._applications.wanted:
            start("prompts", self._applications.prompts.run)
            start("voicemail", self._keep_voicemail)
            start("schedules", self._schedules.run)
            start("pin_locks", self._pin_locks.run)
            start(
                "clerk",
                lambda: self._clerk.run(self._box.freeswitch.address, self._box.freeswitch.clerk_port),
            )
        in_memory = InMemory(self._layout, self._spool(), clock.now, self._log)
        await asyncio.to_thread(in_memory.look_back)
        start("in_memory", lambda: self._keep_in_memory(in_memory))
        for name, work in self._centre.tasks(self._spool(), self._kamailio_alive).items():
            start(name, work)

    # tasks

    async def _keep_links(self) -> None:
        """Ticks and publishes every second, and at once when a state has changed."""
        while True:
            self._changed.clear()
            self._links.tick()
            try:
                await publish(self._rpc, self._links.links.values(), self._now_s(), self._life_ms())
            except RpcError as error:  # Kamailio away: the entries expire by themselves
                self._log.warning("links_not_published", about=error.key, reason=error.message)
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._changed.wait()

    async def _keep_figures(self) -> None:
        while True:
            before = self._kamailio_alive()
            self._kamailio = await read_figures(self._rpc)
            if before != self._kamailio.alive:
                self._log.info("kamailio_answers" if self._kamailio.alive else "kamailio_silent")
            await asyncio.sleep(FIGURES_S)

    async def _keep_evidence(self) -> None:
        """Hands what real calls met with to the links."""
        tail = JournalTail(self._layout.journal)
        while True:
            for upstream_id, sighting in await asyncio.to_thread(tail.sightings):
                self._links.observe(upstream_id, sighting)
                if sighting is not Sighting.CALL_SERVED:
                    self._log.info("call_passed_over", upstream=upstream_id, why=sighting.value)
            await asyncio.sleep(CALLS_S)

    async def _keep_spool_figures(self) -> None:
        while True:
            self._spool_status = await asyncio.to_thread(self._centre.read_figures, self._spool())
            await asyncio.sleep(FIGURES_S)

    async def _keep_series(self) -> None:
        """Once a minute the figures become a record. The disk and the backlog say whether there is room for it."""
        while True:
            every_s = series.pause_s(self._spool_status.waiting)
            await asyncio.sleep(every_s or series.EVERY_S)
            if every_s is None or not self._disk.allows(Use.EVENT):
                self._log.warning("figures_left_out", about="series", waiting=self._spool_status.waiting)
                continue
            self._events.figures(series.body(self.status(), every_s))

    async def _keep_changes(self) -> None:
        """Tells the centre of changes that a person made here."""
        enrolled = (await self._centre.enrolled()).enrolment
        reports = ChangeReports(self._config, self._spool(), enrolled.site_id, enrolled.box_id, clock.now)
        while True:
            if await asyncio.to_thread(reports.tell):
                self._centre.nudge()
            await asyncio.sleep(CHANGES_S)

    async def _keep_in_memory(self, in_memory: InMemory) -> None:
        enrolled = (await self._centre.enrolled()).enrolment
        await in_memory.run((enrolled.site_id, enrolled.box_id))

    async def _keep_voicemail(self) -> None:
        """Tells the centre of messages that were left, and FreeSWITCH of boxes that are full."""
        enrolled = (await self._centre.enrolled()).enrolment
        ids, layout = (enrolled.site_id, enrolled.box_id), self._layout
        watch = VoicemailWatch(layout.freeswitch_db_dir, layout.voicemail_dir, self._spool(), ids, clock.now)
        while True:
            try:
                room, does = self._disk.allows(Use.RUNNING_RECORDING), self._applications
                if await watch.look(room, does.set_global, does.delete_message):
                    self._centre.nudge()
            except LOOK_ERRORS as error:
                self._log.warning("voicemail_not_read", reason=str(error))
            await asyncio.sleep(VOICEMAIL_S)

    async def _keep_application_figures(self) -> None:
        while True:
            self._application_figures = await application_figures.read(self._box, self._layout)
            await asyncio.sleep(FIGURES_S)

    async def _keep_pause_keys(self) -> None:
        """Pauses and resumes recordings by keys that telephones press."""
        keys = PauseKeys(
            RecordingSwitch(NgClient(self._box.rtp.ng), self._layout.kamailio_rpc, self._centre.paused),
            lambda: self._config.site.pause_codes if self._config.site else PauseCodes(),
            lambda: self._config.site.policy.lan_networks if self._config.site else (),
            self._centre.together,
            self._log,
        )
        await keys.run(*keys_address(self._box))

    async def _keep_clock(self) -> None:
        """Tells the centre by how much the wall clock was set: what this boot told before is off by it."""
        watch = ClockSteps()
        while True:
            now = clock.now()
            by_ms = watch.look(now)
            if by_ms:
                self._events.clock_set(by_ms, now.boot_id, now.mono_ms)
            await asyncio.sleep(LOOK_S)

    async def _feed_watchdog(self) -> None:
        """Tells systemd that the loop turns: a loop that hangs is killed and started again."""
        beat_s = notify.watchdog_beat_s()
        while True:
            if beat_s is not None:
                notify.notify("WATCHDOG=1")
            await asyncio.sleep(beat_s or 3600.0)

    # reactions

    def _react(self, link: Link, effect: Effect, before: LinkState) -> None:
        if effect is Effect.GO_ON:
            self._centre.nudge()
            return
        self._changed.set()
        self._log.info(
            "link_changed",
            upstream=link.upstream_id,
            before=before.value,
            after=link.state.value,
            reason=link.reason,
            loss_ratio=round(link.evidence.loss_ratio, 3),
            hold_s=link.hold_s,
        )
        if (before, link.state) in REMEMBERED:
            self._remember(link, before)

    def _remember(self, link: Link, before: LinkState) -> None:
        if not self._disk.allows(Use.EVENT):
            self._log.warning("event_left_out", about="disk", upstream=link.upstream_id)
            return
        self._events.link_changed(link, before)

    def _guard(self) -> KamailioGuard:
        sip, pid_file = self._box.sip, self._layout.kamailio_pid
        return KamailioGuard(
            sip.lan, sip.lan_port, pid_file, self._rpc, self._log, self._events.kamailio_ended
        )

    def _paused(self, call_id: str) -> None:
        self._centre.paused(call_id)

    def _classed(self, call_id: str, retention: str) -> None:
        self._centre.classed(call_id, retention)
        self._events.classed(call_id, retention)

    async def _activate(self, site: Site) -> None:
        await self._links.watch(site.policy.upstreams)
        self._changed.set()
        await self._applications.tell(site)
        self._clerk.use(site.media)
        self._schedules.use(site.media)

    async def _fetch_prompts(self, site: Site) -> None:
        if self._applications.wanted:
            await self._prompts.fetch(site.media, await self._centre.client())

    async def _vitals(self, extensions: int) -> Vitals:
        figures = await read_figures(self._rpc)
        site, sip = self._config.site, self._box.sip
        tests = await place(sip.lan, sip.lan_port, cases(site)) if site and figures.alive else {}
        return Vitals(figures.alive, figures.registered_contacts, figures.own_errors, extensions, tests)

    def _failed(self, name: str, error: BaseException, wait_s: float) -> None:
        if isinstance(error, SpoolDamaged):  # the next agent sets it aside and saves what can be read
            self.damaged = error
            self.stop()
        key = getattr(error, "key", type(error).__name__)
        self._log.warning(
            "task_failed", about=(name, key), task=name, error=str(error), key=key, again_in_s=wait_s
        )

    # status

    async def _serve_status(self) -> asyncio.Server:
        pages = {"/status": lambda: status_page(self.status()), "/healthz": lambda: ("text/plain", b"ok\n")}
        actions = {
            "/change": ChangeDesk(self._config, self._now_s).serve,
            "/schedule": self._schedules.serve,
        }
        return await LocalHttp(pages, actions).on_unix(self._layout.agent_socket)

    async def _serve_metrics(self) -> asyncio.Server:
        where = endpoint(self._box.agent.listen)
        return await LocalHttp({"/metrics": exposition(self.status)}).on_tcp(where.host, where.port)

    def status(self) -> Status:
        """The box now. Does not block."""
        now_s = self._now_s()
        site = self._config.site
        links = self._links.links.values()
        return Status(
            box=self._box.id,
            site=self._site_id(),
            site_name=site.name if site else "",
            software=software(),
            time_utc=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            uptime_s=round(now_s - self._began_s, 3),
            survival_mode=survives(link.state for link in links),
            links=tuple(
                link_status(
                    link,
                    known_state(link, now_s),
                    now_s,
                    self._life_ms(),
                    self._links.probes[link.upstream_id].lost_there_ratio,
                )
                for link in links
            ),
            kamailio=self._kamailio or KamailioStatus(),
            applications=self._applications_status(),
            config=self._config_status(now_s),
            spool=self._spool_status,
            centre=centre_status(self._centre.contact, now_s, revoked=self._centre.revoked),
            tasks={
                name: TaskStatus(figures.running, figures.restarts, figures.last_error)
                for name, figures in self._supervisor.figures.items()
            },
            schedules=self._schedules.held(),
            disk_free_bytes=self._disk.room.free_bytes,
            disk_bytes=self._disk.room.total_bytes,
            disk_state=self._disk.state.value,
            disk_encryption=self._at_rest.kind,
            audio_encryption=self._at_rest.audio,
            audio_state=self._disk.audio_state.value,
            recording_allowed=self._disk.allows(Use.NEW_RECORDING),
        )

    def _applications_status(self) -> ApplicationsStatus | None:
        """FreeSWITCH's and the controller's figures as last read, with the prompts as they are now."""
        found, prompts = self._application_figures, self._applications.prompts
        return found and replace(found, prompts_waiting=prompts.waiting, prompts_failed=prompts.failed)

    def _config_status(self, now_s: float) -> ConfigStatus:
        keeper, state = self._config, self._config.store.state
        problems, details = reasons_json(state.problems)
        return ConfigStatus(
            version=keeper.site.version if keeper.site else 0,
            age_s=None if keeper.applied_s is None else round(now_s - keeper.applied_s, 3),
            phase=state.phase.value,
            centre_age_s=None if keeper.centre_seen_s is None else round(now_s - keeper.centre_seen_s, 3),
            refused_version=state.refused_version,
            problems=tuple(problems),
            details=tuple(details),
            applied=keeper.counts[Outcome.APPLIED],
            refused=keeper.counts[Outcome.REFUSED],
            rolled_back=keeper.counts[Outcome.ROLLED_BACK],
            changes=len(keeper.overlay.active),
            changes_set_aside=len(keeper.overlay.open) - len(keeper.overlay.active),
        )

    # small things

    def _kamailio_alive(self) -> bool:
        """Whether Kamailio answered when it was last asked. Before that it is believed to: calls that are up must not
        be taken for ended because the agent has only just begun."""
        return self._kamailio is None or self._kamailio.alive

    def _site_id(self) -> str:
        if self._config.site:
            return self._config.site.id
        return self._centre.enrolment.enrolment.site_id if self._centre.enrolment else ""

    def _spool(self) -> Spool:
        if self._spooled is None:
            raise RuntimeError("the spool is not open yet")
        return self._spooled.spool

    def _life_ms(self) -> int:
        return self._config.site.policy.upstream_life_ms if self._config.site else UPSTREAM_LIFE_MS

    def _now_s(self) -> float:
        return self._loop.time()


def software() -> str:
    """Version of the installed distribution; "0" when it runs from a folder that was never installed."""
    try:
        return metadata.version("kyusai")
    except metadata.PackageNotFoundError:
        return "0"


async def serve(box: Box, log: Logger, hold_down: HoldDown | None = None) -> None:
    """Run an agent until SIGTERM or SIGINT. Raises `SpoolDamaged` when it has to be started anew."""
    agent = Agent(box, log, hold_down)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()
    if agent.damaged is not None:
        raise agent.damaged
