"""Carries out orders: finds the call, gives FreeSWITCH the command, waits for what comes of it. Adapter: gevent.

Orders are done once where that can be told: holding what is held, ending what is over and placing a call under a key that was
used change nothing and say so (`already`).
"""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from gevent.lock import BoundedSemaphore

from appliance.errors import KyusaiError
from appliance.freeswitch import commands, orders
from appliance.freeswitch.ask import FreeSwitchSilent
from appliance.freeswitch.commands import Ear
from appliance.freeswitch.controller import Controller
from appliance.freeswitch.keeper import Keeper
from appliance.freeswitch.legs import Leg
from appliance.freeswitch.orders import Do, Order, Recording

RING_S = 70.0
"""A telephone rings for 60 s (`control_xml.CALL_RING_S`); then FreeSWITCH says how it came out."""

HOLD_LEAST_S = 1.5
"""A leg is held at least so long. FreeSWITCH begins the other side's music a moment after the hold (`switch_ivr_hold`, a queued
broadcast); where a resume overtakes it, that side does not notice when the call is transferred (seen with 1.11.2)."""

KEYS_MAX = 1_000
KEY_LIFE_S = 3_600.0
"""How many keys of placed calls are remembered, and for how long."""

CALLS_MAX = 500
"""Legs listed in one answer."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

_LOG = logging.getLogger(__name__)

Answer = dict[str, Any]


class Recorder(Protocol):
    """Who starts and stops recordings: they are made where the audio is relayed, not by FreeSWITCH."""

    def order(self, call_id: str, what: Recording, by: str) -> bool:
        """True when something changed. Raises KyusaiError. Blocks shortly."""
        ...


@dataclass(slots=True)
class _Turn:
    """Whose turn it is to hold or resume a leg. held_s: when it was held by order, on the monotonic clock."""

    lock: BoundedSemaphore = field(default_factory=BoundedSemaphore)
    held_s: float = -HOLD_LEAST_S


class Desk:
    """One per process. Every method may be called from any greenlet."""

    def __init__(
        self,
        controller: Controller,
        keeper: Keeper,
        kamailio: str,
        is_extension: Callable[[str], bool],
        recorder: Recorder,
    ) -> None:
        """kamailio: "address:port" beside FreeSWITCH. is_extension: whether somebody may be called to listen."""
        self._controller = controller
        self._keeper = keeper
        self._kamailio = kamailio
        self._is_extension = is_extension
        self._recorder = recorder
        self._turns: OrderedDict[str, _Turn] = OrderedDict()
        self._keys: OrderedDict[str, tuple[float, Answer]] = OrderedDict()
        self.done = 0
        self.refused = 0

    def status(self) -> Answer:
        """How the controller fares."""
        controller, keeper = self._controller, self._keeper
        live = keeper.socket
        return {
            "connected": controller.connected and live is not None,
            "why": "" if controller.connected else controller.why,
            "legs": len(controller.book.legs),
            "stays": _counted([stay.what for stay in controller.book.stays]),
            "queue": live.waiting if live else 0,
            "events": controller.heard,
            "events_lost": keeper.lost,
            "connections": keeper.connections,
            "comparisons": keeper.comparisons,
            "faults": keeper.faults,
            "facts_waiting": controller.facts_waiting,
            "facts_lost": controller.facts_lost,
            "orders": self.done,
            "orders_refused": self.refused,
        }

    def calls(self) -> list[Answer]:
        """All legs, each with where it is."""
        book = self._controller.book
        places: dict[str, list[str]] = {}
        for stay in book.stays:
            places.setdefault(stay.leg, []).append(f"{stay.what} {stay.name}")
        return [_told(leg, sorted(places.get(leg.uuid, ()))) for leg in list(book.legs.values())[:CALLS_MAX]]

    def carry_out(self, order: Order) -> Answer:
        """Do what is ordered; `{"done": true}` with what belongs to it, `already` where there was nothing to do. Waits until a
        telephone that is rung is answered. Raises KyusaiError: of `orders`, "control.failed", "freeswitch.silent"."""
        try:
            answer = self._carry_out(order)
        except KyusaiError as error:
            self.refused += 1
            _LOG.warning("order %s of %s for %s refused: %s", order.do, order.by, order.call, error.message)
            raise
        self.done += 1
        _LOG.info("order %s of %s for %s: %s", order.do, order.by, order.call or order.number, answer)
        return answer

    def _carry_out(self, order: Order) -> Answer:
        if order.do is Do.ORIGINATE:
            return self._once(order.key, lambda: self._originate(order))
        book = self._controller.book
        if order.do is Do.HANG_UP and _UUID.fullmatch(order.call) and order.call not in book.legs:
            return {"done": True, "already": True}
        legs = orders.find(order.call, book.legs.values())
        if order.do is Do.RECORD and order.recording is not None:
            call_ids = dict.fromkeys(leg.call for leg in legs if leg.call)
            changed = [self._recorder.order(call_id, order.recording, order.by) for call_id in call_ids]
            return {"done": True, "already": not any(changed)}
        if order.do in (Do.HOLD, Do.RESUME):
            leg = orders.side(legs, order.keep or legs[0].uuid, called=False)
            return self._hold(leg.uuid, on=order.do is Do.HOLD)
        if order.do is Do.TRANSFER:
            leg = orders.answered(orders.side(legs, order.keep, called=False))
            return self._say(commands.transfer(leg.uuid, order.number), leg)
        if order.do is Do.HANG_UP:
            return self._say(commands.hang_up(legs[0].uuid), legs[0], gone_is_done=True)
        return self._supervise(order, legs)

    def _hold(self, uuid: str, *, on: bool) -> Answer:
        """One after the other for a leg, each by what the one before it did: an order that comes while a resume waits for
        `HOLD_LEAST_S` neither overtakes it nor takes the hold that is about to end for one that lasts."""
        turn = self._turns.setdefault(uuid, _Turn())
        if len(self._turns) > KEYS_MAX:
            self._turns.popitem(last=False)
        with turn.lock:
            leg = self._controller.book.legs.get(uuid)
            if leg is None:
                raise _failed("the leg is gone")
            if leg.held is on:
                return {"done": True, "already": True, "leg": uuid}
            orders.answered(leg)
            if not on:
                gevent.sleep(max(0.0, turn.held_s + HOLD_LEAST_S - time.monotonic()))
            answer = self._say(commands.hold(uuid, on), leg)
            turn.held_s = time.monotonic() if on else turn.held_s
            self._controller.book.held(uuid, on)  # its event may come after the answer
            return answer

    def _supervise(self, order: Order, legs: list[Leg]) -> Answer:
        if not self._is_extension(order.number):
            raise KyusaiError(
                "control.no_extension",
                f"{order.number!r} is no extension of this site",
                "Only telephones of the site may listen to calls.",
                value=order.number,
            )
        leg = orders.side(legs, order.keep, called=True)
        line = commands.supervise(leg.uuid, order.number, Ear(order.do.value), self._kamailio)
        return self._ring(line)

    def _originate(self, order: Order) -> Answer:
        if not self._is_extension(order.number):
            raise KyusaiError(
                "control.no_extension",
                f"{order.number!r} is no extension of this site",
                "The telephone that is rung first is one of the site's.",
                value=order.number,
            )
        return self._ring(commands.originate(order.number, order.then, self._kamailio))

    def _once(self, key: str, do: Callable[[], Answer]) -> Answer:
        now_s = time.monotonic()
        while self._keys and now_s - next(iter(self._keys.values()))[0] > KEY_LIFE_S:
            self._keys.popitem(last=False)
        if key and key in self._keys:
            return {**self._keys[key][1], "already": True}
        if key:
            self._keys[key] = now_s, {"done": False}  # the same order beside this one does not ring twice
            if len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)
        try:
            answer = do()
        except KyusaiError:
            self._keys.pop(key, None)
            raise
        if key:
            self._keys[key] = now_s, answer
        return answer

    def _live(self) -> Any:
        live = self._keeper.socket
        if live is None:
            raise FreeSwitchSilent(self._controller.why or "not connected")
        return live

    def _say(self, line: str, leg: Leg, *, gone_is_done: bool = False) -> Answer:
        said = self._live().send(f"api {line}").strip()
        if said.startswith("-ERR"):
            if gone_is_done and "no such channel" in said.lower():
                return {"done": True, "already": True, "leg": leg.uuid}
            raise _failed(said)
        return {"done": True, "leg": leg.uuid}

    def _ring(self, line: str) -> Answer:
        """A command that waits for a telephone: in the background, so that others are not held up."""
        job = self._live().send(f"bgapi {line}").rpartition("Job-UUID: ")[2].strip()
        try:
            said = str(self._controller.job(job).get(timeout=RING_S))
        except gevent.Timeout:
            raise _failed(f"nothing within {RING_S:g} s") from None
        finally:
            self._controller.forget(job)
        if not said.startswith("+OK"):
            raise _failed(said)
        return {"done": True, "leg": said.removeprefix("+OK").strip()}


def _told(leg: Leg, places: list[str]) -> Answer:
    return {
        "id": leg.uuid,
        "call_id": leg.call,
        "inbound": leg.inbound,
        "caller": leg.caller,
        "number": leg.number,
        "answered": leg.answered,
        "held": leg.held,
        "with": leg.peer,
        "placed_for": leg.placed_for,
        "places": places,
    }


def _counted(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}


def _failed(said: str) -> KyusaiError:
    detail = said.removeprefix("-ERR").strip()[:120]
    return KyusaiError(
        "control.failed",
        f"FreeSWITCH did not do it: {detail}",
        "The call may have ended meanwhile, or the telephone was busy or not answered.",
        detail=detail,
    )
