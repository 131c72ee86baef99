"""The agent's side of the centre: waits until the box is enrolled, then keeps configuration, records, recordings
and heartbeat going.

Wires `cloud_client`, `config`, `call_records` and `senders`. A centre that is away costs nothing but log lines.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from agent import clock
from agent.acknowledged import Acknowledged
from agent.acknowledged_age import forget_old
from agent.bulk_line import BulkLine
from agent.call_media import CallMedia
from agent.call_records import CallRecords
from agent.cloud_client import CloudClient
from agent.cloud_errors import CloudError
from agent.cloud_transport import Transport, pinned
from agent.config import ConfigKeeper
from agent.config_check import Trust
from agent.contact import HELD, Contact
from agent.earlier_keys import load_earlier
from agent.heartbeat import Heartbeat
from agent.identity import Enrolled, Signer, load_enrolled, load_or_make, save_enrolled
from agent.journal_events import Moment
from agent.key_chain import document_keys, extended
from agent.logs import Logger
from agent.pacer import Monitor, Pacer, no_monitor
from agent.receipts import Receipts, Standing
from agent.record_retain import RecordRetention
from agent.record_retention import Reason as RecordReason
from agent.record_retention import Sort
from agent.recording_table import RecordingTable
from agent.recording_upload import CONNECTIONS, RecordingSender
from agent.retain import GivenUp, Retention, run_retention
from agent.retention import MIB, Reason
from agent.senders import (
    UPLOADS_AT_ONCE,
    Report,
    Switches,
    run_config,
    run_journal,
    run_pick_up,
    run_recordings,
    run_records,
)
from agent.sent_again import SentAgain
from agent.spool import Spool
from agent.spool_desk import reasons
from agent.status import SpoolStatus, Status
from agent.supervisor import Work
from agent.upload import RecordSender
from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.site_model import COPIES_KEPT, RECORDS_KEPT, Keeping
from cloudsync.wire import ConfigKey

ENROLMENT_LOOK_S = 2.0
"""A box that is not enrolled looks this often whether somebody has run `kyusai enrol`."""


class Centre:
    """What the agent and the centre have to do with each other. enrolment: None until the box is enrolled. has_room: whether the
    disk has room for more than what must be kept."""

    def __init__(
        self,
        box: Box,
        layout: Layout,
        config: ConfigKeeper,
        status: Callable[[], Status],
        log: Logger,
        now_s: Callable[[], float],
        *,
        monitor: Monitor = no_monitor,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._box = box
        self._layout = layout
        self._config = config
        self._has_room = has_room
        self._copies = Acknowledged(layout.acknowledged, self._copies_bytes)
        self._sent_again: SentAgain | None = None
        self._status = status
        self._log = log
        self._now_s = now_s
        self._client: CloudClient | None = None
        self._fold, self._send, self._pick_up, self._upload = Switches(), Switches(), Switches(), Switches()
        self._pull = Switches()
        self._calls: CallRecords | None = None
        self._sender: RecordSender | None = None
        self._receipts: Receipts | None = None
        self._table: RecordingTable | None = None
        self._recordings: RecordingSender | None = None
        self._retention: Retention | None = None
        self._record_retention: RecordRetention | None = None
        self._bulk: CloudClient | None = None
        self._line = BulkLine()
        self._pacer = Pacer(lambda: config.site, self._calls_up, self._line, monitor)
        self._acknowledged = 0
        self._synced_s: float | None = None
        self.contact = Contact()
        self.enrolment: Enrolled | None = None

    async def enrolled(self) -> Enrolled:
        """What enrolment brought; waits for it."""
        while self.enrolment is None:
            self.enrolment = await asyncio.to_thread(load_enrolled, self._layout.enrolment)
            if self.enrolment is None:
                await asyncio.sleep(ENROLMENT_LOOK_S)
        return self.enrolment

    async def client(self) -> CloudClient:
        """The connection to the centre, one for all tasks; waits for enrolment."""
        enrolled = await self.enrolled()
        await asyncio.to_thread(load_or_make, self._layout.key)
        if self._client is None:  # tasks begin together: from here on nothing waits
            transport = Transport(self._box.centre.url or enrolled.url, pinned(enrolled.ca_pem))
            self._client = self._client_over(transport, enrolled)
        return self._client

    def _client_over(self, transport: Transport, enrolled: Enrolled) -> CloudClient:
        box_id = enrolled.enrolment.box_id
        return CloudClient(
            transport, box_id, self._sign, earlier=self._earlier_signers, observe=self._observe
        )

    async def _open_bulk(self) -> CloudClient:
        """Connections of their own for recordings: marked as such, and slowed down without slowing anything else."""
        enrolled = await self.enrolled()
        url = self._box.centre.url or enrolled.url
        most = CONNECTIONS + UPLOADS_AT_ONCE  # an offer waits for no piece
        transport = Transport(url, pinned(enrolled.ca_pem), connections=most, bulk=self._line)
        return self._client_over(transport, enrolled)

    def _calls_up(self) -> int:
        return self._calls.open_calls if self._calls else 0

    def _sign(self, message: bytes) -> bytes:
        """With the key as it is now: enrolling again may have made a new one. Once an hour."""
        return load_or_make(self._layout.key).sign(message)

    def _earlier_signers(self) -> list[Signer]:
        return [one.sign for one in load_earlier(self._layout.key)]

    @property
    def revoked(self) -> bool:
        """Whether the centre has shut this box out."""
        return self._client is not None and self._client.revoked

    async def close(self) -> None:
        """Close the connections."""
        for client in (self._client, self._bulk):
            if client is not None:
                await client.close()
        await asyncio.to_thread(self._copies.close)

    def tasks(self, spool: Spool, kamailio_alive: Callable[[], bool]) -> dict[str, Work]:
        """Name and work of each task that talks to the centre, or prepares what is told to it."""
        table = RecordingTable(spool)
        self._table = table
        return {
            HELD: self._keep_config,
            "heartbeat": self._keep_heartbeat,
            "journal": lambda: self._keep_journal(spool, kamailio_alive),
            "records": lambda: self._keep_records(spool),
            "pick_up": lambda: run_pick_up(
                table,
                self._layout.recordings_dir,
                self._pick_up,
                self._report("pick_up"),
                made=self._upload.nudge.set,
                class_of=self._class_of_recording,
            ),
            "recordings": lambda: self._keep_recordings(table),
            "pace": self._pacer.run,
            "retention": lambda: self._keep_retention(spool),
            "record_retention": lambda: self._keep_record_retention(spool),
        }

    def together(self, call_id: str) -> list[str]:
        """Call-IDs of all calls that are one person's call; empty where nothing is known."""
        return self._calls.together(call_id) if self._calls else []

    def paused(self, call_id: str) -> None:
        """A call's recording was paused; its record is to tell."""
        if self._calls:
            self._calls.paused(call_id)

    def classed(self, call_id: str, retention: str) -> None:
        """A flow has put a call's recording into a class of retention; its record is to tell."""
        if self._calls:
            self._calls.classed(call_id, retention)

    def nudge(self) -> None:
        """The line may be back: whatever waits out a pause tries again now."""
        self._pull.nudge.set()
        self._send.nudge.set()
        self._upload.nudge.set()

    async def _keep_journal(self, spool: Spool, kamailio_alive: Callable[[], bool]) -> None:
        enrolled = (await self.enrolled()).enrolment
        places = self._layout.media_journal if self._box.freeswitch.address else None
        site_id, box_id = enrolled.site_id, enrolled.box_id

        def classify(cdr: Mapping[str, object]) -> str:
            return self._config.site.retention.class_of(cdr) if self._config.site else ""

        self._calls = CallRecords(
            spool, self._layout.journal, site_id, box_id, places=places, classify=classify
        )
        media = CallMedia(self._box.rtp.ng, self._now_s)
        await run_journal(
            self._calls,
            clock.now,
            self._fold,
            self._report("journal"),
            kamailio_alive=kamailio_alive,
            media=media.known,
            quality=media.quality,
            made=self._send.nudge.set,
        )

    def _class_of_recording(self, recording_id: str) -> str:
        return self._config.site.retention.class_of_recording(recording_id) if self._config.site else ""

    async def _keep_records(self, spool: Spool) -> None:
        enrolled = (await self.enrolled()).enrolment
        client, path = await self.client(), self._layout.ledger_receipt
        self._sent_again = SentAgain(spool, self._copies, client, clock.now, self._will_be_sent_again)
        self._receipts = Receipts(
            spool,
            client,
            enrolled.site_id,
            self._keys,
            path,
            self._now_s,
            received=self._sent_again.look,
        )
        self._sender = RecordSender(
            spool,
            client,
            enrolled.site_id,
            pace=self._pacer,
            drained=self._receipts.drained,
            calls_up=self._calls_up,
            copies=self._copies,
            no_copy=lambda error: self._log.warning("record_not_copied", about="copies", reason=str(error)),
        )
        await run_records(self._sender, self._send, self._report("records"))

    def _copies_bytes(self) -> int:
        keeping = self._config.site.copy_keeping if self._config.site else COPIES_KEPT
        return keeping.mebibytes * MIB if self._has_room() else 0

    def _will_be_sent_again(self, count: int) -> None:
        self._log.warning("records_sent_again", count=count)
        self._send.nudge.set()

    async def _keep_recordings(self, table: RecordingTable) -> None:
        enrolled = (await self.enrolled()).enrolment
        self._bulk = self._bulk or await self._open_bulk()
        self._recordings = RecordingSender(table, self._bulk, enrolled.site_id, self._keys, pace=self._pacer)
        await run_recordings(self._recordings, self._upload, self._report("recordings"))

    async def _keep_retention(self, spool: Spool) -> None:
        enrolled = (await self.enrolled()).enrolment

        def busy() -> frozenset[str]:
            return self._recordings.busy if self._recordings else frozenset()

        def look(now: Moment, passed_s: float) -> list[tuple[str, Reason]]:
            site = self._config.site
            keeping, days = (site.keeping, site.retention.days) if site else (Keeping(), {})
            return retention.look(keeping, now, passed_s, days)

        def gone(one: tuple[str, Reason]) -> None:
            self._log.warning("recording_given_up", recording=one[0], why=one[1].value)
            self._send.nudge.set()

        retention = self._retention or Retention(spool, enrolled.site_id, enrolled.box_id, busy)
        self._retention = retention
        report = self._report("retention")
        await run_retention(look, clock.now, Switches(self._upload.stop), report, gone)

    async def _keep_record_retention(self, spool: Spool) -> None:
        enrolled = (await self.enrolled()).enrolment
        retention = await asyncio.to_thread(RecordRetention, spool, enrolled.site_id, enrolled.box_id)
        self._record_retention = retention

        def look(now: Moment, passed_s: float) -> list[tuple[Sort, RecordReason, int]]:
            site = self._config.site
            forget_old(self._copies, spool, site.copy_keeping if site else COPIES_KEPT, passed_s)
            return retention.look(site.record_keeping if site else RECORDS_KEPT, now, passed_s)

        def gone(one: tuple[Sort, RecordReason, int]) -> None:
            sort, why, count = one
            self._log.warning("records_given_up", about=sort, sort=sort.value, why=why.value, count=count)
            self._send.nudge.set()

        report = self._report("record_retention")
        await run_retention(look, clock.now, Switches(self._send.stop), report, gone)

    def _keys(self) -> tuple[ConfigKey, ...]:
        return self.enrolment.enrolment.config_keys if self.enrolment else ()

    def _report(self, about: str) -> Report:
        def report(error: Exception, pause_s: float) -> None:
            key = getattr(error, "key", type(error).__name__)
            self._log.warning(
                "sync_failed", about=(about, key), task=about, key=key, reason=str(error), again_in_s=pause_s
            )

        return report

    def _observe(self, task: str, error: CloudError | None) -> None:
        if error is None and any(failing.task == HELD for failing in self.contact.failing):
            self._pull.nudge.set()  # the centre is back: somebody may have published meanwhile
        self.contact.note(task, error, self._now_s())

    async def _keep_config(self) -> None:
        client = await self.client()
        await self._config.settle()

        async def pull() -> None:
            await self._config.pull(client, _trust(await self.enrolled()), self._learn)

        await run_config(pull, self._pull, self._report(HELD))

    async def _learn_newer(self, key_id: str) -> None:
        """Learn of a new signing key before anything comes that it signed."""
        if not key_id or any(key.key_id == key_id for key in self._keys()):
            return
        try:
            await self._learn()
        except KyusaiError as error:
            self._log.warning("config_key_not_learnt", about=error.key, reason=error.message)

    async def _learn(self) -> Trust:
        """Follow the centre's signing keys to the newest; what was learnt is kept in the enrolment."""
        enrolled, client = await self.enrolled(), await self.client()
        told = await client.enrolment()
        keys = extended(enrolled.enrolment.config_keys, told.key_links)
        if keys != enrolled.enrolment.config_keys:
            enrolment = replace(enrolled.enrolment, config_keys=keys, key_links=told.key_links)
            self.enrolment = enrolled = replace(enrolled, enrolment=enrolment)
            await asyncio.to_thread(save_enrolled, self._layout.enrolment, enrolled)
            self._log.info("config_key_learnt", key_id=keys[-1].key_id, keys=len(keys))
        return _trust(enrolled)

    async def _keep_heartbeat(self) -> None:
        beat = Heartbeat(
            await self.client(),
            (await self.enrolled()).enrolment.box_id,
            self._layout,
            self._status,
            self._config,
            self._learn_newer,
            self._log,
            self._now_s,
        )
        await beat.run()

    def read_figures(self, spool: Spool) -> SpoolStatus:
        """What waits for the centre. Blocks on disk. Raises `SpoolError`."""
        depth = spool.depth()
        recordings = self._table.depth() if self._table else None
        sender = self._sender
        if sender is not None and sender.counters.acknowledged != self._acknowledged:
            self._acknowledged, self._synced_s = sender.counters.acknowledged, self._now_s()
        standing = self._receipts.standing if self._receipts else Standing()
        receipt = standing.receipt
        parked = depth.parked or (recordings.parked if recordings else 0)
        lost = self._retention.count if self._retention else GivenUp()
        return SpoolStatus(
            parked_reasons=reasons(spool) if parked else {},
            recordings_given_up={Reason.AGE.value: lost.age, Reason.SIZE.value: lost.size},
            records_given_up=self._record_retention.given_up if self._record_retention else {},
            upload_kbit_s=_kbit_s(self._pacer.rate_bytes_s),
            upload_limit_kbit_s=_kbit_s(self._pacer.limit_bytes_s),
            upload_queue_ms=round(self._pacer.queue_ms, 1),
            numbered=depth.next_seq - 1,
            receipt_seq=receipt.seq if receipt else 0,
            receipt_count=receipt.count if receipt else 0,
            receipt_given_up=receipt.given_up if receipt else 0,
            receipt_utc=receipt.utc if receipt else "",
            receipt_problem=standing.problem,
            copies_bytes=self._copies.size_bytes,
            sent_again=self._sent_again.count if self._sent_again else 0,
            recordings_parked=recordings.parked if recordings else 0,
            waiting=depth.waiting,
            parked=depth.parked,
            oldest_age_s=_age_s(depth.oldest_utc),
            acknowledged=self._acknowledged,
            sync_age_s=None if self._synced_s is None else round(self._now_s() - self._synced_s, 3),
            recordings_waiting=recordings.waiting if recordings else 0,
            recordings_waiting_bytes=recordings.bytes if recordings else 0,
            open_calls=self._calls_up(),
            calls_unannounced=self._calls.counters.unannounced if self._calls else 0,
        )


def _trust(enrolled: Enrolled) -> Trust:
    return Trust(enrolled.enrolment.site_id, document_keys(enrolled.enrolment.config_keys))


def _kbit_s(bytes_s: float | None) -> float | None:
    return None if bytes_s is None else round(bytes_s * 8 / 1000, 1)


def _age_s(utc: str) -> float:
    """Seconds since a moment in wall time; 0 for none and for one that a clock error puts into the future."""
    if not utc:
        return 0.0
    return max(0.0, round((datetime.now(UTC) - datetime.fromisoformat(utc)).total_seconds(), 3))
