"""Keeps a connection to FreeSWITCH: connects anew when it ends, watches that it lives, and hands out what is known anew.

Adapter: gevent's time. What is done with events is the handler's (`Listener`); a handler that raises loses its event, not the
connection. After every connection, and whenever events were lost, the listener gets a snapshot, because what happened in
between is gone.
"""

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import gevent

from appliance.freeswitch import names
from appliance.freeswitch.ask import FreeSwitchSilent
from appliance.freeswitch.esl import SILENCE_MAX_S, EventSocket
from appliance.freeswitch.events import Event

EVENTS = (
    "HEARTBEAT",
    "CHANNEL_CREATE",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_HANGUP_COMPLETE",
    "BACKGROUND_JOB",
    "RECORD_STOP",
    "CUSTOM",
    "conference::maintenance",
    "valet_parking::info",
    names.STAY_EVENT,
)
"""What is asked for: fewer events than "all", which a busy box sends by the thousand. What follows CUSTOM are its subclasses."""

PAUSE_FIRST_S, PAUSE_MAX_S = 0.2, 10.0
"""Between two tries to connect; doubled each time. FreeSWITCH takes some three seconds to start."""

TURN_S = 1.0

COMPARE_S = 60.0
"""How often the state is asked for although nothing seems to be lost: whatever went wrong lasts a minute."""

COMPARE_LEAST_S = 1.0
"""Between two comparisons while events are being lost: asking for each would lose more."""

_LOG = logging.getLogger(__name__)


class Listener(Protocol):
    """Who hears of calls."""

    def snapshot(self, live: EventSocket) -> None:
        """What is known is out of date: ask for the state. Events that arrive meanwhile come afterwards. Raises
        `FreeSwitchSilent` when the connection is gone, ValueError for an answer that is none."""
        ...

    def event(self, event: Event) -> None:
        """Something happened."""
        ...

    def gone(self, why: str) -> None:
        """FreeSWITCH cannot be heard any more."""
        ...


class Keeper:
    """One per process. `run` it in a greenlet; `socket` is the living connection, or None."""

    def __init__(
        self,
        make: Callable[[], EventSocket],
        listener: Listener,
        *,
        sleep: Callable[[float], None] = gevent.sleep,
        jitter: Callable[[], float] = random.random,
        silence_max_s: float = SILENCE_MAX_S,
        compare_least_s: float = COMPARE_LEAST_S,
    ) -> None:
        """make: a fresh connection, not connected yet."""
        self._make = make
        self._listener = listener
        self._sleep = sleep
        self._jitter = jitter
        self._silence_max_s = silence_max_s
        self._compare_least_s = compare_least_s
        self._pause_s = PAUSE_FIRST_S
        self.socket: EventSocket | None = None
        self.connections = 0
        self.comparisons = 0
        self.lost = 0
        self.faults = 0

    def run(self) -> None:
        """For ever."""
        while True:
            why = self.once()
            self._listener.gone(why)
            self._sleep(self._pause_s * (0.5 + self._jitter()))
            self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)

    def once(self) -> str:
        """One connection from its beginning to its end; why it ended."""
        fresh = self._make()
        try:
            fresh.connect()
            fresh.send(f"event plain {' '.join(EVENTS)}")
            self._compare(fresh)
        except (FreeSwitchSilent, ValueError) as error:
            fresh.stop()
            return str(error)
        self.socket, self._pause_s = fresh, PAUSE_FIRST_S
        self.connections += 1
        try:
            self._listen(fresh)
        finally:
            self.socket = None
            fresh.stop()
        return fresh.why

    def _listen(self, live: EventSocket) -> None:
        lost, compared_s = live.lost, time.monotonic()
        while True:
            event = live.next_event(TURN_S if live.connected else 0)
            if event is not None:
                self._hand_over(event)
            elif not live.connected:
                self.lost += live.lost - lost
                return
            if live.connected and live.silent_for_s() > self._silence_max_s:
                live.stop()
                live.why = f"nothing heard for {self._silence_max_s:g} s"
            age_s = time.monotonic() - compared_s
            if live.connected and age_s >= (COMPARE_S if live.lost == lost else self._compare_least_s):
                self.lost, lost = self.lost + live.lost - lost, live.lost
                with suppress(FreeSwitchSilent, ValueError):  # it has ended; what had arrived is still read
                    self._compare(live)
                compared_s = time.monotonic()

    def _compare(self, live: EventSocket) -> None:
        """Raises `FreeSwitchSilent`, ValueError."""
        self.comparisons += 1
        try:
            self._listener.snapshot(live)
        except (FreeSwitchSilent, ValueError):
            raise
        except Exception as error:
            self.faults += 1
            _LOG.exception("a listener failed")
            raise ValueError(f"a listener failed: {error}") from error

    def _hand_over(self, event: Event) -> None:
        if event.name != "HEARTBEAT":
            self._guarded(lambda: self._listener.event(event))

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception:
            self.faults += 1
            _LOG.exception("a listener failed")
