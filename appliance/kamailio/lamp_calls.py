"""Who is in which call, from the journal's own rows: what busy lamps show. Pure.

Calls write nothing for lamps: the process that writes the journal hands each row on before it is written. Rows of calls that are
up are kept as they came; they are read only when somebody watches a number that they name, so a site without lamps pays for a
dictionary. A call that was up before Kamailio was restarted is not known here: its row of the beginning was read by
the process before.

A parking place (an application of that kind) is lit while a call waits there: the first call that the place answers waits, the
next one fetches it, and a call that FreeSWITCH places on behalf of the one that waits has taken it back.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from appliance.kamailio.actions import StepKind
from appliance.kamailio.compact_json import read
from appliance.kamailio.request import Origin
from appliance.model import NumberKind

CALLS_MAX = 20_000
"""Calls whose rows are kept: more than a box can carry. Beyond, new ones light no lamp."""

ROWS_MAX = 200
"""Rows kept of one call; a call that is set up makes a few, one that is transferred and held all day some dozens."""

NAME_MAX = 256
"""Characters of a Call-ID or tag that are told. Longer ones make no lamp wrong; such a call cannot be picked up by its lamp."""

PARKING = "parking"
"""Kind of application (`freeswitch.applications.Kind`), as the journal's steps name it."""


class State(StrEnum):
    """RFC 4235 section 3.7.1, as far as telephones tell them apart."""

    EARLY = "early"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Part:
    """One number's part in one call. id: names it among the number's parts for as long as it lasts. tag: of the caller.
    called: the number was called; else it calls. other: the number at the far side where that is inside the site, or ""."""

    id: str
    call_id: str
    tag: str
    called: bool
    state: State
    other: str = ""


@dataclass(frozen=True, slots=True)
class Ringing:
    """A call that nobody has answered. call: its key. tag: of the caller. users: extensions that ring. number: what was called,
    extension or group. caller: extension that calls, or ""."""

    call: str
    call_id: str
    tag: str
    users: tuple[str, ...]
    number: str
    caller: str = ""


@dataclass(slots=True)
class _Reading:
    """What a call's rows say."""

    call_id: str = ""
    tag: str = ""
    caller: str = ""
    number: str = ""
    is_group: bool = False
    on_behalf: str = ""
    rings: tuple[str, ...] = ()
    rung: frozenset[str] = frozenset()
    place: str = ""
    answered: bool = False
    by: str = ""
    elsewhere: bool = False


class LampCalls:
    """All calls of one Kamailio since it started."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[str, str]]] = {}
        self._touched: dict[str, None] = {}
        self._names: dict[str, set[str]] = {}
        self._parts: dict[str, dict[str, Part]] = {}
        self._waiting: dict[str, list[str]] = {}
        self._settled: set[str] = set()
        self._watched: frozenset[str] = frozenset()

    def take(self, call: str, event: str, data: str) -> None:
        """A row of the journal. data: its JSON. Never raises."""
        if event == "start":
            if len(self._rows) >= CALLS_MAX:
                return
            self._rows[call] = [(event, data)]
        else:
            rows = self._rows.get(call)
            if rows is None:
                return
            if event == "end":
                del self._rows[call]
            elif len(rows) < ROWS_MAX:
                rows.append((event, data))
        if self._watched:
            self._touched[call] = None
        elif event == "end":
            self._forget(call)

    def knows(self, call: str) -> bool:
        """Whether the call's beginning has been read, and not its end."""
        return call in self._rows

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Call, event and data of every row of the calls that are up."""
        return ((call, *row) for call, rows in self._rows.items() for row in rows)

    def watch(self, numbers: frozenset[str]) -> None:
        """From now on these numbers are watched, and no others."""
        if numbers == self._watched:
            return
        self._watched = numbers
        for call in self._rows:
            self._names.pop(call, None)
            self._touched[call] = None

    def settle(self) -> set[str]:
        """Read what came since the last time; gives the watched numbers whose parts may have changed."""
        changed: set[str] = set()
        for call in self._touched:
            before = self._parts.get(call, {})
            rows = self._rows.get(call)
            if rows is None:
                changed |= before.keys() | self._forget(call)
            elif self._concerns(call, rows):
                reading = _read(rows)
                after = {
                    number: part for number, part in _parts(call, reading).items() if number in self._watched
                }
                changed |= {
                    number
                    for number in before.keys() | after.keys()
                    if before.get(number) != after.get(number)
                }
                self._parts[call] = after
                changed |= self._park(call, reading)
        self._touched.clear()
        return changed & self._watched

    def parts(self, number: str) -> tuple[Part, ...]:
        """The number's parts in calls, the oldest first."""
        found = (parts[number] for call, parts in self._parts.items() if number in parts)
        return tuple(sorted(found, key=lambda part: part.id))

    def ringing(self) -> list[Ringing]:
        """Calls that ring at telephones of the site, the oldest first."""
        found = []
        for call, rows in self._rows.items():
            reading = _read(rows)
            if reading.rings and not reading.answered:
                found.append(
                    Ringing(call, reading.call_id, reading.tag, reading.rings, reading.number, reading.caller)
                )
        return found

    def _forget(self, call: str) -> set[str]:
        self._names.pop(call, None)
        self._parts.pop(call, None)
        self._settled.discard(call)
        left = {place for place, calls in self._waiting.items() if call in calls}
        for place in left:
            self._waiting[place].remove(call)
        return left

    def _concerns(self, call: str, rows: list[tuple[str, str]]) -> bool:
        """Whether a call names a watched number. A look at the text, some microseconds; reading it takes ten times as long."""
        names = self._names.setdefault(call, set())
        text = " ".join(data for _, data in rows)
        for alone, several in _NAMES.findall(text):
            names.update((alone,) if alone else several.replace('"', "").split(","))
        return call in self._parts or not names.isdisjoint(self._watched) or '"part_of":"' in text

    def _park(self, call: str, reading: _Reading) -> set[str]:
        """What the call does to parking places; gives those that changed."""
        changed = set()
        for place, calls in self._waiting.items():
            back = [one for one in calls if reading.on_behalf and one.startswith(f"{reading.on_behalf}#")]
            for one in back:
                calls.remove(one)
                self._parts.get(one, {}).pop(place, None)
                changed.add(place)
        place = reading.place
        if not place or place not in self._watched or not reading.answered:
            return changed
        waiting = self._waiting.setdefault(place, [])
        if call in waiting:
            return changed
        own = self._parts.get(call, {})
        if call in self._settled:
            own.pop(place, None)
            return changed
        self._settled.add(call)
        if waiting:
            fetched = waiting.pop(0)
            self._parts.get(fetched, {}).pop(place, None)
            own.pop(place, None)
        else:
            waiting.append(call)
        return changed | {place}


