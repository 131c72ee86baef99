"""What can be ordered for a call that FreeSWITCH holds: the orders as types, read from JSON and checked. Pure.

This is the interface that programs at the box build on (docs/control.md). An order names a call in any way that people do
(`find`), and says who gives it. Whatever is wrong with one is a `KyusaiError` with a stable key, before anything is done.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from appliance.errors import KyusaiError
from appliance.freeswitch.legs import Leg

NUMBER = re.compile(r"[+]?[0-9*#]{1,32}", re.ASCII)
KEY = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
UUID_LEAST = 4
"""Characters of a leg's id that name it."""

SHOWN, CALLS_SHOWN = 8, 5
"""Characters of a leg's id that an error shows, as `kyusai calls` does, and of how many calls."""

BY_CHARS_MAX = 64


class Do(StrEnum):
    """What can be done. LISTEN to JOIN: `commands.Ear`."""

    HOLD = "hold"
    RESUME = "resume"
    TRANSFER = "transfer"
    HANG_UP = "hangup"
    LISTEN = "listen"
    WHISPER = "whisper"
    JOIN = "join"
    ORIGINATE = "originate"
    RECORD = "record"


class Recording(StrEnum):
    """What RECORD does with a call's recording. PAUSE and RESUME: for what must be in no file, such as a card's number."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Order:
    """One order. call: which one (`find`). number: where to (TRANSFER), who listens (LISTEN, WHISPER, JOIN), who is called first
    (ORIGINATE). then: whom with (ORIGINATE). keep: number or leg of the side that is meant, "" for the usual one. by: who gives
    the order. key: an ORIGINATE with the same key is done once. recording: what RECORD does."""

    do: Do
    by: str
    call: str = ""
    number: str = ""
    then: str = ""
    keep: str = ""
    key: str = ""
    recording: Recording | None = None


_WITH_NUMBER = (Do.TRANSFER, Do.LISTEN, Do.WHISPER, Do.JOIN, Do.ORIGINATE)
_FIELDS = frozenset({"do", "by", "call", "number", "then", "keep", "key", "recording"})


def read(value: object) -> Order:
    """The order in a JSON value. Raises `KyusaiError` "control.order" with what is wrong."""
    if not isinstance(value, Mapping):
        raise _wrong("it is no JSON object")
    odd = sorted(set(map(str, value)) - _FIELDS)
    if odd:
        raise _wrong(f"{', '.join(odd)[:80]}: no such field; known are {', '.join(sorted(_FIELDS))}")
    if any(not isinstance(one, str) for one in value.values()):
        raise _wrong("every field is text")
    try:
        do = Do(value.get("do", ""))
    except ValueError:
        raise _wrong(f"do is {value.get('do')!r:.40}; it may be {', '.join(Do)}") from None
    by = _text(value, "by")
    if not by.isprintable() or not 1 <= len(by) <= BY_CHARS_MAX:
        raise _wrong(f"by says who gives the order, in 1 to {BY_CHARS_MAX} characters")
    if do is not Do.ORIGINATE and not _text(value, "call"):
        raise _wrong("call names no call")
    number, then = _text(value, "number"), _text(value, "then")
    for name, given, wanted in (("number", number, do in _WITH_NUMBER), ("then", then, do is Do.ORIGINATE)):
        if wanted and not NUMBER.fullmatch(given):
            raise _wrong(f"{name} is {given!r:.40}; it is 1 to 32 digits, * or #")
    key = _text(value, "key")
    if key and not KEY.fullmatch(key):
        raise _wrong("key is 1 to 64 letters, digits and _ . : -")
    return Order(do, by, _text(value, "call"), number, then, _text(value, "keep"), key, _recording(do, value))


def find(name: str, legs: Iterable[Leg]) -> list[Leg]:
    """The legs of the one call that is meant: by a leg's id or its beginning, a Call-ID, or the number of somebody in it, who may
    still be ringing. The leg that was named comes first. Raises `KyusaiError` "control.no_call", "control.which_call"."""
    all_legs = list(legs)
    named = (
        [leg for leg in all_legs if len(name) >= UUID_LEAST and leg.uuid.startswith(name)]
        or [leg for leg in all_legs if leg.call == name]
        or [leg for leg in all_legs if name in (leg.number, leg.caller)]
    )
    together = _calls(all_legs)
    calls = {together[leg.uuid] for leg in named}
    if not calls:
        raise KyusaiError(
            "control.no_call",
            f"{name!r:.60} is no call in an application now",
            "`kyusai calls` lists them. Calls from telephone to telephone do not go through FreeSWITCH.",
            value=name[:60],
        )
    if len(calls) > 1:
        shown = _shown(calls, all_legs)
        raise KyusaiError(
            "control.which_call",
            f"{name!r:.60} may be {len(calls)} calls: {shown}",
            "Name the one that is meant by its id.",
            value=name[:60],
            count=len(calls),
            calls=shown,
        )
    first, call = named[0], calls.pop()
    others = [leg for leg in all_legs if leg.uuid in call and leg.uuid != first.uuid]
    return [first, *others]


def side(legs: list[Leg], keep: str, *, called: bool) -> Leg:
    """The leg that an order is about. keep: as in `Order`; called: the usual one is the side that was called, else the caller.
    Raises `KyusaiError` "control.no_side"."""
    if keep:
        found = [
            leg
            for leg in legs
            if leg.uuid.startswith(keep) or keep == (leg.caller if leg.inbound else leg.number)
        ]
        if not found:
            raise KyusaiError(
                "control.no_side",
                f"{keep!r:.60} is no side of this call",
                "Give a number that talks in it, or a leg's id.",
                value=keep[:60],
            )
        return found[0]
    return next((leg for leg in legs if leg.inbound is not called), legs[0])


def answered(leg: Leg) -> Leg:
    """The leg, which is to be held or sent on. Raises `KyusaiError` "control.rings" for a telephone that only rings."""
    if leg.inbound or leg.answered:
        return leg
    raise KyusaiError(
        "control.rings",
        f"the telephone of {leg.number!r:.60} has not answered yet",
        "Name the caller's side, or wait until it is answered.",
        value=leg.number[:60],
    )


def _calls(legs: list[Leg]) -> dict[str, frozenset[str]]:
    """Leg -> ids of all legs of its call: those that talk with each other, those that were placed for one, and those of one
    Call-ID, which Kamailio has passed on from one application to another."""
    near: dict[str, set[str]] = {leg.uuid: set() for leg in legs}
    first_of: dict[str, str] = {}
    for leg in legs:
        same = first_of.setdefault(leg.call, leg.uuid) if leg.call else ""
        for other in {leg.peer, leg.placed_for, same} & near.keys():
            near[leg.uuid].add(other)
            near[other].add(leg.uuid)
    calls: dict[str, frozenset[str]] = {}
    for uuid in near:
        if uuid not in calls:
            found, left = {uuid}, [uuid]
            while left:
                new = near[left.pop()] - found
                found |= new
                left += new
            calls |= dict.fromkeys(found, frozenset(found))
    return calls


def _shown(calls: Iterable[frozenset[str]], legs: list[Leg]) -> str:
    """Each call by the leg that came first, as "id (caller to number)"."""
    firsts = [next(leg for leg in legs if leg.uuid in call) for call in calls]
    firsts.sort(key=legs.index)
    told = [f"{leg.uuid[:SHOWN]} ({leg.caller!r:.24} to {leg.number!r:.24})" for leg in firsts[:CALLS_SHOWN]]
    return ", ".join([*told, *(["..."] if len(firsts) > CALLS_SHOWN else [])])


def _recording(do: Do, value: Mapping[str, Any]) -> Recording | None:
    if do is not Do.RECORD:
        return None
    try:
        return Recording(_text(value, "recording"))
    except ValueError:
        raise _wrong(f"recording may be {', '.join(Recording)}") from None


def _text(value: Mapping[str, Any], name: str) -> str:
    return str(value.get(name, "")).strip()


def _wrong(what: str) -> KyusaiError:
    return KyusaiError(
        "control.order", f"the order cannot be carried out: {what}", "See docs/control.md.", detail=what
    )
