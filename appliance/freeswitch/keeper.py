"""Keeps a connection to FreeSWITCH: connects anew when it ends, watches that it lives, and hands out what is known anew.

Adapter: gevent's time. What is done with events is the handler's (`Listener`); a handler that raises loses its event, not the
connection. After every connection, and whenever events were lost, the listener gets a snapshot, because what happened in
between is gone.
"""

import json
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gevent

from appliance.freeswitch.ask import FreeSwitchSilent
from appliance.freeswitch.esl import SILENCE_MAX_S, EventSocket
from appliance.freeswitch.events import Event

EVENTS = (
    "HEARTBEAT",
    "CHANNEL_CREATE",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HANGUP_COMPLETE",
    "RECORD_START",
    "RECORD_STOP",
    "BACKGROUND_JOB",
)
"""What is asked for: fewer events than "all", which a busy box sends by the thousand."""

PAUSE_FIRST_S, PAUSE_MAX_S = 0.2, 10.0
"""Between two tries to connect; doubled each time. FreeSWITCH takes some three seconds to start."""

TURN_S = 1.0

_LOG = logging.getLogger(__name__)


class Listener(Protocol):
    """Who hears of calls."""

    def snapshot(self, channels: Sequence[dict[str, Any]]) -> None:
        """All legs that are up now, as `show channels as json` tells them."""
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
    ) -> None:
        """make: a fresh connection, not connected yet."""
        self._make = make
        self._listener = listener
        self._sleep = sleep
        self._jitter = jitter
        self._silence_max_s = silence_max_s
        self._pause_s = PAUSE_FIRST_S
        self.socket: EventSocket | None = None
        self.connections = 0
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
            self._resync(fresh)
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
        lost = live.lost
        while True:
            event = live.next_event(TURN_S if live.connected else 0)
            if event is not None:
                self._hand_over(event)
            elif not live.connected:
                return
            if live.connected and live.silent_for_s() > self._silence_max_s:
                live.stop()
                live.why = f"nothing heard for {self._silence_max_s:g} s"
            if live.lost != lost and live.connected:
                self.lost += live.lost - lost
                lost = live.lost
                try:
                    self._resync(live)
                except (FreeSwitchSilent, ValueError):
                    continue  # the connection has ended; what had arrived is still read

    def _resync(self, live: EventSocket) -> None:
        """Raises `FreeSwitchSilent`, ValueError for an answer that is no JSON."""
        answer = json.loads(live.api("show", "channels", "as", "json"))
        rows = answer.get("rows", []) if isinstance(answer, dict) else []
        self._guarded(lambda: self._listener.snapshot(rows))

    def _hand_over(self, event: Event) -> None:
        if event.name != "HEARTBEAT":
            self._guarded(lambda: self._listener.event(event))

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception:
            self.faults += 1
            _LOG.exception("a listener failed")