def _parts(call: str, reading: _Reading) -> dict[str, Part]:
    """Each number's part in a call. A telephone that calls itself (an own voicemail box) is the caller."""
    state = State.CONFIRMED if reading.answered else State.EARLY
    seed = Part(call, reading.call_id, reading.tag, True, state, reading.caller)
    if reading.answered:
        called = {reading.by, reading.number if reading.is_group else "", reading.place}
    else:
        called = {*reading.rings, reading.number if reading.is_group and reading.rings else ""}
    found = {number: seed for number in called if number}
    if reading.caller:
        found[reading.caller] = replace(seed, called=False, other=reading.number)
    return found


def _read(rows: Iterable[tuple[str, str]]) -> _Reading:
    reading, steps = _Reading(), dict[int, dict[str, Any]]()
    for event, text in rows:
        try:
            data = read(text)
            _READ.get(event, _nothing)(reading, steps, data)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if reading.elsewhere and reading.by not in reading.rung:
        reading.by = ""  # somebody elsewhere has taken it, whatever number was called
    return reading


Steps = dict[int, dict[str, Any]]


def _nothing(reading: _Reading, steps: Steps, data: dict[str, Any]) -> None:
    """Rows that change no lamp."""


def _start(reading: _Reading, steps: Steps, data: dict[str, Any]) -> None:
    reading.call_id, reading.tag = (_CONTROL.sub("", str(data[name]))[:NAME_MAX] for name in _NAMED_BY)
    reading.caller = str(data["origin_id"]) if data["origin"] == Origin.PHONE else ""
    reading.number = str(data["number"])
    reading.is_group = data["kind"] == NumberKind.GROUP
    reading.on_behalf = str(data.get("part_of", ""))


def _step(reading: _Reading, steps: Steps, data: dict[str, Any]) -> None:
    steps[int(data["index"])] = data
    if data["kind"] == StepKind.CONTACTS:
        reading.rings = tuple(str(user) for user in data["users"])
        reading.rung |= {*reading.rings}


def _step_end(reading: _Reading, steps: Steps, data: dict[str, Any]) -> None:
    if steps.get(int(data["index"]), {}).get("kind") == StepKind.CONTACTS:
        reading.rings = ()


def _answer(reading: _Reading, steps: Steps, data: dict[str, Any]) -> None:
    reading.answered, reading.by = True, str(data.get("user", ""))
    step = steps.get(int(data["index"]), {})
    if step.get("target") == PARKING and step["kind"] == StepKind.MEDIA:
        reading.place = str(step["users"][0])
    reading.elsewhere = step.get("kind") in (StepKind.CLOUD, StepKind.GATEWAY)


_NAMED_BY = ("call_id", "from_tag")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What no XML document may hold."""

_READ = {"start": _start, "step": _step, "step_end": _step_end, "answer": _answer}

_NAMES = re.compile(r'"(?:origin_id|number|user)":"([^"]+)"|"users":\[("[^\]]*)\]')
