"""The controller's memory of FreeSWITCH and its journal: hears events, compares with lists, writes facts. Adapter: gevent.

It runs beside calls, never in them: killed at any moment it costs no call, and the next one begins with the stays that are open
on disk and with FreeSWITCH's own lists. Facts wait in memory, at most `FACTS_MAX`, while the disk does not take them.
"""

import logging
import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from itertools import islice

import gevent
from gevent.event import AsyncResult
from gevent.event import Event as Flag
from gevent.threadpool import ThreadPool

from appliance.freeswitch import lists
from appliance.freeswitch.cut_short import Cut
from appliance.freeswitch.esl import EventSocket
from appliance.freeswitch.events import Event
from appliance.freeswitch.legs import Fact, LegBook
from appliance.freeswitch.media_journal import MediaJournal, Told
from appliance.kamailio.journal import Clock
from appliance.kamailio.journal_mark import PRUNE_EVERY_S

FACTS_MAX = 50_000
"""Facts that wait for the disk, some 20 MB; beyond, the oldest is lost and counted. The next comparison heals what is open."""

BATCH_MAX = 1_000
"""Facts of one transaction."""

RETRY_S = 1.0
"""Pause after a failed write."""

GATHER_S = 0.05
"""Facts of so long are written together, as Kamailio's journal does."""

JOBS_MAX = 200
"""Orders whose outcome is waited for."""

_LOG = logging.getLogger(__name__)


class Controller:
    """What is known of FreeSWITCH, and the way of facts to the disk. A `keeper.Listener`."""

    def __init__(self, journal: MediaJournal, clock: Clock) -> None:
        """Reads the stays that are open. Blocks. Raises sqlite3.Error, OSError."""
        self._journal = journal
        self._clock = clock
        self._disk = ThreadPool(1)  # one writer, and a slow disk must not keep events waiting
        self.book = LegBook(self._disk.apply(journal.open_stays))
        self.connected = False
        self.why = "not connected yet"
        self.heard = 0
        self.facts_lost = 0
        self.also: Callable[[Event], object] = lambda _event: None
        self._facts: deque[Told] = deque(maxlen=FACTS_MAX)
        self._some = Flag()
        self._jobs: OrderedDict[str, AsyncResult] = OrderedDict()

    @property
    def facts_waiting(self) -> int:
        """Facts that the disk has not taken yet."""
        return len(self._facts)

    # what the keeper tells

    def snapshot(self, live: EventSocket) -> None:
        """Compare what is known with FreeSWITCH's lists. Raises `FreeSwitchSilent`, ValueError."""
        rows = lists.channels(live.api("show", "channels", "as", "json"))

        def variable(uuid: str, name: str) -> str | None:
            said = live.api("uuid_getvar", uuid, name).strip()
            if said.startswith("-ERR"):
                return None
            return "" if said.startswith("_undef_") else said

        legs = lists.legs(rows, self.book.legs, variable)
        places = lists.rooms(live.api("conference", "json_list")) + lists.parked(live.api("valet_info"))
        self.note(self.book.compare(legs, places))
        self.connected = True

    def event(self, event: Event) -> None:
        """Take in one event."""
        self.heard += 1
        if event.name == "BACKGROUND_JOB":
            self.job(event.get("Job-UUID")).set(event.body.strip())
        else:
            self.also(event)
            self.note(self.book.hear(event))

    def gone(self, why: str) -> None:
        """FreeSWITCH cannot be heard: orders fail at once, what is known stays until it can be compared."""
        if self.connected or why != self.why:
            _LOG.warning("FreeSWITCH cannot be heard: %s", why)
        self.connected, self.why = False, why
        while self._jobs:
            self._jobs.popitem()[1].set("-ERR the connection to FreeSWITCH has ended")

    # orders that take their time

    def job(self, uuid: str) -> AsyncResult:
        """Where the outcome of a background command will be: the text that FreeSWITCH gives. May be asked for before or after it
        is there; the oldest is forgotten when there are too many."""
        if uuid not in self._jobs:
            self._jobs[uuid] = AsyncResult()
            if len(self._jobs) > JOBS_MAX:
                self._jobs.popitem(last=False)[1].set("-ERR too many orders at once")
        return self._jobs[uuid]

    def forget(self, uuid: str) -> None:
        """Nobody asks for this job any more."""
        self._jobs.pop(uuid, None)

    # facts

    def note(self, facts: Sequence[Fact | Cut]) -> None:
        """Have facts written. Does not block."""
        for fact in facts:
            if len(self._facts) == FACTS_MAX:
                self.facts_lost += 1
            self._facts.append(Told(fact, self._clock.mono_ms(), self._clock.wall_ms()))
        if facts:
            self._some.set()

    def write(self) -> None:
        """Bring facts to the disk, for ever. Runs in a greenlet of its own."""
        pruned_ms = self._clock.mono_ms()
        while True:
            self._some.wait(PRUNE_EVERY_S)
            self._some.clear()
            gevent.sleep(GATHER_S)
            if not self.flush():
                gevent.sleep(RETRY_S)
            if self._clock.mono_ms() - pruned_ms >= PRUNE_EVERY_S * 1000:
                pruned_ms = self._clock.mono_ms()
                self._prune()

    def flush(self) -> bool:
        """Write all that waits. False: the disk does not take it now, it waits on."""
        while self._facts:
            batch = list(islice(self._facts, BATCH_MAX))
            lost = self.facts_lost
            try:
                self._disk.apply(self._journal.write, (batch,))
            except (sqlite3.Error, OSError) as error:
                _LOG.warning("facts cannot be written: %s; %d wait", error, len(self._facts))
                self._some.set()
                return False
            for _ in range(max(0, len(batch) - (self.facts_lost - lost))):
                self._facts.popleft()
        return True

    def _prune(self) -> None:
        try:
            self._disk.apply(self._journal.prune)
        except (sqlite3.Error, OSError) as error:
            _LOG.warning("old facts cannot be deleted: %s", error)
